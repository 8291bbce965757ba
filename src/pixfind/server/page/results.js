/**
 * From a place to pictures on the screen: requests, paging, folding, and a summary.
 *
 * Owns requests in flight, the line above the grid, and answers that were seen before (going back shows them at once,
 * where they were left). Only the latest request may change the screen. Must not know the URL or the controls.
 *
 * @typedef {import("./address.js").Place} Place
 * @typedef {import("./api.js").SearchResponse} SearchResponse
 * @typedef {import("./grid.js").Hit} Hit
 * @typedef {{found: SearchResponse, hits: Hit[], next: string | null, previous: string | null, y: number | null, isStale?: boolean} `next`: the cursor of the next page} Answer
 */

import { hasMonths, isHome, request } from "./address.js";
import * as api from "./api.js";
import { button, byId, el, fill } from "./dom.js";
import * as empty from "./empty.js";
import { Grid } from "./grid.js";
import { t } from "./messages.js";
import { decimal, monthName, quoted } from "./words.js";

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
  #isAnnounced = false;
  /** whether another view is shown, whose scrolling is not that of the pictures */ #isAway = false;
  /** @type {number | null} how many pictures pass the filters of the place; null while it is not known */ #count = null;

  /**
   * @param {{act: (action: import("./grid.js").Action, place: number) => void, actions: empty.Actions, status: () => any,
   *          cursor: (month: string) => Promise<string | null>, seen: (hit: Hit) => void, found: (answer: SearchResponse | null) => void, changed: () => void, unreachable: (now: boolean) => void, mounted: (tile: HTMLElement) => void}} handlers
   *   `changed`: other hits are there, or more; `found`: an answer is shown, or none; `mounted`: a tile was made; `cursor`: of a month; `seen`: the first picture on the screen
   */
  constructor(handlers) {
    this.handlers = handlers;
    this.grid = new Grid(byId("grid"), {
      act: (action, place) => (action === "unfold" ? this.#toggle(place) : handlers.act(action, place)),
      nearEnd: () => this.loadMore(),
      nearStart: () => this.loadPrevious(),
      seen: handlers.seen,
      mounted: handlers.mounted,
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
    const key = `${request(place)} ${place.picture ?? ""} ${place.at ?? ""}`;
    const isReturn = this.#isAway && !fresh;
    if (key === this.#key && !fresh) return isReturn ? this.#comeBack() : undefined;
    this.#leave();
    if (isReturn) this.#isAway = false;
    this.#place = place;
    this.#picture = picture;
    this.#key = key;
    const answer = this.#cached.get(key);
    const y = back && answer ? answer.y : place.at ? null : 0;
    if (answer && !answer.isStale && !fresh) return this.#display(answer, y);
    this.#request = new AbortController();
    const { signal } = this.#request;
    const busy = setTimeout(() => byId("busy").classList.add("is-busy"), BUSY_AFTER_MS);
    try {
      const found = await api.search(request(place), picture, place.at && (await this.handlers.cursor(place.at)), signal);
      if (signal.aborted) return;
      this.handlers.unreachable(false);
      this.#key = key; // it may have been forgotten meanwhile
      const hits = this.#labelled(found.hits);
      // The server may be back while another view is shown.
      const left = this.#isAway ? this.#cached.get(key)?.y ?? 0 : 0;
      this.#display({ found, hits, next: found.next, previous: found.previous, y: left }, fresh ? scrollY : y);
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

  /** What was answered before may be out of date; what is being looked at stays until it is left. */
  forget() {
    const now = this.#cached.get(this.#key);
    this.#cached.clear();
    if (this.isEmpty) this.#key = "";
    else if (now) {
      now.isStale = true;
      this.#cached.set(this.#key, now);
    }
  }

  /** Whether the answer to the present request has come. */
  get isAnswered() {
    return this.#cached.has(this.#key);
  }

  /** Whether the answer has come, and shows no picture. */
  get isEmpty() {
    return !byId("empty").hidden;
  }

  /** Another view is opened: remember where the present answer is left, until it is shown again. */
  away() {
    this.#keepPlace();
    this.#isAway = true;
  }

  #comeBack() {
    this.#isAway = false;
    this.grid.refresh();
    scrollTo(0, this.#cached.get(this.#key)?.y ?? 0);
  }

  #keepPlace() {
    const now = this.#cached.get(this.#key);
    if (now && !this.#isAway) now.y = scrollY;
  }

  /** Remember where the present answer is left. */
  #leave() {
    this.#request?.abort();
    this.#pageRequest?.abort();
    this.#pageRequest = null;
    clearTimeout(this.#retryTimer);
    byId("busy").classList.remove("is-busy");
    this.#keepPlace();
  }

  /** Hits that are sorted by time get the name of their month. @param {Hit[]} hits @returns {Hit[]} */
  #labelled(hits) {
    if (!this.#place || !hasMonths(this.#place)) return hits;
    return hits.map((hit) => ({ ...hit, label: hit.date && monthName(hit.date.slice(0, 7)) }));
  }

  /** @param {Answer} answer @param {number | null} y where to scroll; null: to the first of the pictures */
  #display(answer, y) {
    this.#cached.delete(this.#key);
    this.#cached.set(this.#key, answer);
    for (const oldest of [...this.#cached.keys()].slice(0, -MAX_CACHED)) this.#cached.delete(oldest);
    const none = !answer.hits.length;
    const home = Boolean(this.#place && isHome(this.#place));
    byId("empty").hidden = !none;
    if (none && this.#place) fill(byId("empty"), ...empty.nothing(answer.found, this.#place, this.handlers.status(), this.handlers.actions));
    byId("summary-line").hidden = home;
    byId("summary-line").classList.toggle("is-empty", none);
    this.#isAnnounced = false;
    this.#showSummary(answer);
    showMissing(answer.found.missing);
    this.grid.replace(answer.hits, Boolean(answer.next), Boolean(answer.previous));
    if (y === null) this.grid.scrollToStart();
    else scrollTo(0, y);
    this.#showEnd(answer);
    this.handlers.found(answer.found);
    this.handlers.changed();
  }

  /** How many pictures pass the filters of the place. @param {number | null} count null: not known yet */
  counted(count) {
    this.#count = count;
    const answer = this.#cached.get(this.#key);
    if (!answer || count === null) return;
    this.#showSummary(answer);
    this.#showEnd(answer);
  }

  /** The line above the grid; it is announced once, with its number. @param {Answer} answer */
  #showSummary(answer) {
    const none = !answer.hits.length;
    const words = this.#place ? summary(answer, this.#place, this.#count) : "";
    byId("summary").textContent = words;
    if (this.#isAnnounced || (!none && this.#count === null)) return;
    this.#isAnnounced = true;
    byId("announcement").textContent = none ? byId("empty").querySelector("h2")?.textContent ?? "" : words;
  }

  /** What follows the last picture. @param {Answer} answer */
  #showEnd(answer) {
    const { found, hits, next } = answer;
    const { actions } = this.handlers;
    if (next || !hits.length) return fill(byId("after"));
    if (found.more) {
      const words = t("results.browse");
      const text = t("results.end", { shown: hits.length, count: this.#count ?? found.rows });
      return fill(byId("after"), el("p", {}, text), button({ label: words, words, click: () => actions.search("") }));
    }
    const reason = this.#place ? behind(answer, this.#place, this.#count) : "";
    if (reason) return fill(byId("after"), el("p", {}, reason));
    const words = t("results.show-hidden");
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
    this.handlers.found(null);
    // The album of a search that is refused can be removed all the same.
    byId("summary").textContent = "";
    byId("summary-line").hidden = Boolean(this.#place && isHome(this.#place));
    byId("summary-line").classList.add("is-empty");
    showMissing([]);
    byId("empty").hidden = false;
    fill(byId("empty"), ...empty.refused(error, this.handlers.actions));
    byId("announcement").textContent = error.message;
    fill(byId("after"));
  }

  /** Fetch the next page, if there is one. @param {number} [count] pictures of it */
  async loadMore(count = api.PAGE) {
    const answer = this.#cached.get(this.#key);
    if (!answer?.next || this.#pageRequest || !this.#place) return;
    this.#pageRequest = new AbortController();
    const { signal } = this.#pageRequest;
    try {
      const found = await api.search(request(this.#place), this.#picture, answer.next, signal, count);
      if (signal.aborted) return;
      // Of equal scores some may be on both pages after a picture was deleted.
      const known = new Set(answer.hits.map((hit) => hit.image_id));
      const added = this.#labelled(found.hits.filter((hit) => !known.has(hit.image_id)));
      answer.hits = [...answer.hits, ...added];
      answer.found = { ...found, hits: [] };
      answer.next = found.next;
      this.#pageRequest = null;
      this.#showSummary(answer);
      showMissing(found.missing);
      this.grid.append(added, Boolean(answer.next));
      this.#showEnd(answer);
      this.handlers.changed();
    } catch (error) {
      this.#pageFailed(error, signal);
    }
  }

  /** Fetch the page before the first one, where the list was entered in its middle. */
  async loadPrevious() {
    const answer = this.#cached.get(this.#key);
    if (!answer?.previous || this.#pageRequest || !this.#place) return;
    this.#pageRequest = new AbortController();
    const { signal } = this.#pageRequest;
    try {
      const found = await api.search(request(this.#place), null, answer.previous, signal);
      if (signal.aborted) return;
      const known = new Set(answer.hits.map((hit) => hit.image_id));
      const added = this.#labelled(found.hits.filter((hit) => !known.has(hit.image_id)));
      answer.hits = [...added, ...answer.hits];
      answer.previous = found.previous;
      this.#pageRequest = null;
      this.grid.prepend(added, Boolean(answer.previous));
      this.#showSummary(answer);
      this.#showEnd(answer);
      this.handlers.changed();
    } catch (error) {
      this.#pageFailed(error, signal);
    }
  }

  /** @param {unknown} error @param {AbortSignal} signal */
  #pageFailed(error, signal) {
    if (signal.aborted) return;
    this.#pageRequest = null;
    if (error instanceof api.Unreachable) this.handlers.unreachable(true);
    // Scrolling further tries again.
    else if (!(error instanceof api.Refused)) throw error;
  }

  /** Show the stack of a picture behind it, or fold it again. @param {number} place */
  #toggle(place) {
    const hit = this.grid.hits[place];
    if (!hit?.folded) return;
    if (hit.unfolded) {
      let away = 0;
      while (this.grid.hits[place + away + 1]?.member) away++;
      this.grid.splice(place, { ...hit, unfolded: false }, [], away);
    } else {
      const shown = new Set(this.grid.hits.map((each) => each.image_id));
      const members = hit.stack.filter((each) => !shown.has(each.image_id)).map((each) => ({ ...hit, ...each, member: true, folded: 0, stack: [], score: null, taken: null, lines: [], time: null }));
      this.grid.splice(place, { ...hit, unfolded: true }, members, 0);
    }
    this.grid.focus(place);
  }
}

/** Name the libraries of a collection that did not answer. @param {api.Missing[]} missing */
function showMissing(missing) {
  const each = missing.map(({ library, why }) => t("results.missing", { library, why }));
  byId("missing").textContent = each.length ? t("results.missing-pictures", { libraries: each.join("; "), count: each.length }) : "";
  byId("missing").hidden = !each.length;
}

/** Why fewer have a tile than pass, once all of a list by time have come: hits stand for them. @param {Answer} answer @param {Place} place @param {number | null} count */
function behind({ found, hits, next, previous }, place, count) {
  const isWhole = count !== null && !next && !previous && !found.more && hasMonths(place);
  return isWhole && count > hits.length ? t("summary.behind", { shown: hits.length, others: count - hits.length, count: hits.length }) : "";
}

/** The line above the grid, which screen readers read out. @param {Answer} answer @param {Place} place @param {number | null} count of the pictures that pass */
function summary(answer, place, count) {
  const { found, hits, next, previous } = answer;
  if (!hits.length) return "";
  if (isHome(place)) return count === null ? "" : t("count.picture", { count });
  const reason = behind(answer, place, count);
  if (reason) return reason;
  const order = place.sort === "added" ? "summary.added" : hasMonths(place) ? "summary.newest" : "summary.best";
  const isAll = next || previous || found.more || hits.length === count;
  const parts = count === null ? [] : [t(isAll ? order : "summary.of", { shown: hits.length, count })];
  // Nothing was compared where there are only filters.
  if (found.seconds) parts.push(found.seconds < 1 ? t("duration.millisecond", { value: Math.max(1, Math.round(found.seconds * 1000)) }) : t("duration.second", { value: decimal(found.seconds, 1) }));
  if (found.unknown.length) parts.push(t("summary.unknown", { words: quoted(found.unknown) }));
  return parts.join(" · ");
}
