/**
 * The months beside the pictures: where one is in time, and a way to any other month.
 *
 * Owns the strip, its slider for mouse, finger and keyboard, and the months of the present filters, with how many pictures pass them. Must not know how
 * pictures are fetched.
 *
 * @typedef {{month: string, count: number, cursor: string}} Month
 */

import { filtersOf, timeline } from "./api.js";
import { byId, el, fill } from "./dom.js";
import { t } from "./messages.js";
import { monthName } from "./words.js";

/** Fewer fit on a screen or two: a strip would be in the way. */
const MIN_PICTURES = 100;
/** Pixels between the years that are named. */
const YEAR_GAP = 22;
const DRAG_MS = 140;
/** Counts that are out of date are asked for again. */
const RECOUNT_MS = 2000;

export class Scrubber {
  /** @type {Month[]} */ #months = [];
  /** @type {number[]} pictures up to each month */ #before = [];
  #total = 0;
  #at = 0;
  /** @type {string | null} */ #key = null;
  #isShown = false;
  /** @type {Promise<void>} */ #loaded = Promise.resolve();
  #loading = new AbortController();
  #dragging = false;
  #timer = 0;

  /** @param {{go: (month: string) => void, counted: (count: number | null) => void}} handlers `counted`: how many pictures pass the filters; null: not known yet */
  constructor(handlers) {
    this.handlers = handlers;
    this.root = byId("scrubber");
    this.years = el("div", { class: "scrubber-years", "aria-hidden": "true" });
    this.mark = el("div", { class: "scrubber-mark", role: "slider", tabindex: "0", "aria-label": t("scrubber.month"), "aria-orientation": "vertical", "aria-valuemin": "0" });
    this.bubble = el("span", { class: "scrubber-bubble", "aria-hidden": "true" });
    this.mark.append(this.bubble);
    fill(this.root, this.years, this.mark);
    this.root.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => this.#grab(event));
    this.root.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => this.#dragging && this.#drag(event));
    for (const end of ["pointerup", "pointercancel"]) this.root.addEventListener(end, () => this.#release());
    this.mark.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#keyed(event));
    new ResizeObserver(() => this.#draw()).observe(this.root);
  }

  /**
   * Count the pictures that pass the filters of a list, and show the months of one that is sorted by time.
   *
   * @param {URLSearchParams | null} query null: no list is shown
   * @param {{isByTime?: boolean, fresh?: boolean}} [how] `fresh`: the library has changed
   */
  show(query, { isByTime = true, fresh = false } = {}) {
    // Other words have the same months: they are counted once while somebody types.
    const key = query && String(filtersOf(query));
    const isOther = key !== this.#key;
    this.#isShown = query !== null && isByTime;
    this.#showStrip();
    if (!isOther && !fresh) return;
    this.#key = key;
    this.#loading.abort();
    this.#loading = new AbortController();
    if (isOther) this.handlers.counted(null);
    if (query === null) return this.#take([]);
    const { signal } = this.#loading;
    this.#loaded = timeline(query, signal).then(
      (found) => {
        // Of an answer that is no longer waited for there may be nothing.
        if (signal.aborted) return;
        this.#take(found.months);
        this.handlers.counted(found.count);
        if (!found.current) setTimeout(() => !signal.aborted && this.show(query, { isByTime: this.#isShown, fresh: true }), RECOUNT_MS);
      },
      // Without months the pictures are there all the same.
      () => signal.aborted || this.#take([]),
    );
  }

  /** Where a month begins; of one without pictures, the next older one. @param {string} month @returns {Promise<string | null>} */
  async cursor(month) {
    // They may be requested again meanwhile, as the library has changed.
    let loaded;
    do await (loaded = this.#loaded);
    while (loaded !== this.#loaded);
    return this.#months.find((each) => each.month <= month)?.cursor ?? null;
  }

  /** Follow the pictures on the screen. @param {string} month */
  follow(month) {
    if (this.#dragging) return;
    const at = this.#months.findIndex((each) => each.month <= month);
    if (at >= 0) this.#move(at);
  }

  /** @param {Month[]} months */
  #take(months) {
    this.#months = months;
    this.#before = [];
    this.#total = 0;
    for (const { count: many } of months) {
      this.#before.push(this.#total);
      this.#total += many;
    }
    this.mark.setAttribute("aria-valuemax", String(Math.max(0, months.length - 1)));
    this.#at = Math.min(this.#at, Math.max(0, months.length - 1));
    this.#showStrip();
  }

  #showStrip() {
    this.root.hidden = !this.#isShown || this.#months.length < 2 || this.#total < MIN_PICTURES;
    document.body.classList.toggle("has-scrubber", !this.root.hidden);
    this.#draw();
  }

  /** The years, where there is room for their names. */
  #draw() {
    if (this.root.hidden) return;
    const height = this.root.clientHeight;
    const names = [];
    let last = -Infinity;
    this.#months.forEach(({ month }, at) => {
      const year = month.slice(0, 4);
      if (at && year === this.#months[at - 1].month.slice(0, 4)) return;
      const top = (this.#before[at] / this.#total) * height;
      if (top - last < YEAR_GAP || top > height - YEAR_GAP / 2) return;
      last = top;
      const name = el("span", {}, year);
      name.style.top = `${top}px`;
      names.push(name);
    });
    fill(this.years, ...names);
    this.#move(this.#at);
  }

  /** @param {number} at */
  #move(at) {
    const month = this.#months[at];
    if (!month) return;
    this.#at = at;
    const words = t("scrubber.at", { name: monthName(month.month), count: month.count });
    this.mark.style.top = `${(100 * this.#before[at]) / this.#total}%`;
    this.mark.setAttribute("aria-valuenow", String(at));
    this.mark.setAttribute("aria-valuetext", words);
    this.bubble.textContent = words;
  }

  /** @param {number} at */
  #go(at) {
    const next = Math.min(this.#months.length - 1, Math.max(0, at));
    this.#move(next);
    this.handlers.go(this.#months[next].month);
  }

  /** @param {PointerEvent} event */
  #grab(event) {
    if (event.button) return;
    event.preventDefault();
    this.#dragging = true;
    this.root.classList.add("is-dragging");
    this.root.setPointerCapture(event.pointerId);
    this.mark.focus(/** @type {any} */ ({ preventScroll: true, focusVisible: false }));
    this.#drag(event);
  }

  /** @param {PointerEvent} event */
  #drag(event) {
    const box = this.root.getBoundingClientRect();
    const wanted = ((event.clientY - box.top) / box.height) * this.#total;
    let at = this.#before.findIndex((before) => before > wanted) - 1;
    if (at === -2) at = this.#months.length - 1;
    this.#move(Math.max(0, at));
    // Pictures only where the hand rests: on the way nobody looks.
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#dragging && this.#go(this.#at), DRAG_MS);
  }

  #release() {
    if (!this.#dragging) return;
    clearTimeout(this.#timer);
    this.#dragging = false;
    this.root.classList.remove("is-dragging");
    this.#go(this.#at);
  }

  /** @param {KeyboardEvent} event */
  #keyed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const year = this.#months[this.#at]?.month.slice(0, 4) ?? "";
    const ofYear = (/** @type {string} */ wanted) => this.#months.findIndex(({ month }) => month.startsWith(wanted));
    const newerYear = this.#months.slice(0, this.#at).reverse().find(({ month }) => month.slice(0, 4) > year)?.month.slice(0, 4);
    const older = this.#months.findIndex(({ month }) => month.slice(0, 4) < year);
    const to = {
      ArrowDown: () => this.#at + 1,
      ArrowUp: () => this.#at - 1,
      PageDown: () => (older < 0 ? this.#months.length - 1 : older),
      PageUp: () => (newerYear ? ofYear(newerYear) : 0),
      Home: () => 0,
      End: () => this.#months.length - 1,
    }[event.key];
    if (!to) return;
    event.preventDefault();
    this.#go(to());
  }
}
