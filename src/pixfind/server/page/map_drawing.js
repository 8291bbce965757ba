/**
 * Land, borders and cities on a canvas, from outlines that come with the page: no other host draws it.
 *
 * Owns the file of outlines, and the colours, which are those of the canvas in map.css. Must not know what lies on the map.
 *
 * @typedef {{latitude: number, longitude: number, zoom: number}} Part the middle of the screen, in degrees; the world is 256 * 2^zoom pixels wide
 */

import { mapFile, Refused, Unreachable } from "./api.js";
import { cities as allCities, nearest } from "./cities.js";
import { WORLD, xOf, yOf } from "./mercator.js";

/** Cities that are named at zoom 3; at each more twice as many. */
const CITIES_AT_3 = 40;
const LABEL = { width: 110, height: 22 };
/** Paths are in this many units a world: in fewer, lines would be thinner than a canvas can say. */
const UNITS = 65_536;

export class MapDrawing {
  /** @type {{land: Path2D, borders: Path2D} | null} */ #outlines = null;
  /** @type {import("./cities.js").City[]} the largest first */ #cities = [];
  /** @type {Part | null} */ #view = null;
  #frame = 0;
  #width = 0;
  #height = 0;

  /** @param {HTMLCanvasElement} canvas @param {() => void} loaded there is more to draw */
  constructor(canvas, loaded) {
    this.canvas = canvas;
    this.loaded = loaded;
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#later());
    new MutationObserver(() => this.#later()).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  }

  /** Fetch outlines and cities. Without them the pins are there all the same. */
  async load() {
    if (this.#outlines) return;
    try {
      [this.#outlines, this.#cities] = await Promise.all([drawn(), allCities()]);
      this.loaded();
    } catch (error) {
      // The next time the map is shown it is tried again.
      if (!(error instanceof Refused || error instanceof Unreachable)) throw error;
    }
  }

  /** The city near a point, "" for none. @param {number} latitude @param {number} longitude */
  nearest(latitude, longitude) {
    return nearest(this.#cities, latitude, longitude);
  }

  /** @param {number} width @param {number} height in CSS pixels */
  resize(width, height) {
    [this.#width, this.#height] = [width, height];
    this.canvas.width = Math.round(width * devicePixelRatio);
    this.canvas.height = Math.round(height * devicePixelRatio);
    this.#later();
  }

  /** @param {Part} view */
  draw(view) {
    this.#view = view;
    this.#later();
  }

  #later() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#now();
    });
  }

  #now() {
    const context = this.canvas.getContext("2d");
    if (!context || !this.#view || !this.#width) return;
    // Resolved for the theme by the browser.
    const colours = getComputedStyle(this.canvas);
    const scale = WORLD * 2 ** this.#view.zoom;
    const [left, top] = [xOf(this.#view.longitude) * scale - this.#width / 2, yOf(this.#view.latitude) * scale - this.#height / 2];
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (this.#outlines) {
      const unit = (scale / UNITS) * devicePixelRatio;
      context.fillStyle = colours.fill;
      context.strokeStyle = colours.stroke;
      context.lineWidth = 1 / (scale / UNITS);
      // A world narrower than the screen goes on at both sides, and the south pole below it.
      const beside = Math.max(0, Math.ceil((this.#width / scale - 1) / 2));
      for (let copy = -beside; copy <= beside; copy++) {
        context.setTransform(unit, 0, 0, unit, (copy * scale - left) * devicePixelRatio, -top * devicePixelRatio);
        context.fill(this.#outlines.land, "evenodd");
        context.stroke(this.#outlines.borders);
        context.fillRect(0, UNITS, UNITS, UNITS);
      }
    }
    context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    this.#names(context, colours.color, scale, left, top);
  }

  /** @param {CanvasRenderingContext2D} context @param {string} colour @param {number} scale @param {number} left @param {number} top */
  #names(context, colour, scale, left, top) {
    context.fillStyle = colour;
    context.font = `12px ${getComputedStyle(document.body).fontFamily}`;
    context.textBaseline = "middle";
    context.textAlign = "left";
    const taken = new Set();
    const many = CITIES_AT_3 * 2 ** (/** @type {Part} */ (this.#view).zoom - 3);
    for (const city of this.#cities.slice(0, many)) {
      const [x, y] = [city.x * scale - left, city.y * scale - top];
      if (x < 0 || y < 0 || x > this.#width || y > this.#height) continue;
      // No two names in one cell, nor in two neighbours.
      const [across, down] = [Math.floor(x / LABEL.width), Math.floor(y / LABEL.height)];
      if ([-1, 0, 1].some((side) => [-1, 0, 1].some((line) => taken.has(`${across + side},${down + line}`)))) continue;
      taken.add(`${across},${down}`);
      context.beginPath();
      context.arc(x, y, 2, 0, 2 * Math.PI);
      context.fill();
      context.fillText(city.name, x + 6, y);
    }
  }
}

/** @type {Promise<ReturnType<typeof paths>> | null} */
let drawing = null;

/** Outlines, fetched once for all maps of the page. */
function drawn() {
  drawing ??= mapFile("outlines").then(paths).catch((error) => {
    drawing = null;
    throw error;
  });
  return drawing;
}

/** @param {{arcs: number[][], land: number[][], borders: number[]}} outlines as tools/map_data.py writes them */
function paths({ arcs, land, borders }) {
  const points = arcs.map((arc) => {
    let [longitude, latitude] = [0, 0];
    const made = [];
    for (let at = 0; at < arc.length; at += 2) {
      longitude += arc[at];
      latitude += arc[at + 1];
      made.push([xOf(longitude / 100) * UNITS, yOf(latitude / 100) * UNITS]);
    }
    return made;
  });
  const [made, lines] = [new Path2D(), new Path2D()];
  for (const ring of land) {
    // Each arc begins where the one before ended.
    const whole = ring.flatMap((place, at) => (place < 0 ? [...points[~place]].reverse() : points[place]).slice(at ? 1 : 0));
    for (const copy of onMap(unrolled(whole))) {
      copy.forEach(([x, y], at) => (at ? made.lineTo(x, y) : made.moveTo(x, y)));
      made.closePath();
    }
  }
  for (const place of borders) points[place].forEach(([x, y], at) => (at ? lines.lineTo(x, y) : lines.moveTo(x, y)));
  return { land: made, borders: lines };
}

/**
 * A ring without jumps over the line of the date: a line across the whole map would be drawn for each. What goes around the pole is closed below the map.
 *
 * @param {number[][]} ring
 */
function unrolled(ring) {
  let shift = 0;
  const points = ring.map(([x, y], at) => {
    const jump = at ? x - ring[at - 1][0] : 0;
    if (Math.abs(jump) > UNITS / 2) shift -= Math.sign(jump) * UNITS;
    return [x + shift, y];
  });
  return shift ? [...points, [points[points.length - 1][0], UNITS], [points[0][0], UNITS]] : points;
}

/** A ring wherever it is seen on the map: what lies beyond one side comes in at the other. @param {number[][]} ring */
function onMap(ring) {
  const [min, max] = ring.reduce(([low, high], [x]) => [Math.min(low, x), Math.max(high, x)], [Infinity, -Infinity]);
  return [-UNITS, 0, UNITS].filter((by) => max + by > 0 && min + by < UNITS).map((by) => ring.map(([x, y]) => [x + by, y]));
}
