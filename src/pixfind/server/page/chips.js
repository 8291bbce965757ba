/**
 * Chips: one for each finished term of the query.
 *
 * Owns how a term looks and its three controls: the sign, the words (to change them), and the cross. Must not know the
 * field they stand in.
 *
 * @typedef {import("./query.js").Term} Term
 */

import { thumbnail } from "./api.js";
import { el, icon } from "./dom.js";
import { t } from "./messages.js";

/** What a term is called that is more than words: the key of its text. @type {Record<string, string>} */
const NAMES = { id: "chip.like-number", says: "chip.says", name: "chip.named" };

/**
 * @param {Term} term
 * @param {{flip: () => void, edit: () => void, remove: () => void}} handlers
 */
export function termChip(term, handlers) {
  const wanted = term.weight > 0;
  const name = NAMES[term.kind] ? t(NAMES[term.kind], { value: term.value }) : term.value;
  const sign = el(
    "button",
    {
      type: "button",
      class: "chip-sign",
      "aria-label": t(wanted ? "chip.wanted-of" : "chip.unwanted-of", { name }),
      title: t(wanted ? "chip.wanted" : "chip.unwanted"),
      onclick: handlers.flip,
    },
    icon(wanted ? "plus" : "minus"),
  );
  return el("li", { class: wanted ? "chip" : "chip chip--minus" }, sign, label(term, name, handlers.edit), cross(name, handlers.remove));
}

/**
 * An uploaded picture.
 *
 * @param {Blob} picture
 * @param {() => void} remove
 */
export function pictureChip(picture, remove) {
  const name = picture instanceof File && picture.name ? picture.name : t("app.your-picture");
  const address = URL.createObjectURL(picture);
  const shown = el("img", { class: "chip-image", alt: "", src: address });
  shown.addEventListener("load", () => URL.revokeObjectURL(address));
  // A format that browsers cannot show, such as HEIC: the server can read it all the same.
  shown.addEventListener("error", () => shown.replaceWith(icon("picture")));
  return el("li", { class: "chip chip--picture" }, shown, el("span", { class: "chip-words" }, name), cross(name, remove));
}

/**
 * A filter that holds.
 *
 * @param {string} words
 * @param {() => void} remove
 * @param {string} [title] what the words stand for, where they do not say it all
 */
export function filterChip(words, remove, title = words) {
  return el("li", { class: "chip chip--filter" }, el("span", { class: "chip-words", title }, words), cross(words, remove));
}

/** @param {Term} term @param {string} name @param {() => void} edit */
function label(term, name, edit) {
  const weight = Math.abs(term.weight);
  const heavy = weight === 1 ? null : el("span", { class: "chip-weight" }, `×${weight}`);
  if (term.kind === "id") {
    return el("span", { class: "chip-words" }, el("img", { class: "chip-image", alt: name, src: thumbnail(Number(term.value), 40) }), heavy);
  }
  return el("button", { type: "button", class: "chip-words", "aria-label": t("chip.change-of", { name }), title: t("chip.change"), onclick: edit }, name, heavy);
}

/** @param {string} name @param {() => void} remove */
function cross(name, remove) {
  return el("button", { type: "button", class: "chip-cross", "aria-label": t("chip.remove-of", { name }), title: t("chip.remove"), onclick: remove }, icon("close"));
}
