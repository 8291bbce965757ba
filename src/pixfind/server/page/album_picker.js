/**
 * Puts the selected pictures into an album, and takes them out of the one that is shown.
 *
 * Owns the field for the album's name and what is said. Must not know how pictures are selected, or where albums are kept.
 *
 * @typedef {{image_id: number}} Picture
 * @typedef {{say: (message: string, action?: {words: string, click: () => void}) => void}} Speaker
 */

import { Refused, Unreachable } from "./api.js";
import { button, el, fill } from "./dom.js";
import { t } from "./messages.js";
import { safeName } from "./words.js";

export class AlbumPicker {
  /** @type {HTMLElement | null} what had the focus before the field */ #before = null;

  /**
   * @param {import("./albums.js").Albums} albums
   * @param {{pictures: () => Picture[], open: (album: string) => void, changed: (isShown: boolean) => void} & Speaker} handlers `open`: show an album; `changed`: one has other pictures
   */
  constructor(albums, handlers) {
    this.albums = albums;
    this.handlers = handlers;
    this.names = el("datalist", { id: "album-names" });
    this.name = /** @type {HTMLInputElement} */ (el("input", { type: "text", maxlength: "100", required: true, list: "album-names", autocomplete: "off", "aria-label": t("album.for-selected"), placeholder: t("album.name") }));
    this.form = el("form", { class: "album-form album-picker", hidden: true }, this.name, this.names, el("button", { class: "button", type: "submit" }, t("album.add-now")));
    this.form.addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      const name = this.name.value.trim();
      if (name) this.#add(name);
    });
    this.form.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.toggle(false);
    });
  }

  /** @param {boolean} [open] */
  toggle(open = this.form.hidden) {
    if (open === !this.form.hidden) return;
    this.form.hidden = !open;
    if (!open) return void this.#before?.focus();
    this.#before = /** @type {HTMLElement | null} */ (document.activeElement);
    fill(this.names, ...this.albums.ofPictures.map((name) => el("option", { value: name })));
    this.name.value = this.albums.shown ?? "";
    this.name.select();
    this.name.focus();
  }

  /** @param {string} name */
  async #add(name) {
    const ids = this.#ids();
    if (!(await this.#change(name, { add: ids }))) return;
    this.toggle(false);
    const words = t("album.show");
    this.handlers.say(t("album.added", { count: ids.length, name: safeName(name) }), { words, click: () => this.handlers.open(name) });
  }

  async takeOut() {
    const [name, ids] = [this.albums.shown, this.#ids()];
    if (name === null || !(await this.#change(name, { take: ids }))) return;
    this.handlers.say(t("album.taken", { count: ids.length, name: safeName(name) }));
  }

  #ids() {
    return this.handlers.pictures().map(({ image_id: id }) => id);
  }

  /** @param {string} name @param {{add?: number[], take?: number[]}} change */
  async #change(name, change) {
    try {
      await this.albums.changePictures(name, change);
      this.handlers.changed(name.toLowerCase() === this.albums.shown?.toLowerCase());
      return true;
    } catch (error) {
      if (!(error instanceof Refused || error instanceof Unreachable)) throw error;
      this.handlers.say(error.message);
      return false;
    }
  }
}
