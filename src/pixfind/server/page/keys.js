/**
 * The list of keys, opened with `?` and by its button.
 *
 * Owns the dialog and its text. Must not know what the keys do: each part handles its own.
 */

import { button, byId, el, fill } from "./dom.js";

/** @type {[string, [string[], string][]][]} */
const KEYS = [
  ["Everywhere", [
    [["/"], "to the search field"],
    [["?"], "this list"],
  ]],
  ["Search field", [
    [["Enter"], "finishes a term"],
    [["Backspace"], "at the start: changes the last term"],
    [["Esc"], "clears the query"],
    [["↓"], "to the pictures"],
  ]],
  ["Pictures", [
    [["←", "→", "↑", "↓", "Home", "End"], "moves"],
    [["Enter"], "opens the picture"],
    [["s"], "more like this"],
    [["+"], "adds the picture to the query"],
    [["-"], "less like this"],
    [["u"], "shows or folds its near-duplicates"],
  ]],
  ["Large view", [
    [["←", "→"], "previous, next picture"],
    [["i"], "details"],
    [["s", "+", "-"], "as above"],
    [["o"], "opens the original file"],
    [["Esc"], "closes"],
  ]],
];

/** Build the dialog, and return what opens it. @returns {() => void} */
export function keyList() {
  const dialog = /** @type {HTMLDialogElement} */ (byId("keys"));
  const close = button({ icon: "close", label: "Close", class: "button--bare", click: () => dialog.close() });
  const sections = KEYS.map(([title, keys]) =>
    el("section", {}, el("h2", {}, title), el("dl", {}, ...keys.flatMap(([names, meaning]) => [el("dt", {}, ...names.map((name) => el("kbd", {}, name))), el("dd", {}, meaning)]))),
  );
  fill(dialog, el("header", { class: "keys-head" }, el("h1", { id: "keys-title" }, "Keys"), close), el("div", { class: "keys-list", tabindex: "0", role: "group", "aria-labelledby": "keys-title" }, ...sections));
  // A click beside the list closes it.
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  return () => dialog.open || dialog.showModal();
}
