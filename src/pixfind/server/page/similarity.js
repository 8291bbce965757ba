/**
 * The similarity map: all pictures on one square, the closer together the more alike they look.
 *
 * Owns what its pins lead to: searches for pictures like these. Where each picture lies comes from the server. Must not know how that is found.
 *
 * @typedef {{x: number, y: number, reach: number, count: number, image_id: number}} Group
 */

import { similarity } from "./api.js";
import { Board } from "./board.js";
import { t } from "./messages.js";

const MAX_ZOOM = 12;
/** The smallest screen has the whole square on it. */
const MIN_ZOOM = -4;
/** As many examples make a search for what is on the screen; more would blur it. */
const EXAMPLES = 4;

export class SimilarityView extends Board {
  /**
   * @param {{moved: (view: string) => void, alike: (ids: number[]) => void}} handlers
   *   `moved`: the view as text, for the address; `alike`: the pictures that look like all of these
   */
  constructor(handlers) {
    const words = { title: t("html.similarity"), pins: t("similarity.pins"), label: t("similarity.label"), here: t("similarity.here"), all: t("similarity.all") };
    super("similarity", handlers, { maxZoom: MAX_ZOOM, fills: false, icon: "similarity", words });
    this.alike = handlers.alike;
    this.canvas.remove();
  }

  /** @param {import("./board.js").Box} box @param {URLSearchParams} query @param {AbortSignal} signal */
  async ask(box, query, signal) {
    for (const [name, value] of Object.entries(box)) query.set(name, Math.min(1, Math.max(0, value)).toFixed(6));
    query.set("zoom", String(Math.max(0, Math.round(this.view.zoom))));
    const found = await similarity(query, signal);
    return { pins: found.groups, all: found.bounds, shown: found.in_view, count: found.count, current: found.current };
  }

  /** @param {import("./board.js").View} view */
  written({ x, y, zoom }) {
    return `${x.toFixed(5)},${y.toFixed(5)},${zoom.toFixed(2)}`;
  }

  /** @param {string | null} text */
  parsed(text) {
    const [x, y, zoom, ...more] = (text ?? "").split(",").map(Number);
    if (more.length || !(x >= 0 && x <= 1 && y >= 0 && y <= 1 && zoom >= MIN_ZOOM && zoom <= MAX_ZOOM)) return null;
    return { x, y, zoom };
  }

  /** @param {Group} group */
  labelOf({ count }) {
    return count === 1 ? t("similarity.pin-one") : t("similarity.pin", { count });
  }

  /** @param {import("./board.js").Found} found */
  saidOf({ shown, count }) {
    return count ? t("similarity.in-view", { shown, count }) : t("similarity.none");
  }

  /** @param {Group} group */
  boxOf({ x, y, reach, count }) {
    return count === 1 ? null : { left: x - reach, right: x + reach, top: y - reach, bottom: y + reach };
  }

  /** @param {Group} group */
  open({ image_id: id }) {
    this.alike([id]);
  }

  openHere() {
    const largest = this.shown.sort((one, other) => other.count - one.count);
    this.alike(largest.slice(0, EXAMPLES).map(({ image_id: id }) => id));
  }
}
