/**
 * Where one picture was taken: a small map among the details of the large view.
 *
 * Owns its canvas. Outlines are fetched once it is seen. Must not know what else the details say.
 */

import { el } from "./dom.js";
import { MapDrawing } from "./map_drawing.js";

/** Far enough away to see the country. */
const ZOOM = 5;

export class SmallMap {
  /** @type {import("./map_drawing.js").Part} */ #view = { latitude: 0, longitude: 0, zoom: ZOOM };

  constructor() {
    this.canvas = el("canvas", { class: "map-canvas" });
    this.element = el("div", { class: "small-map", "aria-hidden": "true" }, this.canvas, el("span", { class: "small-map-mark" }));
    this.drawing = new MapDrawing(this.canvas, () => this.drawing.draw(this.#view));
    // The details may be closed: then it has no size, and needs nothing.
    new ResizeObserver(() => {
      if (!this.element.clientWidth) return;
      this.drawing.load();
      this.drawing.resize(this.element.clientWidth, this.element.clientHeight);
    }).observe(this.element);
  }

  /** @param {number} latitude @param {number} longitude @returns {HTMLElement} what to show */
  at(latitude, longitude) {
    this.#view = { latitude, longitude, zoom: ZOOM };
    this.drawing.draw(this.#view);
    return this.element;
  }
}
