/**
 * A board: a square that is moved and zoomed, with pins on it that stand for pictures. The map of the world is one, the similarity map another.
 *
 * Owns which part is on the screen, how it is moved, and the pins. What a board shows, and where its pins lead, is up to those that extend it. Must
 * not know what a search is.
 *
 * @typedef {{x: number, y: number, zoom: number}} View the middle of the screen, on a square that is 1 wide and high; it has 256 * 2^zoom pixels
 * @typedef {{left: number, top: number, right: number, bottom: number}} Box a part of the square
 * @typedef {{x: number, y: number, count: number, image_id: number}} Pin
 * @typedef {{pins: any[], all: Box | null, shown: number, count: number, current: boolean}} Found
 *   `pins`: what the board makes of them; `all`: around all there are; `shown`: pictures in this part, of `count`; `current`: false while the library grows
 */

import { Refused, Unreachable, thumbnail } from "./api.js";
import { button, byId, el, fill } from "./dom.js";
import { Gestures } from "./gestures.js";
import { WORLD } from "./mercator.js";
import { t } from "./messages.js";
import { number } from "./words.js";

const SETTLED_MS = 160;
/** Pixels that an arrow key moves. */
const KEY_PAN = 120;
const STEP = 1;
/** The wheel: 240 pixels are one step of zoom. */
const WHEEL_SPEED = Math.LN2 / 240;
/** As long may pins be out of date while the library grows. */
const RECOUNT_MS = 2000;
/** All pictures together come no closer than this by themselves. */
const FITTED_ZOOM = 13;
const PIN = 56;

export class Board {
  /** @type {View} */ view = { x: 0.5, y: 0.5, zoom: 2 };
  /** @type {Map<Pin, HTMLElement>} */ #pins = new Map();
  #loading = new AbortController();
  #key = "";
  #timer = 0;
  /** whether the view is somebody's choice, or has all pins */ #isPlaced = false;
  /** the view as the address has it */ #written = "";

  /**
   * @param {"map" | "similarity"} name of the view of the page
   * @param {{moved: (view: string) => void}} handlers `moved`: the view as text, for the address
   * @param {{maxZoom: number, fills: boolean, icon: string, words: Record<"title" | "pins" | "label" | "here" | "all", string>, credit?: HTMLElement}} kind
   *   `fills`: whether there are margins only where the whole square is smaller than the screen; `icon`: of the button that shows all of it
   */
  constructor(name, handlers, { maxZoom, fills, icon, words, credit }) {
    this.name = name;
    this.handlers = handlers;
    this.maxZoom = maxZoom;
    this.fills = fills;
    this.root = byId(`${name}-view`);
    this.canvas = el("canvas", { class: "map-canvas", "aria-hidden": "true" });
    this.pins = el("ul", { class: "map-pins", "aria-label": words.pins });
    this.stage = el("div", { class: "map-stage", tabindex: "0", role: "group", "aria-label": words.label, "aria-keyshortcuts": "ArrowLeft ArrowRight ArrowUp ArrowDown + - 0" }, this.canvas, this.pins);
    this.said = el("p", { class: "map-said", role: "status" });
    this.here = button({ label: words.here, words: words.here, click: () => this.openHere() });
    const controls = el(
      "div",
      { class: "map-controls", role: "group", "aria-label": t("viewer.zoom") },
      button({ icon: "plus", label: t("map.closer"), keys: "+", click: () => this.#zoom(STEP) }),
      button({ icon: "minus", label: t("map.farther"), keys: "-", click: () => this.#zoom(-STEP) }),
      button({ icon, label: words.all, keys: "0", click: () => this.#fitAll() }),
    );
    this.bar = el("div", { class: "map-bar" }, this.said, this.here);
    fill(this.root, el("h1", { class: "visually-hidden" }, words.title), this.stage, controls, this.bar, ...(credit ? [credit] : []));
    new ResizeObserver(() => this.#resized()).observe(this.stage);
    this.#listen();
  }

  /**
   * Show the pictures that pass the filters.
   *
   * @param {URLSearchParams} query whose filters hold
   * @param {string | null} text the view, as `moved` gave it; null: as it is, at first all pins
   * @param {boolean} isFiltered whether that is less than all pictures
   */
  show(query, text, isFiltered) {
    this.isFiltered = isFiltered;
    // What it has told itself comes back with the address.
    if (text !== null && text === this.#written && String(query) === String(this.query) && this.#key) return;
    const view = this.parsed(text);
    if (view && text !== this.#written) {
      this.view = view;
      this.#isPlaced = true;
    }
    this.query = query;
    this.#resized();
    this.#settle(0);
  }

  /** The library has changed: pins are fetched again when they are shown. */
  forget() {
    this.#key = "";
  }

  // --- what a board is --------------------------------------------------------------------------

  /** What is in a part of the square. @param {Box} _box @param {URLSearchParams} _query @param {AbortSignal} _signal @returns {Promise<Found>} */
  async ask(_box, _query, _signal) {
    throw new Error("not a board by itself");
  }

  /** The view as text. @param {View} _view */
  written(_view) {
    return "";
  }

  /** @param {string | null} _text @returns {View | null} null for what `written` never gave */
  parsed(_text) {
    return null;
  }

  /** @param {any} _pin */
  labelOf(_pin) {
    return "";
  }

  /** @param {Found} _found */
  saidOf(_found) {
    return "";
  }

  /** The part of the square in which the pictures of a pin lie; null where the pin itself leads to them. @param {any} _pin @returns {Box | null} */
  boxOf(_pin) {
    return null;
  }

  /** Show the pictures of a pin. @param {any} _pin */
  open(_pin) {}

  /** Show the pictures that are on the screen. */
  openHere() {}

  /** Draw what lies below the pins. */
  draw() {}

  /** @param {number} _width @param {number} _height in CSS pixels */
  resize(_width, _height) {}

  // --- which part is on the screen --------------------------------------------------------------

  get scale() {
    return WORLD * 2 ** this.view.zoom;
  }

  /** @returns {Box} what is on the screen; it may go beyond the square */
  get box() {
    const [across, down] = [this.stage.clientWidth / 2 / this.scale, this.stage.clientHeight / 2 / this.scale];
    return { left: this.view.x - across, right: this.view.x + across, top: this.view.y - down, bottom: this.view.y + down };
  }

  /** @returns {any[]} the pins on the screen */
  get shown() {
    const { left, right, top, bottom } = this.box;
    return [...this.#pins.keys()].filter(({ x, y }) => x >= left && x <= right && y >= top && y <= bottom);
  }

  /** @param {Partial<View>} change */
  #move(change) {
    const { clientWidth: width, clientHeight: height } = this.stage;
    if (!width || !height) return;
    const next = { ...this.view, ...change };
    next.zoom = this.#bounded(next.zoom);
    const scale = WORLD * 2 ** next.zoom;
    const inside = (/** @type {number} */ value, /** @type {number} */ half) => {
      // What is narrower than the screen lies in its middle.
      const edge = this.fills ? Math.min(half, 0.5) : 0;
      return Math.min(1 - edge, Math.max(edge, value));
    };
    next.x = inside(next.x, width / 2 / scale);
    next.y = inside(next.y, height / 2 / scale);
    this.view = next;
    this.#draw();
    this.#settle(SETTLED_MS);
  }

  /** @param {number} zoom */
  #bounded(zoom) {
    const { clientWidth: width, clientHeight: height } = this.stage;
    const side = this.fills ? Math.max(WORLD, Math.min(width, height) - 2 * PIN) : Math.min(width, height) / 2;
    return Math.min(this.maxZoom, Math.max(Math.log2(Math.max(side, 1) / WORLD), zoom));
  }

  /** Somebody has chosen what is on the screen: it is theirs from now on, even before the pins are there. @param {Partial<View>} change */
  #chosen(change) {
    this.#isPlaced = true;
    this.#move(change);
  }

  /** @param {number} by steps of zoom @param {{x: number, y: number}} [at] a point of the screen that stays where it is */
  #zoom(by, at = { x: this.stage.clientWidth / 2, y: this.stage.clientHeight / 2 }) {
    const [across, down] = [at.x - this.stage.clientWidth / 2, at.y - this.stage.clientHeight / 2];
    const before = this.scale;
    const zoom = this.#bounded(this.view.zoom + by);
    const after = WORLD * 2 ** zoom;
    this.#chosen({ zoom, x: this.view.x + across / before - across / after, y: this.view.y + down / before - down / after });
  }

  /** @param {number} across @param {number} down pixels by which the view moves */
  #pan(across, down) {
    this.#chosen({ x: this.view.x + across / this.scale, y: this.view.y + down / this.scale });
  }

  /** @param {Box} box */
  #fit({ left, top, right, bottom }) {
    // On a phone the bar is as wide as the screen: no pin below it.
    const below = Math.max(PIN, this.stage.getBoundingClientRect().bottom - this.bar.getBoundingClientRect().top + PIN / 2);
    const zoomFor = (/** @type {number} */ pixels, /** @type {number} */ taken, /** @type {number} */ length) => Math.log2(Math.max(1, pixels - taken) / WORLD / Math.max(length, 1e-9));
    const { clientWidth: width, clientHeight: height } = this.stage;
    const zoom = this.#bounded(Math.min(zoomFor(width, 2 * PIN, right - left), zoomFor(height, PIN + below, bottom - top), FITTED_ZOOM));
    const lower = (below - PIN) / 2 / (WORLD * 2 ** zoom);
    this.#isPlaced = true;
    this.#move({ zoom, x: (left + right) / 2, y: (top + bottom) / 2 + lower });
  }

  #fitAll() {
    if (this.all) this.#fit(this.all);
  }

  #resized() {
    if (this.root.hidden) return;
    this.resize(this.stage.clientWidth, this.stage.clientHeight);
    this.#move({});
  }

  // --- pins -------------------------------------------------------------------------------------

  /** @param {number} wait */
  #settle(wait) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#load(), wait);
  }

  async #load() {
    if (this.root.hidden || !this.query || !this.stage.clientWidth) return;
    const text = this.written(this.view);
    if (this.#isPlaced && text !== this.#written) {
      this.#written = text;
      this.handlers.moved(text);
    }
    const key = `${text} ${this.stage.clientWidth} ${this.stage.clientHeight} ${this.query}`;
    // Before the question whether they are there already: the answer for a part that was left meanwhile would replace them.
    this.#loading.abort();
    if (key === this.#key) return;
    this.#loading = new AbortController();
    const { signal } = this.#loading;
    try {
      const found = await this.ask(this.box, new URLSearchParams(this.query), signal);
      if (signal.aborted) return;
      this.all = found.all;
      this.here.hidden = !found.shown;
      this.said.textContent = this.saidOf(found);
      // At first all pins are on the screen.
      if (!this.#isPlaced && found.all) return this.#fit(found.all);
      this.#key = found.current ? key : "";
      this.#show(found.pins);
      if (!found.current) this.#settle(RECOUNT_MS);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Refused || error instanceof Unreachable)) throw error;
      this.said.textContent = error.message;
    }
  }

  /** @param {Pin[]} pins */
  #show(pins) {
    const held = [...this.#pins].find(([, pin]) => pin.contains(document.activeElement))?.[0];
    this.#pins = new Map(pins.map((pin) => [pin, this.#made(pin)]));
    fill(this.pins, ...this.#pins.values());
    this.#draw();
    if (!held) return;
    // The keyboard stays at the pin where it was, or with the board.
    const same = pins.find((pin) => Math.hypot(pin.x - held.x, pin.y - held.y) * this.scale < PIN);
    const target = same ? this.#pins.get(same)?.querySelector("button") : this.stage;
    target?.focus({ preventScroll: true });
  }

  /** @param {Pin} pin */
  #made(pin) {
    const label = this.labelOf(pin);
    const image = el("img", { alt: "", src: thumbnail(pin.image_id, PIN, 256), loading: "lazy", decoding: "async" });
    // A picture whose drive is away leaves its pin grey.
    image.addEventListener("error", () => image.remove());
    const count = pin.count > 1 && el("span", { class: "map-count", "aria-hidden": "true" }, number(pin.count));
    return el("li", {}, el("button", { type: "button", class: "map-pin", "aria-label": label, title: label, onclick: () => this.#opened(pin) }, image, count));
  }

  /** Call the pins again what they are called, as more is known. */
  relabel() {
    for (const [pin, made] of this.#pins) {
      for (const name of ["aria-label", "title"]) made.querySelector("button")?.setAttribute(name, this.labelOf(pin));
    }
  }

  /** @param {Pin} pin */
  #opened(pin) {
    const box = this.view.zoom >= this.maxZoom - 1 ? null : this.boxOf(pin);
    if (box) this.#fit(box);
    else this.open(pin);
  }

  #draw() {
    this.draw();
    const [left, top] = [this.view.x - this.stage.clientWidth / 2 / this.scale, this.view.y - this.stage.clientHeight / 2 / this.scale];
    for (const [{ x, y }, pin] of this.#pins) {
      pin.style.transform = `translate(${Math.round((x - left) * this.scale - PIN / 2)}px, ${Math.round((y - top) * this.scale - PIN / 2)}px)`;
    }
  }

  // --- mouse, fingers, keys ---------------------------------------------------------------------

  #listen() {
    const moved = (/** @type {{x: number, y: number}} */ from, /** @type {{x: number, y: number}} */ to) => this.#pan(from.x - to.x, from.y - to.y);
    new Gestures(this.stage, { scaled: (factor, at) => this.#zoom(Math.log2(factor), at), moved, doubled: (at) => this.#zoom(STEP, at) }, { speed: WHEEL_SPEED, passed: ".map-pin" });
    this.stage.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const action = {
        ArrowLeft: () => this.#pan(-KEY_PAN, 0),
        ArrowRight: () => this.#pan(KEY_PAN, 0),
        ArrowUp: () => this.#pan(0, -KEY_PAN),
        ArrowDown: () => this.#pan(0, KEY_PAN),
        "+": () => this.#zoom(STEP),
        "=": () => this.#zoom(STEP),
        "-": () => this.#zoom(-STEP),
        0: () => this.#fitAll(),
      }[event.key];
      if (!action) return;
      event.preventDefault();
      action();
    });
  }
}
