/**
 * The server's API, as the page uses it.
 *
 * Owns requests and what may come back. Must not know what is done with an answer. Errors are `Refused` (the server
 * says why) or `Unreachable` (no answer).
 *
 * @typedef {{rank: number, image_id: number, path: string, name: string, score: number | null, unusual: number | null,
 *            width: number | null, height: number | null, taken: string | null, folded: number, also: string[], same_shot: string[]}} Hit
 * @typedef {{hits: Hit[], offset: number, more: boolean, next: string | null, hidden: number, remark: string | null,
 *            unknown: string[], ignored: string[], rows: number, seconds: number, generation: string}} SearchResponse
 */

export const PAGE = 60;

/** The server refuses a request, and says why. */
export class Refused extends Error {
  /** @param {string} message @param {string} kind @param {number} status */
  constructor(message, kind, status) {
    super(message);
    this.kind = kind;
    this.status = status;
  }
}

/** The server does not answer. */
export class Unreachable extends Error {}

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
    throw new Unreachable("The server does not answer.");
  }
  const body = await response.json().catch(() => null);
  if (response.ok) return body;
  const error = body?.error;
  throw new Refused(error?.message ?? `The server answers ${response.status} ${response.statusText}`, error?.kind ?? "", response.status);
}

/**
 * @param {URLSearchParams} query
 * @param {Blob | null} picture search by it
 * @param {string | null} cursor `next` of the page before, null for the first page
 * @param {AbortSignal} signal
 * @returns {Promise<SearchResponse>}
 */
export function search(query, picture, cursor, signal) {
  const parameters = new URLSearchParams(query);
  parameters.set("k", String(PAGE));
  if (cursor) parameters.set("cursor", cursor);
  const headers = { "Content-Type": picture?.type.startsWith("image/") ? picture.type : "application/octet-stream" };
  return json(`/api/search?${parameters}`, picture ? { method: "POST", body: picture, headers, signal } : { signal });
}

/**
 * The pictures that are nearly the same as one, and were folded into it.
 *
 * @param {number} id
 * @param {number} many
 * @param {URLSearchParams} query whose filters hold
 * @returns {Promise<Hit[]>}
 */
export async function folded(id, many, query) {
  const parameters = new URLSearchParams(query);
  parameters.delete("q");
  parameters.delete("all");
  parameters.set("distinct", "false");
  parameters.set("k", String(many + 1));
  /** @type {SearchResponse} */
  const found = await json(`/api/images/${id}/similar?${parameters}`);
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
 * @param {number} [max]
 */
export function thumbnail(id, side, max = 1024) {
  // A tenth too small is not seen, and the next size costs four times the bytes.
  const pixels = Math.min(side * devicePixelRatio, max) * 0.9;
  return `/api/images/${id}/thumbnail?size=${SIDES.find((each) => each >= pixels) ?? 1024}`;
}

/** @param {number} id */
export const original = (id) => `/api/images/${id}/file`;
