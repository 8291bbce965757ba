/**
 * The folders of the library: what each has, whether it is there, what is left out of it; and one more.
 *
 * Owns the card and its forms, which stay open while the figures change. Must not know how a scan is run.
 *
 * @typedef {{path: string, images: Record<string, number>, offline: string | null, exclude: string[], left_out: Record<string, number>, in_archives: boolean}} Root
 */

import { Refused, Unreachable, changeRoot, roots as fetchRoots } from "./api.js";
import { command, quoted } from "./commands.js";
import { button, el, fill } from "./dom.js";
import { t } from "./messages.js";
import { VIDEO_SUFFIXES } from "./suffixes.js";
import { safeName } from "./words.js";

const COUNTS = ["searchable", "pending", "failed", "skipped", "gone"];

/** Whether all that is embedded can be searched, which is so once it is merged. @param {any} status */
const isMerged = ({ images, searchable_images: searchable }) => searchable >= images.embedded + images.duplicate;

/** What the card depends on. @param {any} status */
const keyOf = (status) => JSON.stringify([status.images, isMerged(status), status.folders, status.offline, status.running, status.can_control]);

export class RootsCard {
  #key = "";
  /** @type {any} the newest */ #status = null;
  #fetching = false;
  /** whether the message speaks of a change whose run has not ended */ #isSent = false;
  /** @type {Map<string, RootRow>} by path */ #rows = new Map();

  /** @param {{done: (status: any) => void}} handlers `done`: a change was taken; the server's new status */
  constructor(handlers) {
    this.handlers = handlers;
    this.list = el("ul", { class: "roots" });
    this.message = el("p", { class: "root-message", role: "status", hidden: true });
    this.adding = this.#addForm();
    this.hint = el("p", { class: "run-note", hidden: true });
    this.element = el("section", { class: "card", "aria-labelledby": "roots-title" }, el("h2", { id: "roots-title" }, t("roots.title")), this.list, this.adding, this.hint, this.message);
  }

  /** Show the folders of a status; they are fetched where something about them may have changed. @param {any} status */
  async update(status) {
    this.adding.hidden = !status.can_add_folders;
    this.hint.hidden = status.can_add_folders;
    fill(this.hint, t("roots.in-terminal"), " ", el("code", {}, command("index ~/Pictures")));
    if (this.#isSent && this.#status?.running && !status.running) this.#say("");
    this.#status = status;
    if (this.#fetching) return;
    this.#fetching = true;
    try {
      // Another status may come while they are fetched.
      for (let key = keyOf(status); key !== this.#key; key = keyOf(this.#status)) {
        const { can_control: may, running } = this.#status;
        const { roots } = await fetchRoots();
        this.#key = key;
        this.#show(roots, { may, running, isMerged: isMerged(this.#status) });
      }
    } catch (error) {
      if (!(error instanceof Refused || error instanceof Unreachable)) throw error;
      this.#say(error.message);
    } finally {
      this.#fetching = false;
    }
  }

  /** @param {Root[]} roots @param {{may: boolean, running: boolean, isMerged: boolean}} status whether they can be scanned, and now */
  #show(roots, status) {
    const paths = new Set(roots.map(({ path }) => path));
    // First those that have gone: no other has to be moved then, which would lose the focus in it.
    for (const [path, { element }] of this.#rows) {
      if (paths.has(path)) continue;
      element.remove();
      this.#rows.delete(path);
    }
    roots.forEach((root, place) => {
      const row = this.#rows.get(root.path) ?? new RootRow(root.path, (change) => this.#send(change));
      this.#rows.set(root.path, row);
      row.update(root, status);
      if (this.list.children[place] !== row.element) this.list.insertBefore(row.element, this.list.children[place] ?? null);
    });
  }

  #addForm() {
    const field = el("input", { type: "text", name: "folder", required: true, maxlength: "4096", autocomplete: "off", spellcheck: "false", placeholder: t("roots.folder-hint"), dir: "ltr" });
    const form = el("form", { class: "root-form", hidden: true }, el("label", { class: "filter" }, el("span", {}, t("roots.folder")), field), el("button", { type: "submit", class: "button" }, t("roots.add")));
    form.addEventListener("submit", async (/** @type {Event} */ event) => {
      event.preventDefault();
      if (await this.#send({ action: "add", path: field.value.trim() })) form.reset();
    });
    return form;
  }

  /** @param {{action: "add" | "scan" | "exclude", path: string, exclude?: string[]}} change @returns {Promise<boolean>} whether it was taken */
  async #send(change) {
    this.#say(t(`roots.sent-${change.action}`));
    try {
      const status = await changeRoot(change);
      this.#isSent = true;
      this.#key = "";
      this.handlers.done(status);
      return true;
    } catch (error) {
      if (!(error instanceof Refused || error instanceof Unreachable)) throw error;
      this.#say(error.message);
      return false;
    }
  }

  /** @param {string} words */
  #say(words) {
    this.#isSent = false;
    this.message.textContent = words;
    this.message.hidden = !words;
  }
}

/** One folder: made once, then only its text changes, so that the focus and what is being typed stay. */
class RootRow {
  #running = false;

  /** @param {string} path @param {(change: {action: "scan" | "exclude", path: string, exclude?: string[]}) => Promise<boolean>} send */
  constructor(path, send) {
    const name = safeName(path);
    this.path = path;
    this.send = send;
    this.counts = el("p", { class: "root-counts" });
    this.offline = el("p", { class: "root-offline" });
    this.excluded = el("p", { class: "root-counts" });
    this.videos = el("p", { class: "root-counts" });
    const scan = () => !this.#running && this.send({ action: "scan", path });
    this.scan = button({ icon: "search", label: t("roots.scan-of", { name }), words: t("roots.scan"), class: "button--small", click: scan });
    this.exclude = button({ icon: "minus", label: t("roots.exclude-of", { name }), words: t("roots.exclude"), class: "button--small", click: () => this.#toggle(this.form.hidden) });
    this.form = this.#excludeForm();
    this.#toggle(false);
    this.element = el("li", { class: "root" }, el("bdi", { class: "path" }, name), this.counts, this.videos, this.offline, this.excluded, el("p", { class: "run-actions" }, this.scan, this.exclude), this.form);
  }

  /** @param {Root} root @param {{may: boolean, running: boolean, isMerged: boolean}} status */
  update({ images, offline, exclude, left_out: leftOut }, { may, running, isMerged: merged }) {
    const counts = COUNTS.filter((each) => images[each]).map((each) => {
      const values = { count: images[each] };
      return each === "searchable" && !merged ? t("outcome.embedded", values) : t(`roots.${each}`, values);
    });
    const many = Object.values(leftOut).reduce((sum, each) => sum + each, 0);
    const videos = Object.keys(leftOut).filter((suffix) => VIDEO_SUFFIXES.has(suffix.slice(1))).reduce((sum, suffix) => sum + leftOut[suffix], 0);
    fill(this.videos, ...(videos ? [`${t("roots.videos", { count: videos })} `, el("code", {}, command(`index ${quoted(this.path, "FOLDER")} --video`))] : []));
    this.videos.hidden = !videos;
    if (many) counts.push(t("roots.left-out", { count: many, kinds: Object.keys(leftOut).join(", ") }));
    this.counts.textContent = counts.join(" · ") || t("outcome.none");
    this.offline.textContent = offline ? t("roots.offline", { why: offline }) : "";
    this.offline.hidden = !offline;
    fill(this.excluded, `${t("roots.excluded")} `, ...exclude.flatMap((pattern) => [el("code", {}, pattern), " "]));
    this.excluded.hidden = !exclude.length;
    this.scan.hidden = !may || Boolean(offline);
    this.exclude.hidden = !may;
    // Not hidden while a run goes on, which one of them may have begun: the keyboard would be back at the start of the page.
    this.#running = running;
    for (const each of [this.scan, this.exclude]) each.setAttribute("aria-disabled", String(running));
  }

  /** @param {boolean} open */
  #toggle(open) {
    if (open && this.#running) return;
    this.form.hidden = !open;
    this.exclude.setAttribute("aria-expanded", String(open));
    if (open) this.form.querySelector("input")?.focus();
  }

  /** @returns {HTMLFormElement} */
  #excludeForm() {
    const field = el("input", { type: "text", name: "pattern", required: true, maxlength: "300", autocomplete: "off", spellcheck: "false", placeholder: t("roots.pattern-hint") });
    const form = el("form", { class: "root-form" }, el("label", { class: "filter" }, el("span", {}, t("roots.pattern")), field), el("button", { type: "submit", class: "button" }, t("roots.exclude-now")));
    form.addEventListener("submit", async (/** @type {Event} */ event) => {
      event.preventDefault();
      if (!(await this.send({ action: "exclude", path: this.path, exclude: [field.value.trim()] }))) return;
      form.reset();
      this.#toggle(false);
      this.exclude.focus();
    });
    return form;
  }
}
