/**
 * The server's API, as the page uses it.
 *
 * Owns requests and what may come back. Must not know what is done with an answer. Errors are `Refused` (the server
 * says why) or `Gone` (nobody answers).
 *
 * @typedef {{rank: number, image_id: number, path: string, name: string, score: number | null, unusual: number | null,
 *            width: number | null, height: number | null, taken: string | null, folded: number, also: string[]}} Hit
 * @typedef {{hits: Hit[], offset: number, more: boolean, hidden: number, remark: string | null, unknown: string[],
 *            rows: number, seconds: number, generation: string}} SearchResponse
 */

export const PAGE = 60;
/** What the server pages through at most. */
export const FARTHEST = 5000;

/** The server says no, and why. */
export class Refused extends Error {
  /** @param {string} message @param {string} kind @param {number} status */
  constructor(message, kind, status) {
    super(message);
    this.kind = kind;
    this.status = status;
  }
}

/** Nobody answers. */
export class Gone extends Error {}

/**
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<any>}
 */
async function json(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Gone("The server does not answer.");
  }
  const body = await response.json().catch(() => null);
  if (response.ok) return body;
  const told = body?.error;
  throw new Refused(told?.message ?? `The server answers ${response.status} ${response.statusText}`, told?.kind ?? "", response.status);
}

/**
 * @param {URLSearchParams} asked
 * @param {Blob | null} picture search by it
 * @param {number} offset
 * @param {AbortSignal} signal
 * @returns {Promise<SearchResponse>}
 */
export function search(asked, picture, offset, signal) {
  const given = new URLSearchParams(asked);
  given.set("k", String(PAGE));
  given.set("offset", String(offset));
  const headers = { "Content-Type": picture?.type.startsWith("image/") ? picture.type : "application/octet-stream" };
  return json(`/api/search?${given}`, picture ? { method: "POST", body: picture, headers, signal } : { signal });
}

/**
 * The pictures that are nearly the same as one, and were folded into it.
 *
 * @param {number} id
 * @param {number} many
 * @param {URLSearchParams} asked whose filters hold
 * @returns {Promise<Hit[]>}
 */
export async function folded(id, many, asked) {
  const given = new URLSearchParams(asked);
  given.delete("q");
  given.delete("all");
  given.set("distinct", "false");
  given.set("k", String(many + 1));
  /** @type {SearchResponse} */
  const found = await json(`/api/images/${id}/similar?${given}`);
  return found.hits.filter((hit) => hit.image_id !== id).slice(0, many);
}

/** @param {number} id @param {AbortSignal} [signal] */
export const image = (id, signal) => json(`/api/images/${id}`, { signal });

/** @param {string} reason @param {number} offset */
export const failures = (reason, offset) => json(`/api/failures?${new URLSearchParams({ reason, offset: String(offset), k: "100" })}`);

/** @param {"start" | "pause" | "resume" | "stop"} action */
export const embed = (action) =>
  json("/api/embed", {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Pixfind": "1" },
    body: JSON.stringify({ action }),
  });

const SIDES = [128, 256, 512, 1024];

/**
 * The address of a thumbnail that is sharp at a size on the screen.
 *
 * @param {number} id
 * @param {number} side the longer one, in CSS pixels
 * @param {number} [most]
 */
export function thumbnail(id, side, most = 1024) {
  // A tenth too small is not seen, and the next size costs four times the bytes.
  const pixels = Math.min(side * devicePixelRatio, most) * 0.9;
  return `/api/images/${id}/thumbnail?size=${SIDES.find((each) => each >= pixels) ?? 1024}`;
}

/** @param {number} id */
export const original = (id) => `/api/images/${id}/file`;
