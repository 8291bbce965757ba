/**
 * Albums: searches with a name, and pictures that were put together, on the start page and beside the results.
 *
 * Owns the list, the button that makes or removes one, and the field for its name. Must not know how a place is shown.
 *
 * @typedef {import("./address.js").Place} Place
 * @typedef {{name: string, search: Record<string, any>, pictures: number | null}} Album
 */

import { FILTERS, START, request } from "./address.js";
import * as api from "./api.js";
import { button, byId, el, fill } from "./dom.js";
import { t } from "./messages.js";
import { safeName } from "./words.js";

const SEVERAL = ["where", "label"];

export class Albums {
  /** @type {Album[]} */ #albums = [];
  /** @type {Place} */ #place = START;
  #canChange = false;

  /** @param {{open: (place: Place) => void, notify: (message: string) => void}} handlers */
  constructor(handlers) {
    this.handlers = handlers;
    this.keeper = byId("keep-album");
    this.form = byId("album-form");
    this.name = byId("album-name");
    this.warning = byId("album-exists");
    this.keeper.addEventListener("click", () => this.#pressed());
    this.question = el("form", { class: "album-form album-question", hidden: true });
    this.form.after(this.question);
    this.question.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.#answered();
    });
    this.form.addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      const name = this.name.value.trim();
      if (name) this.#keep(name);
    });
    this.name.addEventListener("input", () => this.#warn(null));
    this.form.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.#ask(false);
    });
  }

  /** Fetch the albums; nothing is shown while there are none. */
  async load() {
    try {
      this.#take(await api.albums());
    } catch (error) {
      if (error instanceof api.Refused) this.handlers.notify(error.message);
      else if (!(error instanceof api.Unreachable)) throw error;
    }
  }

  /** @param {Place} place that is shown */
  show(place) {
    this.#place = place;
    this.form.hidden = true;
    this.question.hidden = true;
    this.#draw();
  }

  get canChange() {
    return this.#canChange;
  }

  /** The names of those that pictures can be put into. */
  get ofPictures() {
    return this.#albums.filter(({ pictures }) => pictures !== null).map(({ name }) => name);
  }

  /** The album whose pictures are shown, or some of them. */
  get shown() {
    return this.#place.filters.album ?? null;
  }

  /** Put pictures into an album, or take them out; raises Refused, Unreachable. @param {string} name @param {{add?: number[], take?: number[]}} change */
  async changePictures(name, change) {
    const [all, part] = [change.add ?? change.take ?? [], change.add ? "add" : "take"];
    for (let first = 0; first < all.length; first += api.MAX_ALBUM_CHANGE) this.#take(await api.changeAlbum({ name, [part]: all.slice(first, first + api.MAX_ALBUM_CHANGE) }));
  }

  #pressed() {
    const here = this.#here();
    if (!here) this.#ask();
    else if (here.pictures === null) this.#change(here.name, null);
    else this.#askToRemove(here.name, here.pictures);
  }

  /** Nothing else knows which pictures were put together: ask first. @param {string} name @param {number} count */
  #askToRemove(name, count) {
    if (!this.question.hidden) return this.#answered();
    const keep = button({ label: t("album.keep-it"), words: t("album.keep-it"), click: () => this.#answered() });
    const remove = async () => {
      this.question.hidden = true;
      // Its pictures are shown no more as those of an album that is gone.
      if ((await this.#change(name, null)) && this.shown === name) this.handlers.open(START);
    };
    fill(this.question, el("p", { role: "status" }, t("album.remove-ask", { name: safeName(name), count })), button({ label: t("album.remove-now"), words: t("album.remove-now"), click: remove }), keep);
    this.question.hidden = false;
    keep.focus();
  }

  #answered() {
    this.question.hidden = true;
    this.keeper.focus();
  }

  #here() {
    const now = key(saved(this.#place));
    return this.#albums.find(({ search }) => key(search) === now);
  }

  #draw() {
    const here = this.#here();
    // A picture of the user's own is forgotten with the page: no album can have it.
    this.keeper.hidden = !this.#canChange || this.#place.picture !== null;
    const words = here ? t("album.remove", { name: safeName(here.name) }) : t("album.keep");
    this.keeper.title = words;
    this.keeper.setAttribute("aria-label", words);
    this.keeper.setAttribute("aria-pressed", String(Boolean(here)));
    const open = ({ name, search }) => button({ label: t("album.open", { name: safeName(name) }), words: safeName(name), icon: "album", class: "button--idea", click: () => this.handlers.open(placeOf(search)) });
    fill(byId("albums"), ...(this.#albums.length ? [el("h2", { class: "visually-hidden" }, t("album.title")), ...this.#albums.map(open)] : []));
  }

  /** @param {boolean} [open] */
  #ask(open = this.form.hidden) {
    this.form.hidden = !open;
    this.#warn(null);
    if (open) {
      this.name.value = this.#place.q.slice(0, 100);
      this.name.select();
      this.name.focus();
    } else this.keeper.focus();
  }

  /** Keep what is shown; in the place of an album with this name only when that was said. @param {string} name */
  async #keep(name) {
    const isWarned = !this.warning.hidden;
    // Another tab may have made one since.
    await this.load();
    const taken = this.#albums.find((album) => album.name.toLowerCase() === name.toLowerCase());
    if (taken && !isWarned && key(taken.search) !== key(saved(this.#place))) return this.#warn(taken.name);
    await this.#change(name, saved(this.#place));
  }

  /** Say that there is such an album, or take that back. @param {string | null} name */
  #warn(name) {
    this.warning.hidden = name === null;
    this.warning.textContent = name === null ? "" : t("album.exists", { name: safeName(name) });
    byId("album-submit").textContent = t(name === null ? "album.keep-now" : "album.replace");
  }

  /** @param {string} name @param {Record<string, any> | null} search @returns {Promise<boolean>} whether it was done */
  async #change(name, search) {
    try {
      this.#take(await api.changeAlbum({ name, search }));
      this.form.hidden = true;
      this.keeper.focus();
      this.handlers.notify(t(search ? "album.kept" : "album.removed", { name: safeName(name) }));
      return true;
    } catch (error) {
      if (!(error instanceof api.Refused || error instanceof api.Unreachable)) throw error;
      this.handlers.notify(error.message);
      return false;
    }
  }

  /** @param {{albums: Album[], can_change: boolean}} found */
  #take({ albums, can_change: canChange }) {
    this.#albums = albums;
    this.#canChange = canChange;
    this.#draw();
  }
}

/** What an album keeps of a place. @param {Place} place */
function saved(place) {
  /** @type {Record<string, any>} */
  const search = {};
  const parameters = request(place);
  for (const [name, value] of parameters) {
    if (SEVERAL.includes(name)) search[name] = [...(search[name] ?? []), value];
    else if (name === "min_size" || name === "max_size") search[name] = Number(value);
    else if (name === "all") search[name] = true;
    else if (name === "q" || name === "sort" || FILTERS.includes(/** @type {any} */ (name))) search[name] = value;
  }
  return search;
}

/** @param {Record<string, any>} search @returns {Place} */
function placeOf(search) {
  /** @type {Record<string, string>} */
  const filters = {};
  for (const name of FILTERS) {
    const value = search[name];
    if (Array.isArray(value) ? value.length : value) filters[name] = Array.isArray(value) ? value.join(";") : String(value);
  }
  if (filters.in === "*") delete filters.in;
  return { ...START, q: search.q ?? "", filters, sort: search.sort ?? null, all: Boolean(search.all) };
}

/** Equal for two searches of the same pictures. @param {Record<string, any>} search */
function key(search) {
  const entries = Object.entries(search).filter(([, value]) => (Array.isArray(value) ? value.length : value));
  return JSON.stringify(entries.map(([name, value]) => [name, Array.isArray(value) ? value : String(value)]).sort());
}
