/**
 * The grid: thousands of pictures, of which only those near the screen are in the document.
 *
 * Owns where tiles lie, which exist, which one the keyboard is on, and that nothing moves when images arrive.
 * Must not know where hits come from.
 *
 * @typedef {import("./api.js").Hit & {member?: boolean, unfolded?: boolean, label?: string | null}} Hit
 *   `label`: of the heading that stands above the first of its pictures
 * @typedef {"open" | "similar" | "plus" | "minus" | "unfold"} Action
 */

import { el } from "./dom.js";
import { HEADING, firstBelow, rows, shape } from "./layout.js";
import { BACK, FORWARD, isRightToLeft } from "./messages.js";
import { imageOf, load, makeTile, unload } from "./tile.js";

/** Pixels above and below the screen that are kept ready. */
const MARGIN = 700;
/** Nearer than this to the end, the next page is requested: in heights of the screen. */
const AHEAD = 2;
/** Pixels a millisecond; faster, nobody sees the pictures that pass. */
const FAST = 4;
const CALM_MS = 90;

const KEYS = /** @type {Record<string, Action>} */ ({ Enter: "open", s: "similar", a: "plus", "+": "plus", l: "minus", "-": "minus", u: "unfold" });

export class Grid {
  /** @type {Hit[]} */ #hits = [];
  /** @type {number[]} */ #shapes = [];
  /** @type {import("./layout.js").Row[]} */ #rows = [];
  /** @type {Map<number, HTMLLIElement[]>} tiles by the number of their row */ #mounted = new Map();
  /** @type {Map<number, HTMLImageElement>} images of tiles that are being laid out anew, by id */ #spare = new Map();
  /** @type {Map<HTMLElement, number>} tiles that wait for calm, and their sides */ #waiting = new Map();
  #more = false;
  /** whether there are hits before the first */ #before = false;
  /** @type {Set<number>} places at which a row begins, as the pictures before came later */ #breaks = new Set();
  #active = 0;
  #width = 0;
  #calm = 0;
  #last = { y: 0, at: 0 };

  /**
   * @param {HTMLElement} root
   * @param {{act: (action: Action, place: number) => void, nearEnd: () => void, nearStart: () => void, seen: (hit: Hit) => void, mounted: (tile: HTMLElement) => void}} handlers
   *   `nearEnd`: the end is near; `seen`: the first picture on the screen; `mounted`: a tile was made
   */
  constructor(root, handlers) {
    this.root = root;
    this.handlers = handlers;
    addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.#resized()).observe(root);
    root.addEventListener("click", (event) => this.#clicked(event));
    root.addEventListener("keydown", (event) => this.#pressed(event));
    root.addEventListener("focusin", (event) => this.#focused(event));
    root.addEventListener("dragstart", (event) => this.#dragged(event));
  }

  get hits() {
    return this.#hits;
  }

  /** Show other hits. @param {Hit[]} hits @param {boolean} more whether further ones will follow @param {boolean} [before] whether there are some before */
  replace(hits, more, before = false) {
    this.#hits = [...hits];
    this.#active = 0;
    this.#more = more;
    this.#before = before;
    this.#breaks.clear();
    this.#layOut(0);
  }

  /** @param {Hit[]} hits @param {boolean} more */
  append(hits, more) {
    this.#hits.push(...hits);
    this.#more = more;
    this.#layOut(Math.max(0, this.#rows.length - 1));
  }

  /** Scroll to the first picture. */
  scrollToStart() {
    scrollTo(0, Math.max(0, scrollY + this.root.getBoundingClientRect().top - headerHeight()));
  }

  /** The first picture below the header, and how many pixels below the top of the screen its row begins. @returns {{id: number, offset: number} | null} */
  get reading() {
    const top = this.root.getBoundingClientRect().top;
    const row = this.#rows[firstBelow(this.#rows, headerHeight() - top)];
    if (!row) return null;
    let { place } = row.boxes[0];
    // What was unfolded is not there at first.
    while (place && this.#hits[place].member) place--;
    return { id: this.#hits[place].image_id, offset: row.top + top };
  }

  /**
   * Scroll until the row of a picture begins so many pixels below the top of the screen.
   *
   * @param {number} place @param {number} offset @returns {boolean} false: as far as there are pictures, and more will follow
   */
  scrollTo(place, offset) {
    const away = () => this.root.getBoundingClientRect().top + this.#rows[this.#rowOf(place)].top - offset;
    scrollBy(0, away());
    this.#render();
    return !this.#more || Math.abs(away()) < 2;
  }

  /** Put hits before the first; what is on the screen stays there. @param {Hit[]} hits @param {boolean} before whether there are more */
  prepend(hits, before) {
    this.#before = before;
    this.#hits.unshift(...hits);
    this.#active += hits.length;
    this.#breaks = new Set([hits.length, ...[...this.#breaks].map((place) => place + hits.length)]);
    this.#keepingPlace(hits.length);
  }

  /** Put hits behind one, take `away` of those that follow it, and change it. @param {number} place @param {Hit} hit @param {Hit[]} hits @param {number} away */
  splice(place, hit, hits, away) {
    this.#hits.splice(place, away + 1, hit, ...hits);
    this.#layOut(this.#rowOf(place));
  }

  /** Lay out again, after the grid was hidden. */
  refresh() {
    this.#resized();
  }

  /** @param {number} id @returns {number} -1 if it is not here */
  placeOf(id) {
    return this.#hits.findIndex((hit) => hit.image_id === id);
  }

  /** Bring a picture onto the screen and give it the focus. @param {number} place */
  focus(place) {
    if (!this.#hits.length) return;
    this.#active = Math.min(this.#hits.length - 1, Math.max(0, place));
    const row = this.#rows[this.#rowOf(this.#active)];
    const top = this.root.getBoundingClientRect().top + row.top;
    const header = headerHeight();
    if (top < header) scrollBy(0, top - header);
    else if (top + row.height > innerHeight) scrollBy(0, top + row.height - innerHeight + 12);
    this.#render();
    this.#takeFocus();
  }

  /** Give the focus to the active picture, wherever it lies. */
  #takeFocus() {
    const row = this.#rowOf(this.#active);
    if (this.#rows[row] && !this.#mounted.has(row)) this.#mount(row);
    this.#tileAt(this.#active)?.querySelector("a")?.focus({ preventScroll: true });
  }

  // --- geometry -----------------------------------------------------------------------------------

  /** Lay out from a row on; what stands above it stays. @param {number} from @param {() => void} [scroll] before anything is looked at */
  #layOut(from, scroll) {
    const hadFocus = this.root.contains(document.activeElement);
    for (const row of [...this.#mounted.keys()]) if (row >= from) this.#unmount(row, true);
    this.#width = this.root.clientWidth;
    this.#rows.length = Math.min(from, this.#rows.length);
    const above = this.#rows.at(-1);
    const { target, gap } = sizes();
    const start = above ? above.boxes[above.boxes.length - 1].place + 1 : 0;
    this.#shapes.length = start;
    this.#shapes.push(...this.#hits.slice(start).map(shape));
    if (this.#width) {
      const top = above ? above.top + above.height + gap : 0;
      this.#rows.push(...rows(this.#shapes, { start, top, width: this.#width, target, gap, labels: this.#hits.map((hit) => hit.label ?? null), breaks: this.#breaks }));
    }
    const end = this.#rows.at(-1);
    this.root.style.height = `${end ? end.top + end.height : 0}px`;
    scroll?.();
    this.#render();
    // Its tile has been made again: without this the keyboard would be back at the start of the page.
    if (hadFocus && !this.root.contains(document.activeElement)) this.#takeFocus();
    this.#spare.clear();
  }

  #resized() {
    if (!this.root.clientWidth || this.root.clientWidth === this.#width) return this.#render();
    this.#keepingPlace(0);
  }

  /** Lay out everything again, and scroll so that nothing seems to have moved. @param {number} added how many hits there are before the first one now */
  #keepingPlace(added) {
    const seen = this.#rows[firstBelow(this.#rows, -this.root.getBoundingClientRect().top)];
    const place = (seen?.boxes[0].place ?? 0) + added;
    const offset = seen ? seen.top + this.root.getBoundingClientRect().top : 0;
    this.#layOut(0, () => {
      // What was at the top stays there, if anything was scrolled away.
      if (place) scrollTo(0, scrollY + this.root.getBoundingClientRect().top + this.#rows[this.#rowOf(place)].top - offset);
    });
  }

  /** @param {number} place */
  #rowOf(place) {
    let low = 0;
    let high = this.#rows.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#rows[middle].boxes[0].place <= place) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  // --- tiles --------------------------------------------------------------------------------------

  #scrolled() {
    const now = performance.now();
    const fast = Math.abs(scrollY - this.#last.y) / Math.max(1, now - this.#last.at) > FAST;
    this.#last = { y: scrollY, at: now };
    if (fast) {
      clearTimeout(this.#calm);
      this.#calm = setTimeout(() => {
        this.#calm = 0;
        for (const [tile, side] of this.#waiting) load(tile, side);
        this.#waiting.clear();
      }, CALM_MS);
    }
    this.#render();
  }

  #render() {
    if (!this.#width) return;
    const top = -this.root.getBoundingClientRect().top;
    const from = firstBelow(this.#rows, top - MARGIN);
    const to = Math.min(this.#rows.length - 1, firstBelow(this.#rows, top + innerHeight + MARGIN));
    const holder = this.root.contains(document.activeElement) ? document.activeElement?.closest("li") : null;
    const focused = holder ? this.#rowOf(Number(holder.dataset.place)) : -1;
    // The row with the focus stays: removing it would throw the keyboard back to the start of the page.
    for (const row of [...this.#mounted.keys()]) if ((row < from || row > to) && row !== focused) this.#unmount(row, false);
    for (let row = from; row <= to; row++) if (!this.#mounted.has(row)) this.#mount(row);
    this.#rove();
    // Where a jump ends: the last pixels of the row above it are those of another month.
    const read = top + headerHeight();
    const seen = this.#rows[firstBelow(this.#rows, read)] ?? this.#rows.at(-1);
    if (seen) this.handlers.seen(this.#hits[seen.boxes[0].place]);
    if (this.#before && top < AHEAD * innerHeight) this.handlers.nearStart();
    const end = this.#rows.at(-1);
    if (this.#more && end && end.top + end.height - top - innerHeight < AHEAD * innerHeight) this.handlers.nearEnd();
  }

  /** @param {number} row */
  #mount(row) {
    const { top, height, boxes, label } = this.#rows[row];
    const tiles = boxes.map(({ place, left, width }) => {
      const hit = this.#hits[place];
      const tile = makeTile(hit, this.#spare.get(hit.image_id));
      const across = isRightToLeft ? this.#width - left - width : left;
      Object.assign(tile.style, { transform: `translate(${across}px, ${top}px)`, width: `${width}px`, height: `${height}px` });
      tile.dataset.place = String(place);
      tile.setAttribute("aria-posinset", String(place + 1));
      tile.setAttribute("aria-setsize", String(this.#more ? -1 : this.#hits.length));
      this.handlers.mounted(tile);
      if (this.#calm) this.#waiting.set(tile, Math.max(width, height));
      else load(tile, Math.max(width, height));
      return tile;
    });
    // In the order of the hits, for those who do not see the boxes.
    const after = [...this.#mounted.keys()].filter((other) => other > row).sort((one, other) => one - other)[0];
    const next = after === undefined ? null : this.#mounted.get(after)?.[0] ?? null;
    const made = label === null ? tiles : [heading(label, top), ...tiles];
    for (const each of made) this.root.insertBefore(each, next);
    this.#mounted.set(row, made);
  }

  /** @param {number} row @param {boolean} keep its images, for new tiles of the same pictures */
  #unmount(row, keep) {
    for (const tile of this.#mounted.get(row) ?? []) {
      this.#waiting.delete(tile);
      if (!tile.dataset.id) tile.remove();
      else if (keep && !tile.classList.contains("tile--broken")) this.#spare.set(Number(tile.dataset.id), imageOf(tile));
      else unload(tile);
      tile.remove();
    }
    this.#mounted.delete(row);
  }

  /** @param {number} place @returns {HTMLElement | null} */
  #tileAt(place) {
    return this.root.querySelector(`[data-place="${place}"]`);
  }

  /** Exactly one tile is in the order of Tab: the one the keyboard was on, or else the first there is. */
  #rove() {
    this.root.querySelector('a[tabindex="0"]')?.setAttribute("tabindex", "-1");
    const tile = this.#tileAt(this.#active) ?? this.root.querySelector(".tile");
    tile?.querySelector("a")?.setAttribute("tabindex", "0");
  }

  // --- input --------------------------------------------------------------------------------------

  /** @param {MouseEvent} event */
  #clicked(event) {
    const control = /** @type {Element} */ (event.target).closest("[data-do]");
    const tile = control?.closest("li");
    if (!control || !tile) return;
    const action = /** @type {Action} */ (control.getAttribute("data-do"));
    // A new tab, a download: the link does that itself.
    if (action === "open" && (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey)) return;
    event.preventDefault();
    this.#active = Number(tile.dataset.place);
    this.handlers.act(action, this.#active);
  }

  /** @param {KeyboardEvent} event */
  #pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = this.#step(event.key);
    const onLink = /** @type {Element} */ (event.target).matches("a");
    if (step === null && !(onLink && event.key in KEYS)) return;
    event.preventDefault();
    if (step !== null) this.focus(step);
    else this.handlers.act(KEYS[event.key], this.#active);
  }

  /** Where an arrow leads, null for other keys. @param {string} key */
  #step(key) {
    if (key === FORWARD) return this.#active + 1;
    if (key === BACK) return this.#active - 1;
    if (key === "Home") return 0;
    if (key === "End") return this.#hits.length - 1;
    if (key !== "ArrowDown" && key !== "ArrowUp") return null;
    const row = this.#rowOf(this.#active);
    const here = this.#rows[row].boxes.find((box) => box.place === this.#active);
    const other = this.#rows[row + (key === "ArrowDown" ? 1 : -1)];
    if (!here || !other) return this.#active;
    const middle = here.left + here.width / 2;
    return (other.boxes.find((box) => box.left + box.width >= middle) ?? other.boxes[other.boxes.length - 1]).place;
  }

  /** @param {FocusEvent} event */
  #focused(event) {
    const tile = /** @type {Element} */ (event.target).closest("li");
    if (!tile) return;
    this.#active = Number(tile.dataset.place);
    this.#rove();
  }

  /** @param {DragEvent} event */
  #dragged(event) {
    const tile = /** @type {Element} */ (event.target).closest("li");
    if (tile) event.dataTransfer?.setData("application/x-pixfind-id", tile.dataset.id ?? "");
  }
}

/** @param {string} label @param {number} top of its row */
function heading(label, top) {
  const made = el("li", { class: "grid-heading" }, el("h2", {}, label));
  made.style.transform = `translate(0, ${top - HEADING}px)`;
  made.style.height = `${HEADING}px`;
  return made;
}

/** Pixels that the header covers, where it stays on the screen. */
const headerHeight = () => parseFloat(getComputedStyle(document.documentElement).scrollPaddingTop) || 0;

function sizes() {
  if (innerWidth < 600) return { target: 132, gap: 3 };
  return innerWidth < 1100 ? { target: 190, gap: 5 } : { target: 232, gap: 6 };
}
