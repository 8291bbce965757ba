/**
 * One picture of the grid.
 *
 * Owns the elements of a tile and its text. Must not know where it lies or what its buttons do: those carry
 * `data-do`, and the grid listens.
 *
 * @typedef {import("./api.js").Hit} Hit
 */

import { thumbnail, original } from "./api.js";
import { el, icon } from "./dom.js";
import { t } from "./messages.js";
import { instant, moment, quoted, safeName, score, stackName } from "./words.js";

/** Larger ones cost more than they show. */
const MAX_SIDE = 512;

/**
 * @param {Hit & {member?: boolean, unfolded?: boolean}} hit
 * @param {HTMLImageElement | undefined} image one that shows this picture already; it will not flicker
 * @returns {HTMLLIElement}
 */
export function makeTile(hit, image) {
  const shown = image ?? makeImage(hit);
  const link = el(
    "a",
    { class: "tile-link", href: original(hit.image_id), tabindex: "-1", "data-do": "open", title: [safeName(hit.path), ...(hit.lines ?? []).map(({ text }) => quoted([text]))].join("\n") },
    shown,
    el(
      "span",
      { class: "tile-caption" },
      el("bdi", { class: "tile-name", "aria-hidden": "true" }, safeName(hit.name)),
      hit.taken && el("span", { class: "visually-hidden" }, t("tile.date", { date: instant(hit.taken.slice(0, 10)) })),
      hit.time !== null && el("span", { class: "tile-score" }, el("span", { class: "visually-hidden" }, t("tile.moment")), moment(hit.time)),
      hit.score !== null && el("span", { class: "tile-score" }, el("span", { class: "visually-hidden" }, t("tile.score")), score(hit.score)),
    ),
  );
  const made = el("li", { class: hit.member ? "tile tile--member" : "tile", "data-id": hit.image_id }, link, mark(hit), actions());
  if (hit.folded) made.append(foldButton(hit));
  return made;
}

/** @param {Hit} hit */
function makeImage(hit) {
  const made = el("img", { class: "tile-image", alt: safeName(hit.name), decoding: "async" });
  made.addEventListener("load", () => made.classList.add("is-loaded"));
  made.addEventListener("error", () => made.closest(".tile")?.classList.add("tile--broken"));
  return made;
}

/**
 * Let the picture load, for the size that it has on the screen.
 *
 * @param {HTMLElement} tile
 * @param {number} side the longer one, in CSS pixels
 */
export function load(tile, side) {
  const image = imageOf(tile);
  if (!image.hasAttribute("src")) image.src = thumbnail(Number(tile.dataset.id), side, MAX_SIDE);
}

/** Stop loading a picture that scrolled away. @param {HTMLElement} tile */
export function unload(tile) {
  const image = imageOf(tile);
  if (!image.complete) image.removeAttribute("src");
}

/** @param {HTMLElement} tile @returns {HTMLImageElement} */
export function imageOf(tile) {
  const found = tile.querySelector("img");
  if (!found) throw new Error("a tile has an image");
  return found;
}

/** @param {Hit} hit */
function mark(hit) {
  const props = { type: "button", class: "tile-mark", tabindex: "-1", "aria-pressed": "false", title: t("tile.select") };
  return el("button", { ...props, "aria-label": t("tile.select-of", { name: safeName(hit.name) }) }, icon("check"));
}

/** For the mouse; the keyboard has keys, which the grid owns, and the large view has all of them as buttons. */
function actions() {
  const all = [
    ["similar", t("action.similar")],
    ["plus", t("action.plus")],
    ["minus", t("action.minus")],
  ];
  return el(
    "span",
    { class: "tile-actions" },
    ...all.map(([what, label]) =>
      el("button", { type: "button", class: "tile-button", tabindex: "-1", "data-do": what, title: label, "aria-label": label }, icon(what)),
    ),
  );
}

/** @param {Hit & {unfolded?: boolean}} hit */
function foldButton(hit) {
  const props = { type: "button", class: "tile-fold", tabindex: "-1", "data-do": "unfold", "aria-expanded": String(Boolean(hit.unfolded)) };
  const label = t(hit.unfolded ? "tile.fold" : "tile.unfold", { stack: stackName(hit) });
  return el("button", { ...props, "aria-label": label, title: `${label} (u)` }, icon("stack"), el("span", {}, hit.folded));
}
