/**
 * From a place to pictures on the screen: requests, paging, folding, and a summary.
 *
 * Owns requests in flight, the line above the grid, and answers that were seen before (going back shows them at once,
 * where they were left). Only the latest request may change the screen. Must not know the URL or the controls.
 *
 * @typedef {import("./address.js").Place} Place
 * @typedef {import("./api.js").SearchResponse} SearchResponse
 * @typedef {import("./grid.js").Hit} Hit
 * @typedef {{found: SearchResponse, hits: Hit[], next: string | null, y: number} `next`: the cursor of the next page} Answer
 */

import { isHome, request } from "./address.js";
import * as api from "./api.js";
import { button, byId, el, fill } from "./dom.js";
import * as empty from "./empty.js";
import { Grid } from "./grid.js";
import { count, number, quoted } from "./words.js";

const MAX_CACHED = 12;
/** A progress line for less would only flicker. */
const BUSY_AFTER_MS = 250;
const RETRY_MS = 1200;

export class Results {
  /** @type {Map<string, Answer>} by request; the latest last */ #cached = new Map();
  /** @type {AbortController | null} */ #request = null;
  /** @type {AbortController | null} */ #pageRequest = null;
  /** @type {Place | null} */ #place = null;
  /** @type {Blob | null} */ #picture = null;
  #key = "";
  #retryTimer = 0;

  /**
   * @param {{act: (action: import("./grid.js").Action, place: number) => void, actions: empty.Actions,
   *          status: () => any, changed: () => void, unreachable: (now: boolean) => void}} handlers
   *   `changed`: other hits are there, or more
   */
  constructor(handlers) {
    this.handlers = handlers;
    this.grid = new Grid(byId("grid"), {
      act: (action, place) => (action === "unfold" ? this.#toggle(place) : handlers.act(action, place)),
      nearEnd: () => this.loadMore(),
    });
  }

  /**
   * Show the results of a place. Nothing happens where it is on the screen already.
   *
   * @param {Place} place
   * @param {Blob | null} picture
   * @param {{back?: boolean, fresh?: boolean}} [how] `back`: to where it was left; `fresh`: request it again
   */
  async show(place, picture, { back = false, fresh = false } = {}) {
    const key = `${request(place)} ${place.picture ?? ""}`;
    if (key === this.#key && !fresh) return;
    this.#leave();
    this.#place = place;
    this.#picture = picture;
    this.#key = key;
    const answer = this.#cached.get(key);
    if (answer && !fresh) return this.#display(answer, back ? answer.y : 0);
    this.#request = new AbortController();
    const { signal } = this.#request;
    const busy = setTimeout(() => byId("busy").classList.add("is-busy"), BUSY_AFTER_MS);
    try {
      const found = await api.search(request(place), picture, null, signal);
      if (signal.aborted) return;
      this.handlers.unreachable(false);
      this.#key = key; // it may have been forgotten meanwhile
      this.#display({ found, hits: found.hits, next: found.next, y: 0 }, fresh ? scrollY : 0);
    } catch (error) {
      if (!signal.aborted) this.#failed(error);
    } finally {
      clearTimeout(busy);
      if (!signal.aborted) byId("busy").classList.remove("is-busy");
    }
  }

  /** Send the present request again, as the library has grown or the server is back. */
  retry() {
    if (this.#place) this.show(this.#place, this.#picture, { fresh: true });
  }

  /** What was answered before may be out of date; what is being looked at stays. */
  forget() {
    const now = this.#cached.get(this.#key);
    this.#cached.clear();
    if (this.isEmpty) this.#key = "";
    else if (now) this.#cached.set(this.#key, now);
  }

  /** Whether the answer has come, and shows no picture. */
  get isEmpty() {
    return !byId("empty").hidden;
  }

  /** Remember where the present answer is left. */
  #leave() {
    this.#request?.abort();
    this.#pageRequest?.abort();
    this.#pageRequest = null;
    clearTimeout(this.#retryTimer);
    byId("busy").classList.remove("is-busy");
    const now = this.#cached.get(this.#key);
    if (now) now.y = scrollY;
  }

  /** @param {Answer} answer @param {number} y where to scroll */
  #display(answer, y) {
    this.#cached.delete(this.#key);
    this.#cached.set(this.#key, answer);
    for (const oldest of [...this.#cached.keys()].slice(0, -MAX_CACHED)) this.#cached.delete(oldest);
    const none = !answer.hits.length;
    const home = Boolean(this.#place && isHome(this.#place));
    byId("empty").hidden = !none;
    if (none && this.#place) fill(byId("empty"), ...empty.nothing(answer.found, this.#place, this.handlers.status(), this.handlers.actions));
    byId("summary-line").hidden = none || home;
    byId("summary").textContent = summary(answer, home);
    byId("announcement").textContent = none ? byId("empty").querySelector("h2")?.textContent ?? "" : summary(answer, home);
    this.grid.replace(answer.hits, Boolean(answer.next));
    scrollTo(0, y);
    this.#showEnd(answer);
    this.handlers.changed();
  }

  /** What follows the last picture. @param {Answer} answer */
  #showEnd({ found, hits, next }) {
    const { actions } = this.handlers;
    if (next || !hits.length) return fill(byId("after"));
    if (found.more) {
      const words = "Browse all pictures";
      const text = `The list ends with the ${number(hits.length)} best of ${count(found.rows, "picture")}. Other words or filters find the others.`;
      return fill(byId("after"), el("p", {}, text), button({ label: words, words, click: () => actions.search("") }));
    }
    const words = "Show the nearest of the others anyway";
    fill(byId("after"), found.hidden ? button({ label: words, words, click: actions.showWeak }) : "");
  }

  /** @param {unknown} error */
  #failed(error) {
    if (error instanceof api.Unreachable) {
      this.handlers.unreachable(true);
      this.#key = "";
      return;
    }
    if (!(error instanceof api.Refused)) throw error;
    this.#key = "";
    if (error.status === 429 || error.status === 503) {
      this.#retryTimer = setTimeout(() => this.retry(), RETRY_MS);
      return;
    }
    this.grid.replace([], false);
    byId("summary-line").hidden = true;
    byId("empty").hidden = false;
    fill(byId("empty"), ...empty.refused(error, this.handlers.actions));
    byId("announcement").textContent = error.message;
    fill(byId("after"));
  }

  /** Fetch the next page, if there is one. */
  async loadMore() {
    const answer = this.#cached.get(this.#key);
    if (!answer?.next || this.#pageRequest || !this.#place) return;
    this.#pageRequest = new AbortController();
    const { signal } = this.#pageRequest;
    try {
      const found = await api.search(request(this.#place), this.#picture, answer.next, signal);
      if (signal.aborted) return;
      // Of equal scores some may be on both pages after a picture was deleted.
      const known = new Set(answer.hits.map((hit) => hit.image_id));
      const added = found.hits.filter((hit) => !known.has(hit.image_id));
      answer.hits = [...answer.hits, ...added];
      answer.found = { ...found, hits: [] };
      answer.next = found.next;
      this.#pageRequest = null;
      byId("summary").textContent = summary(answer, Boolean(isHome(this.#place)));
      this.grid.append(added, Boolean(answer.next));
      this.#showEnd(answer);
      this.handlers.changed();
    } catch (error) {
      if (signal.aborted) return;
      this.#pageRequest = null;
      if (error instanceof api.Unreachable) this.handlers.unreachable(true);
      // Scrolling further tries again.
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

/** The line above the grid, which screen readers read out. @param {Answer} answer @param {boolean} home */
function summary({ found, hits, next }, home) {
  if (!hits.length) return "";
  if (home) return count(found.rows, "picture");
  const order = hits[0].score === null ? "newest first" : "best first";
  const all = count(found.rows, "picture");
  const parts = [next || found.more ? `${all}, ${order}` : `${number(hits.length)} of ${all}`];
  // Nothing was compared where there are only filters.
  if (found.seconds) parts.push(found.seconds < 1 ? `${Math.max(1, Math.round(found.seconds * 1000))} ms` : `${found.seconds.toFixed(1)} s`);
  if (found.unknown.length) parts.push(`the model does not know ${quoted(found.unknown)}: ignored`);
  return parts.join(" · ");
}
