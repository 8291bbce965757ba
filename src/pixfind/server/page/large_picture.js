/**
 * The picture of the large view: as sharp as the screen shows it, and no sharper.
 *
 * Owns which steps of a picture are loaded: what the grid has loaded, then a thumbnail of the fitting size, and from the first zoom on the original.
 * Must not know what else the large view shows.
 *
 * @typedef {{id: number, name: string, width: number | null, height: number | null, lines: import("./text_frames.js").Line[]}} Shown
 */

import { MAX_THUMBNAIL, original, thumbnail } from "./api.js";
import { el, fill } from "./dom.js";
import { t } from "./messages.js";
import { frames } from "./text_frames.js";
import { Zoom } from "./zoom.js";

/** What browsers show; the rest (HEIC, TIFF, RAW ...) is seen as the server's thumbnail only. */
const SHOWN_BY_BROWSERS = /\.(jpe?g|jpe|jfif|png|gif|webp|avif|bmp)$/i;
/** Pixels from which on the largest thumbnail comes before the original. */
const HUGE = 40e6;
const SHARPEN_MS = 120;

export class LargePicture {
  /** @type {Shown | null} */ #shown = null;
  /** @type {AbortController} */ #loading = new AbortController();
  #timer = 0;
  #hasSize = false;
  /** the longer side, in pixels, of what was asked for; Infinity: the original */ #side = 0;
  /** the same of what is there */ #shownSide = 0;

  /** @param {HTMLElement} stage @param {{zoomed: (zoom: Zoom | null) => void}} handlers `zoomed`: null while there is no picture whose size is known */
  constructor(stage, handlers) {
    this.stage = stage;
    this.handlers = handlers;
    this.zoom = new Zoom(stage, {
      changed: () => {
        handlers.zoomed(this.#shown && this.#hasSize ? this.zoom : null);
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.#sharpen(), SHARPEN_MS);
      },
    });
  }

  /** @param {Shown} shown */
  async show(shown) {
    this.#loading.abort();
    this.#loading = new AbortController();
    const { signal } = this.#loading;
    this.#shown = shown;
    this.#side = this.#shownSide = 0;
    this.#hasSize = Boolean(shown.width);
    this.canvas = el("div", { class: "viewer-canvas" });
    const small = el("img", { class: "viewer-image viewer-image--soft", alt: "", src: thumbnail(shown.id, 300, 512) });
    const large = el("img", { class: "viewer-image", alt: shown.name, src: this.#address(this.#fitting()) });
    fill(this.canvas, small, large);
    fill(this.stage, this.canvas);
    this.zoom.begin(this.canvas, { width: shown.width ?? 4, height: shown.height ?? 3 });
    const there = await decoded(large);
    if (signal.aborted) return;
    small.remove();
    if (!there) {
      this.refuse(t("viewer.broken"));
      return;
    }
    large.classList.add("is-loaded");
    if (!shown.width) this.zoom.resize({ width: large.naturalWidth, height: large.naturalHeight });
    if (shown.lines.length) this.canvas.append(frames(shown.lines, { width: large.naturalWidth, height: large.naturalHeight }));
    this.#side = Math.max(this.#side, this.#fitting());
    this.#sharpen();
  }

  /** Its size, where it was known by its address alone. @param {number | null} width @param {number | null} height */
  measured(width, height) {
    if (!this.#shown || this.#shown.width || !width || !height) return;
    Object.assign(this.#shown, { width, height });
    this.#hasSize = true;
    this.zoom.resize({ width, height });
  }

  /** Say in the place of the picture why there is none. @param {string} words */
  refuse(words) {
    this.clear();
    this.handlers.zoomed(null);
    fill(this.stage, el("p", { class: "viewer-broken" }, words));
  }

  clear() {
    this.#loading.abort();
    clearTimeout(this.#timer);
    this.#shown = null;
    fill(this.stage);
  }

  /** Load the neighbours, as they will be shown. @param {number[]} ids */
  preload(ids) {
    for (const id of ids) new Image().src = thumbnail(id, this.#stageSide(), MAX_THUMBNAIL);
  }

  #stageSide() {
    return Math.max(this.stage.clientWidth, this.stage.clientHeight);
  }

  /** The step that is sharp for the present zoom: the longer side of a thumbnail, or Infinity for the original. */
  #fitting() {
    const { width, height, name } = /** @type {Shown} */ (this.#shown);
    const needed = this.#stageSide() * devicePixelRatio * this.zoom.scale;
    const showable = SHOWN_BY_BROWSERS.test(name);
    if (!this.zoom.isZoomed || !showable || ((width ?? 0) * (height ?? 0) > HUGE && needed <= MAX_THUMBNAIL)) {
      return Math.min(needed, MAX_THUMBNAIL);
    }
    return Infinity;
  }

  /** @param {number} side */
  #address(side) {
    const { id } = /** @type {Shown} */ (this.#shown);
    return side === Infinity ? original(id) : thumbnail(id, side / devicePixelRatio, MAX_THUMBNAIL);
  }

  /** Replace the picture by a sharper one where the zoom shows more than it has. */
  async #sharpen() {
    if (!this.#shown || !this.canvas?.querySelector(".is-loaded")) return;
    const side = this.#fitting();
    const { signal } = this.#loading;
    const address = this.#address(side);
    if (side <= this.#side || [...this.canvas.children].some((each) => each.getAttribute("src") === address)) return;
    this.#side = side;
    const sharper = el("img", { class: "viewer-image is-loaded", alt: this.#shown.name, src: address });
    if (!(await decoded(sharper)) || signal.aborted) return;
    // One that was asked for later may be there first, and is sharper.
    if (side < this.#shownSide) return;
    this.#shownSide = side;
    for (const image of this.canvas.querySelectorAll("img")) image.remove();
    this.canvas.prepend(sharper);
  }
}

/** @param {HTMLImageElement} image */
const decoded = (image) => image.decode().then(() => true, () => false);
