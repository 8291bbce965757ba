/**
 * From a place to pictures on the screen: asking, paging, folding, and saying how it went.
 *
 * Owns requests in flight, the line above the grid, and answers that were seen before (going back shows them at once,
 * where they were left). Only the latest question may change the screen. Must not know the URL or the controls.
 *
 * @typedef {import("./address.js").Place} Place
 * @typedef {import("./api.js").SearchResponse} SearchResponse
 * @typedef {import("./grid.js").Hit} Hit
 * @typedef {{found: SearchResponse, hits: Hit[], more: boolean, pages: number, y: number}} Seen
 */

import { isHome, request } from "./address.js";
import * as api from "./api.js";
import { byId, fill, button } from "./dom.js";
import * as empty from "./empty.js";
import { Grid } from "./grid.js";
import { count, number } from "./words.js";

const KEPT = 12;
/** A progress line for less would only flicker. */
const BUSY_AFTER_MS = 250;
const AGAIN_MS = 1200;

export class Results {
  /** @type {Map<string, Seen>} by what was asked; the latest last */ #seen = new Map();
  /** @type {AbortController | null} */ #asking = null;
  /** @type {AbortController | null} */ #paging = null;
  /** @type {Place | null} */ #place = null;
  /** @type {Blob | null} */ #picture = null;
  #key = "";
  #again = 0;

  /**
   * @param {{act: (action: import("./grid.js").Action, place: number) => void, ways: empty.Ways,
   *          status: () => any, gone: (gone: boolean) => void}} handlers
   */
  constructor(handlers) {
    this.handlers = handlers;
    this.grid = new Grid(byId("grid"), {
      act: (action, place) => (action === "unfold" ? this.#toggle(place) : handlers.act(action, place)),
      near: () => this.#more(),
    });
  }

  /**
   * Show what a place asks for. Nothing happens where it is on the screen already.
   *
   * @param {Place} place
   * @param {Blob | null} picture
   * @param {{back?: boolean, fresh?: boolean}} [how] `back`: to where it was left; `fresh`: ask again
   */
  async show(place, picture, { back = false, fresh = false } = {}) {
    const key = `${request(place)} ${place.picture ?? ""}`;
    if (key === this.#key && !fresh) return;
    this.#leave();
    this.#place = place;
    this.#picture = picture;
    this.#key = key;
    const seen = this.#seen.get(key);
    if (seen && !fresh) return this.#put(seen, back ? seen.y : 0);
    this.#asking = new AbortController();
    const { signal } = this.#asking;
    const busy = setTimeout(() => byId("busy").classList.add("is-busy"), BUSY_AFTER_MS);
    try {
      const found = await api.search(request(place), picture, 0, signal);
      if (signal.aborted) return;
      this.handlers.gone(false);
      this.#key = key; // it may have been forgotten meanwhile
      this.#put({ found, hits: found.hits, more: found.more, pages: 1, y: 0 }, fresh ? scrollY : 0);
    } catch (error) {
      if (!signal.aborted) this.#failed(error);
    } finally {
      clearTimeout(busy);
      if (!signal.aborted) byId("busy").classList.remove("is-busy");
    }
  }

  /** Ask the present question again, as the library has grown or the server is back. */
  retry() {
    if (this.#place) this.show(this.#place, this.#picture, { fresh: true });
  }

  /** What was answered before may be out of date; what is being looked at stays. */
  forget() {
    const now = this.#seen.get(this.#key);
    this.#seen.clear();
    if (this.isEmpty) this.#key = "";
    else if (now) this.#seen.set(this.#key, now);
  }

  /** Whether the answer has come, and shows no picture. */
  get isEmpty() {
    return !byId("empty").hidden;
  }

  /** Remember where the present answer is left. */
  #leave() {
    this.#asking?.abort();
    this.#paging?.abort();
    this.#paging = null;
    clearTimeout(this.#again);
    byId("busy").classList.remove("is-busy");
    const now = this.#seen.get(this.#key);
    if (now) now.y = scrollY;
  }

  /** @param {Seen} seen @param {number} y where to scroll */
  #put(seen, y) {
    this.#seen.delete(this.#key);
    this.#seen.set(this.#key, seen);
    for (const oldest of [...this.#seen.keys()].slice(0, -KEPT)) this.#seen.delete(oldest);
    const none = !seen.hits.length;
    const home = Boolean(this.#place && isHome(this.#place));
    byId("empty").hidden = !none;
    if (none && this.#place) fill(byId("empty"), ...empty.nothing(seen.found, this.#place, this.handlers.status(), this.handlers.ways));
    byId("told-line").hidden = none || home;
    byId("told").textContent = told(seen, home);
    this.grid.replace(seen.hits, seen.more);
    scrollTo(0, y);
    this.#after(seen);
  }

  /** What follows the last picture. @param {Seen} seen */
  #after(seen) {
    const hidden = !seen.more && seen.hits.length > 0 && seen.found.hidden;
    const words = hidden ? "Show the nearest of the others anyway" : "";
    fill(byId("after"), hidden ? button({ label: words, words, click: this.handlers.ways.all }) : "");
  }

  /** @param {unknown} error */
  #failed(error) {
    if (error instanceof api.Gone) {
      this.handlers.gone(true);
      this.#key = "";
      return;
    }
    if (!(error instanceof api.Refused)) throw error;
    this.#key = "";
    if (error.status === 429 || error.status === 503) {
      this.#again = setTimeout(() => this.retry(), AGAIN_MS);
      return;
    }
    this.grid.replace([], false);
    byId("told-line").hidden = true;
    byId("empty").hidden = false;
    fill(byId("empty"), ...empty.refused(error.message, this.handlers.ways));
    fill(byId("after"));
  }

  async #more() {
    const seen = this.#seen.get(this.#key);
    const offset = (seen?.pages ?? 0) * api.PAGE;
    if (!seen?.more || this.#paging || !this.#place || offset > api.FARTHEST) return;
    this.#paging = new AbortController();
    const { signal } = this.#paging;
    try {
      const found = await api.search(request(this.#place), this.#picture, offset, signal);
      if (signal.aborted) return;
      // A library that grew between two pages shows some pictures on both.
      const known = new Set(seen.hits.map((hit) => hit.image_id));
      const added = found.hits.filter((hit) => !known.has(hit.image_id));
      seen.hits = [...seen.hits, ...added];
      seen.found = { ...found, hits: [] };
      seen.more = found.more && offset + api.PAGE <= api.FARTHEST;
      seen.pages += 1;
      this.#paging = null;
      byId("told").textContent = told(seen, Boolean(isHome(this.#place)));
      this.grid.append(added, seen.more);
      this.#after(seen);
    } catch (error) {
      if (signal.aborted) return;
      this.#paging = null;
      if (error instanceof api.Gone) this.handlers.gone(true);
      // Scrolling on asks again.
      else if (!(error instanceof api.Refused)) throw error;
    }
  }

  /** Show the near-duplicates of a picture behind it, or fold them again. @param {number} place */
  async #toggle(place) {
    const hit = this.grid.hits[place];
    if (!hit?.folded || !this.#place) return;
    const key = this.#key;
    if (hit.unfolded) {
      let away = 0;
      while (this.grid.hits[place + away + 1]?.member) away++;
      this.grid.splice(place, { ...hit, unfolded: false }, [], away);
      this.grid.focus(place);
      return;
    }
    const members = await api.folded(hit.image_id, hit.folded, request(this.#place));
    const now = this.grid.placeOf(hit.image_id);
    if (key !== this.#key || now < 0) return;
    const shown = new Set(this.grid.hits.map((each) => each.image_id));
    const fresh = members.filter((each) => !shown.has(each.image_id)).map((each) => ({ ...each, member: true, folded: 0 }));
    this.grid.splice(now, { ...hit, unfolded: true }, fresh, 0);
    this.grid.focus(now);
  }
}

/** The line above the grid, which screen readers hear. @param {Seen} seen @param {boolean} home */
function told({ found, hits, more }, home) {
  if (!hits.length) return "";
  if (home) return count(found.rows, "picture");
  const parts = [`${number(hits.length)}${more ? "+" : ""} of ${count(found.rows, "picture")}`];
  // Nothing was compared where only filters were asked for.
  if (found.seconds) parts.push(found.seconds < 1 ? `${Math.max(1, Math.round(found.seconds * 1000))} ms` : `${found.seconds.toFixed(1)} s`);
  if (found.unknown.length) parts.push(`the model does not know ${found.unknown.map((word) => `“${word}”`).join(", ")}: left out`);
  return parts.join(" · ");
}
