/**
 * The map: where the pictures that pass the filters were taken.
 *
 * Owns degrees: what a board calls its square is Mercator's map of the world here. Land and cities are drawn by map_drawing.js; places come from the
 * server.
 *
 * @typedef {{latitude: number, longitude: number, km: number, count: number, image_id: number}} Place
 */

import { places } from "./api.js";
import { Board } from "./board.js";
import { el } from "./dom.js";
import { MapDrawing } from "./map_drawing.js";
import { latitudeOf, longitudeOf, xOf, yOf } from "./mercator.js";
import { t } from "./messages.js";

const MAX_ZOOM = 18;
/** Places of no more kilometres are not taken apart any further. */
const SMALL_KM = 0.25;
const KM_A_DEGREE = 111.2;

export class MapView extends Board {
  /**
   * @param {{moved: (map: string) => void, open: (near: string) => void}} handlers
   *   `moved`: the view as text, for the address; `open`: the pictures in a circle, as the filter `near`
   */
  constructor(handlers) {
    const words = { title: t("html.map"), pins: t("map.pins"), label: t("map.label"), here: t("map.here"), all: t("map.all") };
    super("map", handlers, { maxZoom: MAX_ZOOM, fills: true, icon: "world", words, credit: el("p", { class: "map-credit", lang: "en" }, "Natural Earth · GeoNames (CC BY 4.0)") });
    this.opened = handlers.open;
    this.drawing = new MapDrawing(this.canvas, () => {
      this.draw();
      // Pins may have come before the cities that they lie near.
      this.relabel();
    });
    this.view = { x: xOf(10), y: yOf(25), zoom: 2 };
  }

  /** @param {URLSearchParams} query @param {string | null} text @param {boolean} isFiltered */
  show(query, text, isFiltered) {
    this.drawing.load();
    super.show(query, text, isFiltered);
  }

  /** @param {import("./board.js").Box} box @param {URLSearchParams} query @param {AbortSignal} signal */
  async ask({ left, top, right, bottom }, query, signal) {
    const bounds = { west: longitudeOf(left), east: longitudeOf(right), north: latitudeOf(top), south: latitudeOf(bottom) };
    for (const [name, value] of Object.entries(bounds)) query.set(name, value.toFixed(5));
    query.set("zoom", String(Math.max(0, Math.round(this.view.zoom))));
    const found = await places(query, signal);
    const all = found.bounds && { left: xOf(found.bounds.west), right: xOf(found.bounds.east), top: yOf(found.bounds.north), bottom: yOf(found.bounds.south) };
    return { pins: found.places.map((place) => ({ ...place, x: xOf(place.longitude), y: yOf(place.latitude) })), all, shown: found.in_view, count: found.count, current: found.current };
  }

  /** @param {import("./board.js").View} view */
  written({ x, y, zoom }) {
    return `${latitudeOf(y).toFixed(4)},${longitudeOf(x).toFixed(4)},${zoom.toFixed(2)}`;
  }

  /** @param {string | null} text */
  parsed(text) {
    const [latitude, longitude, zoom, ...more] = (text ?? "").split(",").map(Number);
    if (more.length || !(Math.abs(latitude) <= 85 && Math.abs(longitude) <= 180 && zoom >= 0 && zoom <= MAX_ZOOM)) return null;
    return { x: xOf(longitude), y: yOf(latitude), zoom };
  }

  /** @param {Place} place */
  labelOf({ latitude, longitude, count }) {
    const name = this.drawing.nearest(latitude, longitude);
    return name ? t("map.pin-near", { count, name }) : t("map.pin", { count });
  }

  /** @param {import("./board.js").Found} found */
  saidOf({ shown, count }) {
    return count ? t("map.in-view", { shown, count }) : t(this.isFiltered ? "map.none-filtered" : "map.none");
  }

  /** @param {Place} place */
  boxOf({ latitude, longitude, km, count }) {
    if (count === 1 || km <= SMALL_KM) return null;
    const down = km / KM_A_DEGREE;
    const across = down / Math.max(0.05, Math.cos((latitude * Math.PI) / 180));
    return { left: xOf(longitude - across), right: xOf(longitude + across), top: yOf(latitude + down), bottom: yOf(latitude - down) };
  }

  /** @param {Place} place */
  open(place) {
    this.opened(near(place));
  }

  /** A circle around what is on the screen. */
  openHere() {
    const { left, top, right, bottom } = this.box;
    const latitude = latitudeOf(this.view.y);
    const height = ((latitudeOf(top) - latitudeOf(bottom)) / 2) * KM_A_DEGREE;
    const width = ((longitudeOf(right) - longitudeOf(left)) / 2) * KM_A_DEGREE * Math.cos((latitude * Math.PI) / 180);
    this.opened(near({ latitude, longitude: longitudeOf(this.view.x), km: Math.min(20_000, Math.hypot(height, width)) }));
  }

  draw() {
    this.drawing.draw({ latitude: latitudeOf(this.view.y), longitude: longitudeOf(this.view.x), zoom: this.view.zoom });
  }

  /** @param {number} width @param {number} height */
  resize(width, height) {
    this.drawing.resize(width, height);
  }
}

/** @param {{latitude: number, longitude: number, km: number}} circle */
const near = ({ latitude, longitude, km }) => `${latitude.toFixed(5)},${longitude.toFixed(5)},${km < 10 ? km.toFixed(2) : Math.ceil(km)}`;
