/**
 * Where one picture was taken: a small map among the details of the large view, and the city that is near.
 *
 * Owns its canvas. Outlines and cities are fetched once it is seen. Must not know what else the details say.
 */

import { el } from "./dom.js";
import { MapDrawing } from "./map_drawing.js";
import { t } from "./messages.js";

/** Far enough away to see the country. */
const ZOOM = 5;

export class SmallMap {
  /** @type {import("./map_drawing.js").Part} */ #view = { latitude: 0, longitude: 0, zoom: ZOOM };

  constructor() {
    this.canvas = el("canvas", { class: "map-canvas" });
    this.element = el("div", { class: "small-map", "aria-hidden": "true" }, this.canvas, el("span", { class: "small-map-mark" }));
    this.name = el("p", { hidden: true });
    this.drawing = new MapDrawing(this.canvas, () => this.#show());
    // The details may be closed: then it has no size, and needs nothing.
    new ResizeObserver(() => {
      if (!this.element.clientWidth) return;
      this.drawing.load();
      this.drawing.resize(this.element.clientWidth, this.element.clientHeight);
    }).observe(this.element);
  }

  /** @param {number} latitude @param {number} longitude @returns {HTMLElement[]} what to show: the name of the place, if it has one, and the map */
  at(latitude, longitude) {
    this.#view = { latitude, longitude, zoom: ZOOM };
    this.#show();
    return [this.name, this.element];
  }

  #show() {
    const { latitude, longitude } = this.#view;
    const name = this.drawing.nearest(latitude, longitude);
    this.name.textContent = name && t("viewer.near-city", { name });
    this.name.hidden = !name;
    this.drawing.draw(this.#view);
  }
}
