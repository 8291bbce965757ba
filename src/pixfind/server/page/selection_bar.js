/**
 * The bar that a selection opens: how many pictures, and what can be done with them.
 *
 * Owns its buttons, its keys, and what it says. Must not know how pictures are selected.
 */

import { AlbumPicker } from "./album_picker.js";
import { button, byId, el, fill, isTyping } from "./dom.js";
import { t } from "./messages.js";
import { contactSheet, copyPaths, download } from "./taking.js";

export class SelectionBar {
  /**
   * @param {import("./selection.js").Selection} selection
   * @param {import("./albums.js").Albums} albums
   * @param {{title: () => string, closed: () => void, open: (album: string) => void, changed: (isShown: boolean) => void}} handlers
   *   `title`: of a contact sheet; `closed`: the focus needs a place; `open`: show an album; `changed`: an album has other pictures, maybe the one that is shown
   */
  constructor(selection, albums, handlers) {
    this.selection = selection;
    this.bar = byId("selection-bar");
    this.count = el("p", { class: "selection-count", role: "status" });
    this.message = el("p", { class: "selection-message", role: "status", hidden: true });
    const speaker = { say: this.say.bind(this) };
    this.albums = albums;
    this.picker = new AlbumPicker(albums, { ...handlers, ...speaker, pictures: () => selection.pictures });
    this.actions = {
      p: () => copyPaths(selection.pictures, speaker),
      d: () => download(selection.pictures, speaker),
      t: () => contactSheet(selection.pictures, handlers.title(), speaker),
      b: () => albums.canChange && this.picker.toggle(),
      r: () => albums.canChange && albums.shown !== null && this.picker.takeOut(),
    };
    const clear = () => {
      selection.clear();
      handlers.closed();
    };
    this.add = tool("album", t("album.add"), "b", this.actions.b);
    this.takeOut = tool("minus", t("album.take"), "r", this.actions.r);
    const main = el(
      "div",
      { class: "selection-main" },
      button({ icon: "close", label: t("selection.clear"), keys: "Escape", class: "button--bare", click: clear }),
      this.count,
      this.add,
      this.takeOut,
      tool("copy", t("selection.copy"), "p", this.actions.p),
      tool("download", t("selection.download"), "d", this.actions.d),
      tool("sheet", t("selection.sheet"), "t", this.actions.t),
    );
    fill(this.bar, this.message, this.picker.form, main);
    this.bar.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => event.key === "Escape" && clear());
    addEventListener("keydown", (event) => this.#pressed(event));
  }

  /** Show what is selected now, and what can be done with it here. */
  update() {
    const { size } = this.selection;
    this.bar.hidden = !size;
    this.say("");
    if (!size) this.picker.toggle(false);
    this.add.hidden = !this.albums.canChange;
    this.takeOut.hidden = !this.albums.canChange || this.albums.shown === null;
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
    // Behind a message or an answer the focus is nowhere.
    if (event.key === "Escape" && document.activeElement === document.body) return this.selection.clear();
    const action = this.actions[/** @type {"p" | "d" | "t" | "b" | "r"} */ (event.key)];
    if (!action) return;
    event.preventDefault();
    action();
  }
}

/** @param {string} icon @param {string} words @param {string} keys @param {() => void} click */
const tool = (icon, words, keys, click) => button({ icon, label: words, words, keys, class: "button--bare selection-tool", click });
