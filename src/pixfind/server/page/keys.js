/**
 * The list of keys, opened with `?` and by its button.
 *
 * Owns the dialog and its text. Must not know what the keys do: each part handles its own.
 */

import { button, byId, el, fill } from "./dom.js";
import { t } from "./messages.js";

/** Keys by where they work; the texts are messages. @type {[string, [string[], string][]][]} */
const KEYS = [
  ["keys.everywhere", [
    [["/"], "keys.to-field"],
    [["?"], "keys.this-list"],
    [["c"], "keys.copies-address"],
  ]],
  ["keys.field", [
    [["Enter"], "keys.finishes"],
    [["Backspace"], "keys.last-term"],
    [["Esc"], "keys.clears-query"],
    [["↓"], "keys.to-pictures"],
  ]],
  ["keys.pictures", [
    [["←", "→", "↑", "↓", "Home", "End"], "keys.moves"],
    [["Enter"], "keys.opens"],
    [["s"], "keys.similar"],
    [["a", "+"], "keys.adds"],
    [["l", "-"], "keys.less"],
    [["u"], "keys.unfolds"],
    [["x", "Space"], "keys.selects"],
    [["Shift + ←→↑↓"], "keys.selects-range"],
    [["Ctrl + A"], "keys.selects-all"],
    [["Esc"], "keys.clears-selection"],
  ]],
  ["keys.timeline", [
    [["↑", "↓"], "keys.month"],
    [["Page ↑", "Page ↓"], "keys.year"],
  ]],
  ["keys.map", [
    [["←", "→", "↑", "↓"], "keys.map-moves"],
    [["+", "-"], "keys.map-zooms"],
    [["0"], "keys.map-all"],
  ]],
  ["keys.selection", [
    [["p"], "keys.copies-paths"],
    [["d"], "keys.downloads"],
    [["t"], "keys.sheet"],
    [["b"], "keys.adds-to-album"],
    [["r"], "keys.takes-out"],
  ]],
  ["keys.viewer", [
    [["←", "→"], "keys.steps"],
    [["i"], "keys.details"],
    [["f"], "keys.folder"],
    [["+", "-"], "keys.zooms"],
    [["0"], "keys.zoom-toggle"],
    [["←", "→", "↑", "↓"], "keys.pans"],
    [["s", "a", "l"], "keys.as-above"],
    [["x"], "keys.selects-picture"],
    [["p", "c", "d"], "keys.takes"],
    [["o"], "keys.original"],
    [["Esc"], "keys.closes"],
  ]],
];

/** What stands on the key, in the language of the reader. @param {string} name */
const cap = (name) => name.replace(/[A-Z][a-z]+/g, (word) => t(`key.${word}`));

/** Build the dialog, and return what opens it. @returns {() => void} */
export function keyList() {
  const dialog = /** @type {HTMLDialogElement} */ (byId("keys"));
  const close = button({ icon: "close", label: t("viewer.close"), class: "button--bare", click: () => dialog.close() });
  const sections = KEYS.map(([title, keys]) =>
    el("section", {}, el("h2", {}, t(title)), el("dl", {}, ...keys.flatMap(([names, meaning]) => [el("dt", {}, ...names.map((name) => el("kbd", {}, cap(name)))), el("dd", {}, t(meaning))]))),
  );
  fill(dialog, el("header", { class: "keys-head" }, el("h1", { id: "keys-title" }, t("html.keys")), close), el("div", { class: "keys-list", tabindex: "0", role: "group", "aria-labelledby": "keys-title" }, el("div", { class: "keys-columns" }, ...sections)));
  // A click beside the list closes it.
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  return () => dialog.open || dialog.showModal();
}
