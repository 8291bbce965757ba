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
import { LargePicture } from "./large_picture.js";
import { BACK, FORWARD, isRightToLeft, t } from "./messages.js";
import { SmallMap } from "./small_map.js";
import { makeVideo } from "./video.js";
import { instant, moment, number, percentage, safeName, score, size, stackName } from "./words.js";

const SWIPE = 60;

export class Viewer {
  /** @type {AbortController} */ #loading = new AbortController();
  /** @type {number | null} */ #id = null;
  /** @type {string | null} of the picture, null while it is not known */ #folder = null;
  #details = false;

  /**
   * @param {{step: (by: number) => void, close: () => void, refine: (action: Action, id: number) => void,
   *          near: (near: string) => void, folder: (path: string) => void, map: (map: string) => void, open: (id: number) => void}} handlers
   *   `step`: to the next (1) or the previous (-1) picture
   */
  constructor(handlers) {
    this.handlers = handlers;
    this.smallMap = new SmallMap();
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
    const shown = { id, name: safeName(hit?.name ?? t("viewer.picture", { id: String(id) })), width: hit?.width ?? null, height: hit?.height ?? null, lines: hit?.lines ?? [] };
    this.picture.show(shown);
    if (hit && hit.time !== null) this.#play(shown, hit.time);
    this.#facts(id, hit, this.#loading.signal);
    this.picture.preload([around.next, around.previous].flatMap((other) => other?.image_id ?? []));
  }

  close() {
    this.#loading.abort();
    this.#id = null;
    this.dialog.close();
    this.picture.clear();
  }

  // --- what is known of it ------------------------------------------------------------------------

  /** Play the video in the place of its frame; where the browser cannot, the frame stays. @param {import("./large_picture.js").Shown} shown @param {number} time */
  #play(shown, time) {
    const { signal } = this.#loading;
    this.picture.clear();
    fill(this.stage, makeVideo(shown.id, time, () => !signal.aborted && this.picture.show(shown)));
  }

  /** @param {number} id @param {Hit | null} hit @param {AbortSignal} signal */
  async #facts(id, hit, signal) {
    fill(this.list);
    this.#folder = hit && folderOf(hit.path);
    let known;
    try {
      known = await metadata(id, signal);
    } catch (error) {
      if (signal.aborted) return;
      // Its drive is not away: there is no such picture.
      if (error instanceof Refused && error.kind === "ImageNotFound") this.picture.refuse(error.message);
      fill(this.list, el("dt", {}, t("viewer.details")), el("dd", {}, error instanceof Refused ? error.message : t("error.unreachable")));
      return;
    }
    if (signal.aborted) return;
    this.name.textContent = safeName(known.name);
    this.#folder = folderOf(known.path);
    if (!hit && known.time !== null) this.#play({ id, name: safeName(known.name), width: known.width, height: known.height, lines: [] }, known.time);
    this.picture.measured(known.width, known.height);
    const facts = [
      [t("viewer.name"), el("bdi", {}, safeName(known.name))],
      [t("viewer.taken"), known.taken && instant(known.taken)],
      [t("viewer.size"), known.width && `${number(known.width)} × ${number(known.height)}, ${size(known.bytes)}`],
      [t("viewer.moment"), known.time !== null && moment(known.time)],
      [t("viewer.camera"), known.camera],
      [t("viewer.place"), known.latitude !== null && this.#place(known.latitude, known.longitude)],
      [t("viewer.score"), hit && hit.score !== null && score(hit.score)],
      [t("facet.labels"), known.labels.length > 0 && el("bdi", {}, known.labels.join(", "))],
      [t("viewer.says"), hit && hit.lines.length > 0 && el("bdi", { class: "path" }, hit.lines.map(({ text }) => text).join("\n"))],
      ...Object.entries(known.fields).map(([name, value]) => [name, el("bdi", {}, String(value))]),
      [t("viewer.changed"), !known.taken && instant(known.modified)],
      [t("html.library"), known.library],
      [t("viewer.file"), el("bdi", { class: "path" }, safeName(known.path))],
      [t("viewer.folder"), this.#folder !== null && this.#folderLink(this.#folder)],
      [t("viewer.same-file"), known.also.length > 0 && el("bdi", { class: "path" }, known.also.map(safeName).join("\n"))],
      [t("viewer.same-shot"), known.same_shot.length > 0 && el("bdi", { class: "path" }, known.same_shot.map(safeName).join("\n"))],
      [t("viewer.id"), `id:${known.image_id}`],
    ];
    fill(this.list, ...facts.filter(([, value]) => value).flatMap(([term, value]) => [el("dt", {}, term), el("dd", {}, value)]));
    if (hit?.folded) this.#behind(hit);
  }

  /** Show the stack behind the picture. @param {Hit} hit */
  #behind(hit) {
    const open = (/** @type {import("./api.js").Stacked} */ { image_id: id, name, kind }) => {
      const words = t(kind === "burst" ? "viewer.open-burst" : "viewer.open-same", { name: safeName(name) });
      return el("button", { type: "button", class: "behind", title: safeName(name), onclick: () => this.handlers.open(id) }, el("img", { alt: words, src: thumbnail(id, 96, 256), loading: "lazy" }));
    };
    const more = hit.folded - hit.stack.length;
    const box = el("dd", { class: "viewer-behind" }, ...hit.stack.map(open), more > 0 && t("viewer.more-behind", { count: more }));
    this.list.prepend(el("dt", {}, stackName(hit)), box);
  }

  /** The way to the other pictures of its folder. @param {string} folder */
  #folderLink(folder) {
    const name = safeName(folder.split(/[/\\]/).pop() || folder);
    const made = button({ label: t("viewer.open-folder", { name }), keys: "f", class: "button--text", click: () => this.handlers.folder(folder) });
    made.append(el("bdi", {}, name));
    return made;
  }

  /** Where it was taken, and ways from there. @param {number} latitude @param {number} longitude */
  #place(latitude, longitude) {
    const place = `${latitude.toFixed(5)},${longitude.toFixed(5)}`;
    const link = (/** @type {string} */ words, /** @type {() => void} */ click) => button({ label: words, words, class: "button--text", click });
    const nearby = link(t("viewer.nearby"), () => this.handlers.near(`${place},5`));
    const onMap = link(t("viewer.on-map"), () => this.handlers.map(`${place},11`));
    const [name, map] = this.smallMap.at(latitude, longitude);
    return el("div", {}, name, el("span", {}, place.replace(",", ", ")), map, el("p", { class: "viewer-place" }, nearby, onMap));
  }

  // --- controls -----------------------------------------------------------------------------------

  #build() {
    const act = (/** @type {Action} */ what) => () => this.#id !== null && this.handlers.refine(what, this.#id);
    this.stage = el("div", { class: "viewer-stage", tabindex: "-1" });
    this.name = el("p", { class: "viewer-name", dir: "auto" });
    this.list = el("dl", { class: "viewer-facts" });
    this.side = el("aside", { class: "viewer-side", "aria-label": t("viewer.details"), tabindex: "0", hidden: true }, el("h2", {}, t("viewer.details")), this.list);
    this.link = el("a", { class: "button button--bare", target: "_blank", rel: "noopener", title: t("viewer.original"), "aria-label": t("viewer.open-original"), "aria-keyshortcuts": "o" }, icon("open"));
    const more = button({ icon: "similar", label: t("action.similar"), words: t("action.similar"), keys: "s", class: "button--bare viewer-similar", click: act("similar") });
    const plus = button({ icon: "more", label: t("action.plus"), keys: "a", class: "button--bare", click: act("plus") });
    const minus = button({ icon: "less", label: t("action.minus"), keys: "l", class: "button--bare", click: act("minus") });
    this.info = button({ icon: "info", label: t("viewer.details"), keys: "i", class: "button--bare", click: () => this.#toggleDetails() });
    this.info.setAttribute("aria-expanded", "false");
    const close = button({ icon: "close", label: t("viewer.close"), keys: "Escape", class: "button--bare", click: this.handlers.close });
    this.back = button({ icon: "left", label: t("viewer.previous"), keys: BACK, class: "viewer-step viewer-step--back", click: () => this.handlers.step(-1) });
    this.next = button({ icon: "right", label: t("viewer.next"), keys: FORWARD, class: "viewer-step viewer-step--next", click: () => this.handlers.step(1) });
    this.tools = el("span", { class: "viewer-tools", role: "group", "aria-label": t("viewer.actions") }, more, plus, minus, this.info, this.link);
    const bar = el("div", { class: "viewer-bar" }, close, this.name, this.tools);
    fill(this.dialog, bar, el("div", { class: "viewer-body" }, this.back, this.stage, this.next, this.#zoomControls(), this.side));
  }

  /** For those who have neither wheel nor fingers on the picture, and to see how large it is. */
  #zoomControls() {
    const percent = button({ label: t("viewer.zoom-toggle"), keys: "0", words: percentage(1), class: "button--bare zoom-percent", click: () => zoom.toggle() });
    this.picture = new LargePicture(this.stage, {
      zoomed: (now) => {
        controls.hidden = !now;
        if (!now) return;
        const words = percentage(now.pixels);
        percent.replaceChildren(words);
        percent.setAttribute("aria-label", t(now.isZoomed ? "viewer.zoom-whole" : "viewer.zoom-pixels", { percent: words }));
      },
    });
    const { zoom } = this.picture;
    const controls = el(
      "div",
      { class: "viewer-zoom", role: "group", "aria-label": t("viewer.zoom") },
      button({ icon: "minus", label: t("viewer.smaller"), keys: "-", class: "button--bare", click: () => zoom.smaller() }),
      percent,
      button({ icon: "plus", label: t("viewer.larger"), keys: "+", class: "button--bare", click: () => zoom.larger() }),
    );
    return controls;
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
    const { zoom } = this.picture;
    const inDetails = this.side.contains(document.activeElement);
    if (event.key.startsWith("Arrow") && !inDetails && zoom.pan(event.key)) return event.preventDefault();
    const handler = {
      [BACK]: () => !this.back.disabled && this.handlers.step(-1),
      [FORWARD]: () => !this.next.disabled && this.handlers.step(1),
      i: () => this.#toggleDetails(),
      f: () => this.#folder !== null && this.handlers.folder(this.#folder),
      s: () => this.handlers.refine("similar", id),
      a: () => this.handlers.refine("plus", id),
      l: () => this.handlers.refine("minus", id),
      "+": () => zoom.larger(),
      "=": () => zoom.larger(),
      "-": () => zoom.smaller(),
      0: () => zoom.toggle(),
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
      // A finger that moves a zoomed picture, or one of two, means no step.
      if (!from || this.picture.zoom.isZoomed || this.picture.zoom.isPinching) return;
      const [across, down] = [to.clientX - from.x, to.clientY - from.y];
      from = null;
      if (Math.abs(across) > SWIPE && Math.abs(across) > 2 * Math.abs(down)) {
        const step = across < 0 !== isRightToLeft ? this.next : this.back;
        if (!step.disabled) step.click();
      } else if (down > 2 * SWIPE && down > 2 * Math.abs(across)) this.handlers.close();
    }, { passive: true });
  }
}

/** The folder of a file or of a member of an archive; null for what lies in none. @param {string} path */
function folderOf(path) {
  const end = Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\"));
  return end > 0 ? path.slice(0, end) : null;
}
