/**
 * The map: where the pictures that pass the filters were taken.
 *
 * Owns which part of the world is on the screen, how it is moved, and the pins on it. Land and cities are drawn by map_drawing.js; places come from
 * the server. Must not know what a search is.
 *
 * @typedef {{latitude: number, longitude: number, km: number, count: number, image_id: number}} Place
 * @typedef {{latitude: number, longitude: number, zoom: number}} View the middle of the screen; the world is 256 * 2^zoom pixels wide
 */

import { Refused, Unreachable, places as fetchPlaces, thumbnail } from "./api.js";
import { button, byId, el, fill } from "./dom.js";
import { Gestures } from "./gestures.js";
import { MapDrawing } from "./map_drawing.js";
import { latitudeOf, longitudeOf, WORLD, xOf, yOf } from "./mercator.js";
import { t } from "./messages.js";
import { number } from "./words.js";

const MAX_ZOOM = 18;
const SETTLED_MS = 160;
/** Pixels that an arrow key moves. */
const KEY_PAN = 120;
const STEP = 1;
/** The wheel: 240 pixels are one step of zoom. */
const WHEEL_SPEED = Math.LN2 / 240;
/** As long may places be out of date while the library grows. */
const RECOUNT_MS = 2000;
/** Places of no more kilometres, and all at this zoom, are not taken apart any further. */
const SMALL_KM = 0.25;
const PIN = 56;

export class MapView {
  /** @type {View} */ #view = { latitude: 25, longitude: 10, zoom: 2 };
  /** @type {Place[]} */ #places = [];
  /** @type {Map<Place, HTMLElement>} */ #pins = new Map();
  #loading = new AbortController();
  #key = "";
  #timer = 0;
  /** whether the view is somebody's choice, or has all places */ #isPlaced = false;
  /** the view as the address has it */ #written = "";

  /**
   * @param {{moved: (map: string) => void, open: (near: string) => void}} handlers
   *   `moved`: the view as text, for the address; `open`: the pictures in a circle, as the filter `near`
   */
  constructor(handlers) {
    this.handlers = handlers;
    this.root = byId("map-view");
    this.canvas = el("canvas", { class: "map-canvas", "aria-hidden": "true" });
    this.pins = el("ul", { class: "map-pins", "aria-label": t("map.places") });
    this.stage = el("div", { class: "map-stage", tabindex: "0", role: "group", "aria-label": t("map.label"), "aria-keyshortcuts": "ArrowLeft ArrowRight ArrowUp ArrowDown + - 0" }, this.canvas, this.pins);
    this.said = el("p", { class: "map-said", role: "status" });
    this.here = button({ label: t("map.here"), words: t("map.here"), click: () => this.handlers.open(this.#around()) });
    const controls = el(
      "div",
      { class: "map-controls", role: "group", "aria-label": t("viewer.zoom") },
      button({ icon: "plus", label: t("map.closer"), keys: "+", click: () => this.#zoom(STEP) }),
      button({ icon: "minus", label: t("map.farther"), keys: "-", click: () => this.#zoom(-STEP) }),
      button({ icon: "world", label: t("map.all"), keys: "0", click: () => this.#fitAll() }),
    );
    this.bar = el("div", { class: "map-bar" }, this.said, this.here);
    fill(this.root, el("h1", { class: "visually-hidden" }, t("html.map")), this.stage, controls, this.bar, el("p", { class: "map-credit", lang: "en" }, "Natural Earth · GeoNames (CC BY 4.0)"));
    this.drawing = new MapDrawing(this.canvas, () => this.#draw());
    new ResizeObserver(() => this.#resized()).observe(this.stage);
    this.#listen();
  }

  /**
   * Show the places of the pictures that pass the filters.
   *
   * @param {URLSearchParams} query whose filters hold
   * @param {string | null} map the view, as `moved` gave it; null: as it is, at first all places
   * @param {boolean} isFiltered whether that is less than all pictures
   */
  show(query, map, isFiltered) {
    this.isFiltered = isFiltered;
    // What it has told itself comes back with the address.
    if (map !== null && map === this.#written && String(query) === String(this.query) && this.#key) return;
    const view = parsed(map);
    if (view && map !== this.#written) {
      this.#view = view;
      this.#isPlaced = true;
    }
    this.query = query;
    this.drawing.load();
    this.#resized();
    this.#settle(0);
  }

  /** The library has changed: places are fetched again when they are shown. */
  forget() {
    this.#key = "";
  }

  // --- which part of the world --------------------------------------------------------------------

  get #scale() {
    return WORLD * 2 ** this.#view.zoom;
  }

  /** Where a point lies on the screen. @param {number} latitude @param {number} longitude */
  #at(latitude, longitude) {
    return {
      x: (xOf(longitude) - xOf(this.#view.longitude)) * this.#scale + this.stage.clientWidth / 2,
      y: (yOf(latitude) - yOf(this.#view.latitude)) * this.#scale + this.stage.clientHeight / 2,
    };
  }

  /** The part of the world on the screen, in degrees. */
  #bounds() {
    const [across, down] = [this.stage.clientWidth / 2 / this.#scale, this.stage.clientHeight / 2 / this.#scale];
    const [x, y] = [xOf(this.#view.longitude), yOf(this.#view.latitude)];
    return { west: longitudeOf(x - across), east: longitudeOf(x + across), north: latitudeOf(y - down), south: latitudeOf(y + down) };
  }

  /** A circle around what is on the screen, as the filter `near`. */
  #around() {
    const { west, east, north, south } = this.#bounds();
    const height = ((north - south) / 2) * 111.2;
    const width = ((east - west) / 2) * 111.2 * Math.cos((this.#view.latitude * Math.PI) / 180);
    return near({ ...this.#view, km: Math.min(20_000, Math.hypot(height, width)) });
  }

  /** @param {Partial<View>} change */
  #move(change) {
    const { clientWidth: width, clientHeight: height } = this.stage;
    if (!width || !height) return;
    const next = { ...this.#view, ...change };
    next.zoom = this.#bounded(next.zoom);
    const scale = WORLD * 2 ** next.zoom;
    const inside = (/** @type {number} */ value, /** @type {number} */ half) => Math.min(1 - half, Math.max(half, value));
    next.longitude = longitudeOf(inside(xOf(next.longitude), width / 2 / scale));
    next.latitude = latitudeOf(inside(yOf(next.latitude), height / 2 / scale));
    this.#view = next;
    this.#draw();
    this.#settle(SETTLED_MS);
  }

  /** The world fills the screen: no grey margins, and no second world. @param {number} zoom */
  #bounded(zoom) {
    const min = Math.log2(Math.max(this.stage.clientWidth, this.stage.clientHeight, 1) / WORLD);
    return Math.min(MAX_ZOOM, Math.max(min, zoom));
  }

  /** Somebody has chosen what is on the screen: it is theirs from now on, even before the places are there. @param {Partial<View>} change */
  #chosen(change) {
    this.#isPlaced = true;
    this.#move(change);
  }

  /** @param {number} by steps of zoom @param {{x: number, y: number}} [at] a point of the screen that stays where it is */
  #zoom(by, at = { x: this.stage.clientWidth / 2, y: this.stage.clientHeight / 2 }) {
    const [across, down] = [at.x - this.stage.clientWidth / 2, at.y - this.stage.clientHeight / 2];
    const before = this.#scale;
    const zoom = this.#bounded(this.#view.zoom + by);
    const after = WORLD * 2 ** zoom;
    const [x, y] = [xOf(this.#view.longitude) + across / before - across / after, yOf(this.#view.latitude) + down / before - down / after];
    this.#chosen({ zoom, longitude: longitudeOf(x), latitude: latitudeOf(y) });
  }

  /** @param {number} across @param {number} down pixels by which the view moves */
  #pan(across, down) {
    const [x, y] = [xOf(this.#view.longitude) + across / this.#scale, yOf(this.#view.latitude) + down / this.#scale];
    this.#chosen({ longitude: longitudeOf(Math.min(1, Math.max(0, x))), latitude: latitudeOf(Math.min(1, Math.max(0, y))) });
  }

  /** @param {{west: number, south: number, east: number, north: number}} bounds */
  #fit({ west, south, east, north }) {
    const [width, height] = [xOf(east) - xOf(west), yOf(south) - yOf(north)];
    // On a phone the bar is as wide as the screen: no pin below it.
    const below = Math.max(PIN, this.stage.getBoundingClientRect().bottom - this.bar.getBoundingClientRect().top + PIN / 2);
    const room = (/** @type {number} */ pixels, /** @type {number} */ taken) => Math.max(1, pixels - taken);
    const zoom = this.#bounded(Math.min(Math.log2(room(this.stage.clientWidth, 2 * PIN) / WORLD / Math.max(width, 1e-9)), Math.log2(room(this.stage.clientHeight, PIN + below) / WORLD / Math.max(height, 1e-9)), 13));
    const lower = (below - PIN) / 2 / (WORLD * 2 ** zoom);
    this.#isPlaced = true;
    this.#move({ zoom, longitude: longitudeOf((xOf(west) + xOf(east)) / 2), latitude: latitudeOf((yOf(north) + yOf(south)) / 2 + lower) });
  }

  #fitAll() {
    if (this.all) this.#fit(this.all);
  }

  #resized() {
    if (this.root.hidden) return;
    this.drawing.resize(this.stage.clientWidth, this.stage.clientHeight);
    this.#move({});
  }

  // --- places -------------------------------------------------------------------------------------

  /** @param {number} wait */
  #settle(wait) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#load(), wait);
  }

  async #load() {
    if (this.root.hidden || !this.query || !this.stage.clientWidth) return;
    const query = new URLSearchParams(this.query);
    for (const [name, value] of Object.entries(this.#bounds())) query.set(name, value.toFixed(5));
    query.set("zoom", String(Math.round(this.#view.zoom)));
    if (this.#isPlaced && written(this.#view) !== this.#written) {
      this.#written = written(this.#view);
      this.handlers.moved(this.#written);
    }
    // Before the question whether they are there already: the answer for a part that was left meanwhile would replace them.
    this.#loading.abort();
    if (String(query) === this.#key) return;
    this.#loading = new AbortController();
    const { signal } = this.#loading;
    try {
      const found = await fetchPlaces(query, signal);
      if (signal.aborted) return;
      this.all = found.bounds;
      this.here.hidden = !found.in_view;
      this.said.textContent = found.count ? t("map.in-view", { shown: found.in_view, count: found.count }) : t(this.isFiltered ? "map.none-filtered" : "map.none");
      // At first all places are on the screen.
      if (!this.#isPlaced && found.bounds) return this.#fit(found.bounds);
      this.#key = found.current ? String(query) : "";
      this.#show(found.places);
      if (!found.current) this.#settle(RECOUNT_MS);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Refused || error instanceof Unreachable)) throw error;
      this.said.textContent = error.message;
    }
  }

  /** @param {Place[]} places */
  #show(places) {
    const held = [...this.#pins].find(([, pin]) => pin.contains(document.activeElement))?.[0];
    this.#places = places;
    this.#pins = new Map(places.map((place) => [place, this.#pin(place)]));
    fill(this.pins, ...this.#pins.values());
    this.#draw();
    if (!held) return;
    // The keyboard stays at the place where it was, or with the map.
    const same = places.find((place) => Math.hypot(place.latitude - held.latitude, place.longitude - held.longitude) * this.#scale < 360 * PIN);
    const target = same ? this.#pins.get(same)?.querySelector("button") : this.stage;
    target?.focus({ preventScroll: true });
  }

  /** @param {Place} place */
  #pin(place) {
    const name = this.drawing.nearest(place.latitude, place.longitude);
    const label = name ? t("map.pin-near", { count: place.count, name }) : t("map.pin", { count: place.count });
    const image = el("img", { alt: "", src: thumbnail(place.image_id, PIN, 256), loading: "lazy", decoding: "async" });
    // A picture whose drive is away leaves its pin grey.
    image.addEventListener("error", () => image.remove());
    const pin = el("button", { type: "button", class: "map-pin", "aria-label": label, title: label, onclick: () => this.#opened(place) }, image, el("span", { class: "map-count", "aria-hidden": "true" }, number(place.count)));
    return el("li", {}, pin);
  }

  /** @param {Place} place */
  #opened(place) {
    if (place.count === 1 || place.km <= SMALL_KM || this.#view.zoom >= MAX_ZOOM - 1) return this.handlers.open(near(place));
    const down = place.km / 111.2;
    const across = down / Math.max(0.05, Math.cos((place.latitude * Math.PI) / 180));
    this.#fit({ west: place.longitude - across, east: place.longitude + across, south: place.latitude - down, north: place.latitude + down });
  }

  #draw() {
    this.drawing.draw(this.#view);
    for (const [place, pin] of this.#pins) {
      const { x, y } = this.#at(place.latitude, place.longitude);
      pin.style.transform = `translate(${Math.round(x - PIN / 2)}px, ${Math.round(y - PIN / 2)}px)`;
    }
  }

  // --- mouse, fingers, keys -----------------------------------------------------------------------

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

/** @param {{latitude: number, longitude: number, km: number}} circle */
const near = ({ latitude, longitude, km }) => `${latitude.toFixed(5)},${longitude.toFixed(5)},${km < 10 ? km.toFixed(2) : Math.ceil(km)}`;

/** @param {View} view */
const written = ({ latitude, longitude, zoom }) => `${latitude.toFixed(4)},${longitude.toFixed(4)},${zoom.toFixed(2)}`;

/** @param {string | null} map @returns {View | null} */
function parsed(map) {
  const [latitude, longitude, zoom, ...more] = (map ?? "").split(",").map(Number);
  if (more.length || !(Math.abs(latitude) <= 85 && Math.abs(longitude) <= 180 && zoom >= 0 && zoom <= MAX_ZOOM)) return null;
  return { latitude, longitude, zoom };
}
