/**
 * Which pictures are selected, by click, touch and keyboard.
 *
 * Owns the set, the range that Shift extends, and how selected tiles look. It stays when the query changes: pictures of several searches can be
 * collected. Must not know what is done with the pictures.
 *
 * @typedef {import("./grid.js").Hit} Hit
 */

const LONG_PRESS_MS = 450;
/** Pixels that a finger may move while it presses. */
const SLIP = 10;

export class Selection {
  /** @type {Map<number, Hit>} by id, in the order in which they were selected */ #chosen = new Map();
  /** @type {number | null} the id at which a range begins */ #anchor = null;
  /** @type {number[]} ids that the range has selected, which a shorter one leaves */ #range = [];
  #pressed = false;

  /**
   * @param {import("./grid.js").Grid} grid
   * @param {{changed: () => void}} handlers
   */
  constructor(grid, handlers) {
    this.grid = grid;
    this.handlers = handlers;
    const { root } = grid;
    // Before the grid, which opens pictures.
    root.addEventListener("click", (event) => this.#clicked(event), { capture: true });
    root.addEventListener("keydown", (event) => this.#keyed(event), { capture: true });
    // Behind the grid, which moves the focus.
    root.addEventListener("keydown", (event) => this.#extended(event));
    this.#listenForLongPresses(root);
  }

  get size() {
    return this.#chosen.size;
  }

  get pictures() {
    return [...this.#chosen.values()];
  }

  /** @param {number} id */
  has(id) {
    return this.#chosen.has(id);
  }

  clear() {
    this.#chosen.clear();
    this.#anchor = null;
    this.#range = [];
    this.#show();
  }

  /** Other pictures are shown: what a range has selected stays. */
  endRange() {
    this.#range = [];
  }

  /** @param {Hit} hit */
  toggle(hit) {
    if (!this.#chosen.delete(hit.image_id)) this.#chosen.set(hit.image_id, hit);
    this.#anchor = hit.image_id;
    this.#range = [];
    this.#show();
  }

  /** Mark a tile that was made. @param {HTMLElement} tile */
  mark(tile) {
    const on = this.#chosen.has(Number(tile.dataset.id));
    tile.classList.toggle("is-selected", on);
    tile.querySelector(".tile-mark")?.setAttribute("aria-pressed", String(on));
  }

  /** Select what lies between the last one that was selected and this one. @param {number} place */
  #extend(place) {
    const from = this.#anchor === null ? -1 : this.grid.placeOf(this.#anchor);
    const { hits } = this.grid;
    if (from < 0) return this.toggle(hits[place]);
    for (const id of this.#range) this.#chosen.delete(id);
    const more = hits.slice(Math.min(from, place), Math.max(from, place) + 1).filter((hit) => !this.#chosen.has(hit.image_id));
    for (const hit of more) this.#chosen.set(hit.image_id, hit);
    this.#range = more.map((hit) => hit.image_id);
    this.#show();
  }

  #show() {
    this.grid.root.classList.toggle("is-selecting", this.size > 0);
    for (const tile of this.grid.root.children) this.mark(/** @type {HTMLElement} */ (tile));
    this.handlers.changed();
  }

  // --- input --------------------------------------------------------------------------------------

  /** @param {MouseEvent} event */
  #clicked(event) {
    const target = /** @type {Element} */ (event.target);
    const tile = target.closest("li");
    const onMark = target.closest(".tile-mark");
    const onPicture = target.closest(".tile-link");
    if (!tile || event.ctrlKey || event.metaKey || event.altKey) return;
    const selects = onMark || (onPicture && (this.size > 0 || event.shiftKey || this.#pressed));
    if (!selects) return;
    take(event);
    // The finger of a long press is lifted: that has selected already.
    if (this.#pressed) return void (this.#pressed = false);
    const place = Number(tile.dataset.place);
    if (event.shiftKey) this.#extend(place);
    else this.toggle(this.grid.hits[place]);
  }

  /** @param {KeyboardEvent} event */
  #keyed(event) {
    const tile = /** @type {Element} */ (event.target).closest("li");
    if (!tile || event.altKey) return;
    const isAll = event.key === "a" && (event.ctrlKey || event.metaKey);
    if (isAll) {
      for (const hit of this.grid.hits) this.#chosen.set(hit.image_id, hit);
      this.#range = [];
      this.#show();
    } else if (event.ctrlKey || event.metaKey) return;
    else if (event.key === "x" || event.key === " ") this.toggle(this.grid.hits[Number(tile.dataset.place)]);
    else if (event.key === "Escape" && this.size) this.clear();
    else return;
    take(event);
  }

  /** @param {KeyboardEvent} event */
  #extended(event) {
    if (!event.shiftKey || !/^(Arrow|Home$|End$)/.test(event.key)) return;
    const from = /** @type {Element} */ (event.target).closest("li");
    const to = document.activeElement?.closest("li");
    if (!from || !to || !this.grid.root.contains(to)) return;
    this.#anchor ??= Number(from.dataset.id);
    this.#extend(Number(to.dataset.place));
  }

  /** @param {HTMLElement} root */
  #listenForLongPresses(root) {
    let timer = 0;
    let at = { x: 0, y: 0 };
    const cancel = () => clearTimeout(timer);
    root.addEventListener("pointerdown", (event) => {
      cancel();
      this.#pressed = false;
      const tile = /** @type {Element} */ (event.target).closest("li");
      if (event.pointerType !== "touch" || !tile) return;
      at = { x: event.clientX, y: event.clientY };
      timer = setTimeout(() => {
        this.#pressed = true;
        this.toggle(this.grid.hits[Number(tile.dataset.place)]);
      }, LONG_PRESS_MS);
    });
    root.addEventListener("pointermove", (event) => Math.hypot(event.clientX - at.x, event.clientY - at.y) > SLIP && cancel());
    for (const end of ["pointerup", "pointercancel"]) root.addEventListener(end, cancel);
    // The menu of a link would come with the selection.
    root.addEventListener("contextmenu", (event) => this.#pressed && event.preventDefault());
  }
}

/** @param {Event} event */
function take(event) {
  event.preventDefault();
  event.stopPropagation();
}
