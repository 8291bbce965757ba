/**
 * The large view: one picture, what is known of it, and where to go from it.
 *
 * Owns the dialog and its keys. The browser traps the focus in a modal dialog; giving it back is up to the caller, as
 * the tile may be a new one. Must not know how hits were found.
 *
 * @typedef {import("./api.js").Hit} Hit
 * @typedef {"similar" | "plus" | "minus"} Action
 */

import { Refused, image as metadata, original, thumbnail } from "./api.js";
import { button, byId, el, fill, icon } from "./dom.js";
import { instant, number, safeName, score, size } from "./words.js";

/** What browsers show; the rest (HEIC, TIFF ...) is seen as the server's thumbnail only. */
const SHOWN_BY_BROWSERS = /\.(jpe?g|jpe|jfif|png|gif|webp|avif|bmp)$/i;
const MAX_THUMBNAIL = 1024;
const SWIPE = 60;

export class Viewer {
  /** @type {AbortController} */ #loading = new AbortController();
  /** @type {number | null} */ #id = null;
  #details = false;

  /**
   * @param {{step: (by: number) => void, close: () => void, refine: (action: Action, id: number) => void,
   *          near: (near: string) => void}} handlers `step`: to the next (1) or the previous (-1) picture
   */
  constructor(handlers) {
    this.handlers = handlers;
    this.dialog = /** @type {HTMLDialogElement} */ (byId("viewer"));
    this.dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      handlers.close();
    });
    this.dialog.addEventListener("keydown", (event) => this.#pressed(event));
    this.#build();
    this.#listenForSwipes();
  }

  get isOpen() {
    return this.dialog.open;
  }

  /**
   * Show a picture. `hit` is null for one that is known by its id alone (a reloaded page).
   *
   * @param {number} id
   * @param {Hit | null} hit
   * @param {{previous: Hit | null, next: Hit | null}} around
   */
  show(id, hit, around) {
    if (!this.dialog.open) {
      this.dialog.showModal();
      this.stage.focus();
    }
    this.back.disabled = !around.previous;
    this.next.disabled = !around.next;
    if (this.#id === id) return;
    this.#id = id;
    this.#loading.abort();
    this.#loading = new AbortController();
    this.name.textContent = safeName(hit?.name ?? "");
    this.link.href = original(id);
    this.#picture(id, hit, this.#loading.signal);
    this.#facts(id, hit, this.#loading.signal);
    for (const other of [around.next, around.previous]) {
      if (other) new Image().src = thumbnail(other.image_id, MAX_THUMBNAIL);
    }
  }

  close() {
    this.#loading.abort();
    this.#id = null;
    this.dialog.close();
    fill(this.stage);
  }

  // --- the picture --------------------------------------------------------------------------------

  /** First what the grid has loaded, then a sharp one, then (if the screen shows more) the original. @param {number} id @param {Hit | null} hit @param {AbortSignal} signal */
  async #picture(id, hit, signal) {
    const name = safeName(hit?.name ?? `picture ${id}`);
    const small = el("img", { class: "viewer-image viewer-image--soft", alt: "", src: thumbnail(id, 300, 512) });
    const large = el("img", { class: "viewer-image", alt: name });
    fill(this.stage, small, large);
    large.src = thumbnail(id, MAX_THUMBNAIL);
    const shown = await decoded(large);
    if (signal.aborted) return;
    if (!shown) {
      small.remove();
      fill(this.stage, el("p", { class: "viewer-broken" }, "This picture cannot be read now. Its drive may be away, or the file broken."));
      return;
    }
    large.classList.add("is-loaded");
    small.remove();
    const box = this.stage.getBoundingClientRect();
    const pixels = Math.max(box.width, box.height) * devicePixelRatio;
    const has = hit?.width && hit.height ? Math.max(hit.width, hit.height) : 0;
    if (pixels <= MAX_THUMBNAIL || has <= MAX_THUMBNAIL || !SHOWN_BY_BROWSERS.test(name)) return;
    const full = el("img", { class: "viewer-image is-loaded", alt: name, src: original(id) });
    if ((await decoded(full)) && !signal.aborted) large.replaceWith(full);
  }

  /** @param {number} id @param {Hit | null} hit @param {AbortSignal} signal */
  async #facts(id, hit, signal) {
    fill(this.list);
    let known;
    try {
      known = await metadata(id, signal);
    } catch (error) {
      if (signal.aborted) return;
      fill(this.list, el("dt", {}, "Details"), el("dd", {}, error instanceof Refused ? error.message : "The server does not answer."));
      return;
    }
    if (signal.aborted) return;
    this.name.textContent = safeName(known.name);
    const near = known.latitude === null ? null : `${known.latitude.toFixed(5)},${known.longitude.toFixed(5)}`;
    const facts = [
      ["Name", el("bdi", {}, safeName(known.name))],
      ["Taken", known.taken && instant(known.taken)],
      ["Size", known.width && `${number(known.width)} × ${number(known.height)}, ${size(known.bytes)}`],
      ["Camera", known.camera],
      ["Place", near && el("span", {}, `${near.replace(",", ", ")} `, this.#nearby(near))],
      ["Score", hit && hit.score !== null && score(hit.score)],
      ["Changed", !known.taken && instant(known.modified)],
      ["File", el("bdi", { class: "path" }, safeName(known.path))],
      ["Same file", known.also.length > 0 && el("bdi", { class: "path" }, known.also.map(safeName).join("\n"))],
      ["Same shot", known.same_shot.length > 0 && el("bdi", { class: "path" }, known.same_shot.map(safeName).join("\n"))],
      ["Id", `id:${known.image_id}`],
    ];
    fill(this.list, ...facts.filter(([, value]) => value).flatMap(([term, value]) => [el("dt", {}, term), el("dd", {}, value)]));
  }

  /** @param {string} near */
  #nearby(near) {
    const words = "others near here";
    return button({ label: words, words, class: "button--text", click: () => this.handlers.near(`${near},5`) });
  }

  // --- controls -----------------------------------------------------------------------------------

  #build() {
    const act = (/** @type {Action} */ what) => () => this.#id !== null && this.handlers.refine(what, this.#id);
    this.stage = el("div", { class: "viewer-stage", tabindex: "-1" });
    this.name = el("p", { class: "viewer-name", dir: "auto" });
    this.list = el("dl", { class: "viewer-facts" });
    this.side = el("aside", { class: "viewer-side", "aria-label": "Details", tabindex: "0", hidden: true }, el("h2", {}, "Details"), this.list);
    this.link = el("a", { class: "button button--bare", target: "_blank", rel: "noopener", title: "Original file (o)", "aria-label": "Open the original file", "aria-keyshortcuts": "o" }, icon("open"));
    const more = button({ icon: "similar", label: "More like this", words: "More like this", keys: "s", class: "button--bare viewer-similar", click: act("similar") });
    const plus = button({ icon: "plus", label: "Add to the query", keys: "+", class: "button--bare", click: act("plus") });
    const minus = button({ icon: "minus", label: "Less like this", keys: "-", class: "button--bare", click: act("minus") });
    this.info = button({ icon: "info", label: "Details", keys: "i", class: "button--bare", click: () => this.#toggleDetails() });
    this.info.setAttribute("aria-expanded", "false");
    const close = button({ icon: "close", label: "Close", keys: "Escape", class: "button--bare", click: this.handlers.close });
    this.back = button({ icon: "left", label: "Previous picture", keys: "ArrowLeft", class: "viewer-step viewer-step--back", click: () => this.handlers.step(-1) });
    this.next = button({ icon: "right", label: "Next picture", keys: "ArrowRight", class: "viewer-step viewer-step--next", click: () => this.handlers.step(1) });
    const bar = el("div", { class: "viewer-bar" }, close, this.name, el("span", { class: "viewer-tools", role: "group", "aria-label": "Actions" }, more, plus, minus, this.info, this.link));
    fill(this.dialog, bar, el("div", { class: "viewer-body" }, this.back, this.stage, this.next, this.side));
  }

  #toggleDetails() {
    this.#details = !this.#details;
    this.side.hidden = !this.#details;
    this.info.setAttribute("aria-expanded", String(this.#details));
  }

  /** @param {KeyboardEvent} event */
  #pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const id = this.#id ?? 0;
    const handler = {
      ArrowLeft: () => !this.back.disabled && this.handlers.step(-1),
      ArrowRight: () => !this.next.disabled && this.handlers.step(1),
      i: () => this.#toggleDetails(),
      s: () => this.handlers.refine("similar", id),
      "+": () => this.handlers.refine("plus", id),
      "-": () => this.handlers.refine("minus", id),
      o: () => this.link.click(),
    }[event.key];
    if (!handler) return;
    event.preventDefault();
    event.stopPropagation();
    handler();
  }

  #listenForSwipes() {
    let from = /** @type {{x: number, y: number} | null} */ (null);
    this.stage.addEventListener("touchstart", (/** @type {TouchEvent} */ { touches }) => {
      from = touches.length === 1 ? { x: touches[0].clientX, y: touches[0].clientY } : null;
    }, { passive: true });
    this.stage.addEventListener("touchend", (/** @type {TouchEvent} */ { changedTouches: [to] }) => {
      if (!from) return;
      const [across, down] = [to.clientX - from.x, to.clientY - from.y];
      from = null;
      if (Math.abs(across) > SWIPE && Math.abs(across) > 2 * Math.abs(down)) {
        const step = across < 0 ? this.next : this.back;
        if (!step.disabled) step.click();
      } else if (down > 2 * SWIPE && down > 2 * Math.abs(across)) this.handlers.close();
    }, { passive: true });
  }
}

/** @param {HTMLImageElement} image */
const decoded = (image) => image.decode().then(() => true, () => false);
