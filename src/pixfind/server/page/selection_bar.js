/**
 * The bar that a selection opens: how many pictures, and what can be done with them.
 *
 * Owns its buttons, its keys, and what it says. Must not know how pictures are selected.
 */

import { button, byId, el, fill, isTyping } from "./dom.js";
import { t } from "./messages.js";
import { contactSheet, copyPaths, download } from "./taking.js";

export class SelectionBar {
  /**
   * @param {import("./selection.js").Selection} selection
   * @param {{title: () => string, closed: () => void}} handlers `title`: of a contact sheet; `closed`: the focus needs a place
   */
  constructor(selection, handlers) {
    this.selection = selection;
    this.bar = byId("selection-bar");
    this.count = el("p", { class: "selection-count", role: "status" });
    this.message = el("p", { class: "selection-message", role: "status", hidden: true });
    const speaker = { say: this.say.bind(this) };
    this.actions = {
      p: () => copyPaths(selection.pictures, speaker),
      d: () => download(selection.pictures, speaker),
      t: () => contactSheet(selection.pictures, handlers.title(), speaker),
    };
    const clear = () => {
      selection.clear();
      handlers.closed();
    };
    const main = el(
      "div",
      { class: "selection-main" },
      button({ icon: "close", label: t("selection.clear"), keys: "Escape", class: "button--bare", click: clear }),
      this.count,
      tool("copy", t("selection.copy"), "p", this.actions.p),
      tool("download", t("selection.download"), "d", this.actions.d),
      tool("sheet", t("selection.sheet"), "t", this.actions.t),
    );
    fill(this.bar, this.message, main);
    this.bar.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => event.key === "Escape" && clear());
    addEventListener("keydown", (event) => this.#pressed(event));
  }

  /** Show what is selected now. */
  update() {
    const { size } = this.selection;
    this.bar.hidden = !size;
    this.say("");
    this.count.textContent = size ? t("selection.selected", { count: size }) : "";
  }

  /** @param {string} message @param {{words: string, click: () => void}} [action] a button behind it */
  say(message, action) {
    this.message.hidden = !message;
    fill(this.message, message, action ? button({ label: action.words, words: action.words, class: "button--text", click: action.click }) : "");
  }

  /** @param {KeyboardEvent} event */
  #pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event) || !this.selection.size) return;
    if (document.querySelector("dialog[open]")) return;
    const action = this.actions[/** @type {"p" | "d" | "t"} */ (event.key)];
    if (!action) return;
    event.preventDefault();
    action();
  }
}

/** @param {string} icon @param {string} words @param {string} keys @param {() => void} click */
const tool = (icon, words, keys, click) => button({ icon, label: words, words, keys, class: "button--bare selection-tool", click });
