/**
 * The server's API, as the page uses it.
 *
 * Owns requests and what may come back. Must not know what is done with an answer. Errors are `Refused` (the server
 * says why) or `Unreachable` (no answer).
 *
 * @typedef {{rank: number, image_id: number, path: string, name: string, score: number | null, unusual: number | null,
 *            width: number | null, height: number | null, taken: string | null, folded: number, stack: Stacked[], also: string[], same_shot: string[], because: string[],
 *            lines: import("./text_frames.js").Line[], date: string | null, added: string | null,
 *            time: number | null, same_video: string[], library: string | null}} Hit
 * @typedef {{image_id: number, path: string, name: string, width: number | null, height: number | null, date: string | null, kind: string}} Stacked
 * @typedef {{library: string, why: string}} Missing of a collection, a library that did not answer
 * @typedef {{hits: Hit[], offset: number, more: boolean, next: string | null, previous: string | null, hidden: number, remark: string | null,
 *            date: import("./offer.js").DateInQuery | null, unknown: string[], ignored: string[], rows: number, seconds: number, generation: string, missing: Missing[]}} SearchResponse
 */

import { t } from "./messages.js";
import { refusal } from "./refusals.js";

export const PAGE = 60;
/** Hits that one response has at most, as the server has it: for lists that are read up to one picture. */
export const MAX_PAGE = 500;

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
    throw new Unreachable(t("error.unreachable"));
  }
  const body = await response.json().catch(() => null);
  if (response.ok) return body;
  const error = body?.error;
  throw new Refused(error ? refusal(error) : t("error.status", { status: String(response.status), text: response.statusText }), error?.kind ?? "", response.status);
}

/**
 * @param {URLSearchParams} query
 * @param {Blob | null} picture search by it
 * @param {string | null} cursor `next` of the page before, null for the first page
 * @param {AbortSignal} signal
 * @param {number} [count] hits of a page
 * @returns {Promise<SearchResponse>}
 */
export function search(query, picture, cursor, signal, count = PAGE) {
  const parameters = new URLSearchParams(query);
  parameters.set("k", String(count));
  if (cursor) parameters.set("cursor", cursor);
  const headers = { "Content-Type": picture?.type.startsWith("image/") ? picture.type : "application/octet-stream" };
  return json(`/api/search?${parameters}`, picture ? { method: "POST", body: picture, headers, signal } : { signal });
}

/** The filters among the parameters of a search: what counts everything takes these alone. @param {URLSearchParams} query */
function filtersOf(query) {
  const parameters = new URLSearchParams(query);
  for (const name of ["q", "all", "sort", "distinct", "each_file"]) parameters.delete(name);
  return parameters;
}

/**
 * How many pictures each month has, the newest first.
 *
 * @param {URLSearchParams} query whose filters hold
 * @param {AbortSignal} signal
 * @returns {Promise<{count: number, months: {month: string, count: number, cursor: string}[]}>}
 */
export function timeline(query, signal) {
  const parameters = filtersOf(query);
  // Every path: counted from the index alone where no filter is named.
  if (parameters.get("in") === "*") parameters.delete("in");
  return json(`/api/timeline?${parameters}`, { signal });
}

/**
 * Where pictures were taken, in a part of the world.
 *
 * @param {URLSearchParams} query bounds, zoom, and filters
 * @param {AbortSignal} signal
 * @returns {Promise<{count: number, in_view: number, bounds: {west: number, south: number, east: number, north: number} | null, current: boolean, places: import("./map.js").Place[]}>}
 */
export function places(query, signal) {
  return json(`/api/places?${filtersOf(query)}`, { signal });
}

/**
 * Which pictures look alike, in a part of the similarity map.
 *
 * @param {URLSearchParams} query the part, zoom, and filters
 * @param {AbortSignal} signal
 * @returns {Promise<{count: number, in_view: number, bounds: import("./board.js").Box | null, current: boolean, groups: import("./similarity.js").Group[]}>}
 */
export function similarity(query, signal) {
  return json(`/api/similarity?${filtersOf(query)}`, { signal });
}

/** What the map draws. @param {"outlines" | "cities"} name */
export const mapFile = (name) => json(`/static/${name}.json`);

/** @typedef {{value: string, count: number}} FacetValue */

/**
 * What the pictures of a result have in common.
 *
 * @param {URLSearchParams} query
 * @param {AbortSignal} signal
 * @returns {Promise<{count: number, ranked: boolean, cameras: FacetValue[], shapes: FacetValue[], years: FacetValue[], kinds: FacetValue[], labels: FacetValue[], current: boolean}>}
 */
export const facets = (query, signal) => json(`/api/facets?${query}`, { signal });

/**
 * The folders in one, or the roots.
 *
 * @param {URLSearchParams} query whose filters hold, but for the one on folders
 * @param {string | null} below
 * @returns {Promise<{folders: {path: string, name: string, count: number}[]}>}
 */
export function folders(query, below) {
  const parameters = filtersOf(query);
  parameters.delete("in");
  if (below !== null) parameters.set("below", below);
  return json(`/api/folders?${parameters}`);
}

/** @returns {Promise<{albums: import("./albums.js").Album[], can_change: boolean}>} */
export const albums = () => json("/api/albums");

/**
 * Make an album, change its pictures, or remove it.
 *
 * @param {{name: string, search?: Record<string, any> | null, add?: number[], take?: number[]}} change `search`: null removes it
 * @returns {Promise<{albums: import("./albums.js").Album[], can_change: boolean}>} those that there are now
 */
export const changeAlbum = (change) => post("/api/albums", change);

/** Pictures that one request puts into an album or takes out: as the server has it. */
export const MAX_ALBUM_CHANGE = 1000;

/** @param {number} id @param {AbortSignal} [signal] */
export const image = (id, signal) => json(`/api/images/${id}`, { signal });

/** @param {string} reason @param {number} offset */
export const failures = (reason, offset) => json(`/api/failures?${new URLSearchParams({ reason, offset: String(offset), k: "100" })}`);

/** @param {string} path @param {object} body */
const post = (path, body) =>
  json(path, { method: "POST", headers: { "Content-Type": "application/json", "X-Pixfind": "1" }, body: JSON.stringify(body) });

/** @param {"start" | "scan" | "pause" | "resume" | "stop"} action */
export const embed = (action) => post("/api/embed", { action });

/** @returns {Promise<{roots: import("./roots.js").Root[]}>} */
export const roots = () => json("/api/roots");

/** @param {{action: "add" | "scan" | "exclude", path: string, exclude?: string[]}} change */
export const changeRoot = (change) => post("/api/roots", change);

/** @returns {Promise<{verb: string | null, started: number | null, seconds: number | null, lines: string[]}>} */
export const lastRun = () => json("/api/runs/last");

/** Pictures that a zip may hold, and a contact sheet: as the server has it. */
export const MAX_ZIP = 1000;
export const MAX_SHEET = 300;

/**
 * What a zip of these pictures would hold.
 *
 * @param {number[]} ids
 * @returns {Promise<{count: number, bytes: number, fits: boolean, max_bytes: number, unavailable: {image_id: number, detail: string}[]}>}
 */
export const selection = (ids) => json(`/api/selection?ids=${ids.join(",")}`);

/** @param {number[]} ids */
export const zipAddress = (ids) => `/api/selection/zip?ids=${ids.join(",")}`;

/** @param {number[]} ids @param {string} title */
export const sheetAddress = (ids, title) => `/api/selection/sheet?${new URLSearchParams({ ids: ids.join(","), title: title.slice(0, 200) })}`;

const SIDES = [128, 256, 512, 1024, 2048, 4096];
/** The longer side of the largest thumbnail. */
export const MAX_THUMBNAIL = 4096;

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
  return `/api/images/${id}/thumbnail?size=${SIDES.find((each) => each >= pixels) ?? MAX_THUMBNAIL}`;
}

/** @param {number} id */
export const original = (id) => `/api/images/${id}/file`;
