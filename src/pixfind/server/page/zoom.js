/**
 * Zooming and moving one picture.
 *
 * Owns the scale and the place of the canvas in the stage. Must not know which picture it is, nor how sharp.
 */

import { Gestures } from "./gestures.js";

/** Times the size at which the whole picture is seen. */
const MAX_SCALE = 40;
/** Device pixels for one of the picture, at most: beyond, only squares are seen. */
const MAX_PIXEL = 8;
const KEY_FACTOR = 1.5;
const KEY_PAN = 80;
/** The wheel: the logarithm of the factor for a pixel. */
const WHEEL_SPEED = 0.002;
/** Where a double click leads for a picture whose pixels fit the screen anyway. */
const CLOSE = 2.5;

export class Zoom {
  #scale = 1;
  #x = 0;
  #y = 0;
  /** pixels of the picture @type {{width: number, height: number}} */ #size = { width: 4, height: 3 };
  /** @type {HTMLElement | null} */ #canvas = null;

  /** @param {HTMLElement} stage @param {{changed: () => void}} handlers */
  constructor(stage, handlers) {
    this.stage = stage;
    this.handlers = handlers;
    const moved = (/** @type {{x: number, y: number}} */ from, /** @type {{x: number, y: number}} */ to) => this.isZoomed && this.#place(this.#x + to.x - from.x, this.#y + to.y - from.y);
    // Unzoomed, a finger's way is a swipe, which the viewer takes.
    this.gestures = new Gestures(stage, { scaled: (factor, at) => this.by(factor, at), moved, doubled: (at) => this.toggle(at) }, { speed: WHEEL_SPEED, captures: () => this.isZoomed });
    stage.addEventListener("dragstart", (event) => event.preventDefault());
    new ResizeObserver(() => this.#place(this.#x, this.#y)).observe(stage);
  }

  get isZoomed() {
    return this.#scale > 1.001;
  }

  /** Whether several fingers are on the stage: then no finger's way means a swipe. */
  get isPinching() {
    return this.gestures.isPinching;
  }

  get scale() {
    return this.#scale;
  }

  /** Device pixels for one of the picture. */
  get pixels() {
    return (this.#fit().width * this.#scale * devicePixelRatio) / this.#size.width;
  }

  /** Begin with another picture, seen as a whole. @param {HTMLElement} canvas @param {{width: number, height: number}} size */
  begin(canvas, size) {
    this.#canvas = canvas;
    this.#size = size;
    this.reset();
  }

  /** @param {{width: number, height: number}} size of the picture, now that it is known */
  resize(size) {
    this.#size = size;
    this.#place(this.#x, this.#y);
  }

  reset() {
    this.#scale = 1;
    this.#place(0, 0);
  }

  /** Larger or smaller, around a point of the stage. @param {number} factor @param {{x: number, y: number}} [at] */
  by(factor, at = this.#middle()) {
    const before = this.#scale;
    const max = Math.min(MAX_SCALE, Math.max(CLOSE, (MAX_PIXEL * before) / this.pixels));
    this.#scale = Math.min(max, Math.max(1, before * factor));
    const real = this.#scale / before;
    this.#place(at.x - (at.x - this.#x) * real, at.y - (at.y - this.#y) * real);
  }

  larger() {
    this.by(KEY_FACTOR);
  }

  smaller() {
    this.by(1 / KEY_FACTOR);
  }

  /** Between the whole picture and its own pixels. @param {{x: number, y: number}} [at] */
  toggle(at) {
    if (this.isZoomed) return this.reset();
    const own = 1 / this.pixels;
    this.by(own > 1.2 ? own : CLOSE, at);
  }

  /** Move what is zoomed. @param {string} key an arrow @returns {boolean} whether it is zoomed */
  pan(key) {
    if (!this.isZoomed) return false;
    const across = { ArrowLeft: KEY_PAN, ArrowRight: -KEY_PAN }[key] ?? 0;
    const down = { ArrowUp: KEY_PAN, ArrowDown: -KEY_PAN }[key] ?? 0;
    this.#place(this.#x + across, this.#y + down);
    return true;
  }

  // --- geometry -----------------------------------------------------------------------------------

  /** The box of the whole picture in the stage. */
  #fit() {
    const { clientWidth: wide, clientHeight: high } = this.stage;
    const ratio = this.#size.width / this.#size.height;
    const width = Math.min(wide, high * ratio) || 1;
    const height = width / ratio;
    return { left: (wide - width) / 2, top: (high - height) / 2, width, height };
  }

  #middle() {
    return { x: this.stage.clientWidth / 2, y: this.stage.clientHeight / 2 };
  }

  /** Put the canvas somewhere: a picture larger than the stage covers it, a smaller one is in its middle. @param {number} x @param {number} y */
  #place(x, y) {
    if (!this.#canvas) return;
    const fit = this.#fit();
    this.#x = within(x, fit.left, fit.width, this.stage.clientWidth, this.#scale);
    this.#y = within(y, fit.top, fit.height, this.stage.clientHeight, this.#scale);
    this.#canvas.style.transform = this.isZoomed ? `translate(${this.#x}px, ${this.#y}px) scale(${this.#scale})` : "";
    this.stage.classList.toggle("is-zoomed", this.isZoomed);
    this.handlers.changed();
  }
}

/**
 * Where a canvas must begin along one side.
 *
 * @param {number} wanted @param {number} start of the picture in the canvas @param {number} length of the picture @param {number} stage @param {number} scale
 */
function within(wanted, start, length, stage, scale) {
  if (length * scale <= stage) return (stage - stage * scale) / 2;
  return Math.min(-start * scale, Math.max(stage - (start + length) * scale, wanted));
}
