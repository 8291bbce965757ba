/**
 * What the pictures of the present result have in common, as filters with counts: dates, cameras, shapes, kinds, folders.
 *
 * Owns the lists below the fields of the panel. Must not know how a filter is applied.
 *
 * @typedef {import("./address.js").Filters} Filters
 * @typedef {import("./address.js").Place} Place
 */

import { isFiltered, request } from "./address.js";
import * as api from "./api.js";
import { el, fill } from "./dom.js";
import { folderTree } from "./folder_tree.js";
import { shapeName } from "./filters.js";
import { histogram } from "./histogram.js";
import { t } from "./messages.js";
import { number, safeName } from "./words.js";

/** Values of a facet that are shown at first. */
const SHOWN = 8;
/** So long the server may take to read a library that grows. */
const RECOUNT_MS = 2000;

export class Facets {
  #loading = new AbortController();
  #key = "";
  /** the key of what is on the screen, be it out of date */ #shown = "";
  /** @type {Set<string>} folders that are open */ #open = new Set();

  /** @param {HTMLElement} root @param {{change: (filters: Filters) => void}} handlers */
  constructor(root, handlers) {
    this.root = root;
    this.handlers = handlers;
    this.dates = el("section", { class: "facet facet--dates", "aria-label": t("facet.dates"), hidden: true });
    this.values = el("div", { class: "facet-values" });
    this.folders = el("section", { class: "facet", "aria-label": t("facet.folders"), hidden: true });
    this.note = el("p", { class: "facet-note", role: "status" });
    fill(root, this.dates, this.note, this.values, this.folders);
  }

  /** The library has changed: what was counted is counted again when it is shown. */
  forget() {
    this.#key = "";
  }

  /** @param {Place} place whose pictures are counted */
  async show(place) {
    const query = request(place);
    const key = String(query);
    if (key === this.#key) return;
    // Of the same pictures the old counts stay until the new ones are there.
    if (key !== this.#shown) this.note.textContent = t("facet.counting");
    this.#key = key;
    this.#shown = key;
    this.#loading.abort();
    this.#loading = new AbortController();
    const { signal } = this.#loading;
    // Dates with the other filters alone: otherwise no other year could be chosen.
    const undated = new URLSearchParams(query);
    undated.delete("after");
    undated.delete("before");
    // Each as soon as it is there: among a million pictures counting takes seconds.
    await Promise.all([
      this.#part(signal, api.timeline(yearOnly(place) ?? undated, signal), ({ months }) => this.#dates(place, months)),
      this.#part(signal, api.facets(query, signal), (found) => {
        this.#values(place, found);
        if (!found.current) this.#again(place, signal);
      }),
      this.#part(signal, this.#tree(query), ({ folders, known }) => this.#folders(place, query, folders, known)),
    ]);
  }

  /** Count again what was out of date. @param {Place} place @param {AbortSignal} signal */
  #again(place, signal) {
    this.forget();
    setTimeout(() => !signal.aborted && this.root.checkVisibility() && this.show(place), RECOUNT_MS);
  }

  /** @template T @param {AbortSignal} signal @param {Promise<T>} answer @param {(found: T) => void} display */
  async #part(signal, answer, display) {
    try {
      const found = await answer;
      if (!signal.aborted) display(found);
    } catch (error) {
      if (signal.aborted) return;
      this.#key = "";
      if (!(error instanceof api.Refused || error instanceof api.Unreachable)) throw error;
      this.note.textContent = error.message;
    }
  }

  /** @param {Place} place @param {{month: string, count: number}[]} months */
  #dates({ filters }, months) {
    const { after: _after, before: _before, ...others } = filters;
    const bars = histogram(months, filters, (range) => this.handlers.change({ ...others, ...range }));
    this.#keepingFocus(this.dates, () => fill(this.dates, ...bars));
    this.dates.hidden = !bars.length;
  }

  /** @param {Place} place @param {Awaited<ReturnType<typeof api.facets>>} found */
  #values(place, found) {
    const { filters } = place;
    const note = t(found.ranked ? "facet.best" : isFiltered(place) ? "facet.filtered" : "facet.unfiltered", { count: found.count });
    this.note.textContent = found.current ? note : `${note} ${t("facet.recounting")}`;
    const { camera, shape, label } = filters;
    const kind = /\*\.([^/*]+)$/.exec(filters.in ?? "")?.[1];
    const choose = (/** @type {Filters} */ change) => this.handlers.change(without({ ...filters, ...change }));
    const lists = [
      list(t("facet.labels"), found.labels, label, (value) => choose({ label: value })),
      list(t("facet.cameras"), found.cameras, camera, (value) => choose({ camera: value })),
      list(t("facet.shapes"), found.shapes, shape, (value) => choose({ shape: value }), shapeName),
      list(t("facet.kinds"), found.kinds, kind, (value) => choose({ in: ofKind(filters.in, value) })),
    ];
    this.#keepingFocus(this.values, () => fill(this.values, ...lists.flat()));
  }

  /** The roots, and what is in the folders that are open: drawn at once, the focus finds its place again. @param {URLSearchParams} query */
  async #tree(query) {
    const open = [...this.#open];
    const [{ folders }, ...inside] = await Promise.all([api.folders(query, null), ...open.map((path) => api.folders(query, path))]);
    return { folders, known: new Map(open.map((path, at) => [path, inside[at].folders])) };
  }

  /** @param {Place} place @param {URLSearchParams} query @param {import("./folder_tree.js").Folder[]} roots @param {Map<string, import("./folder_tree.js").Folder[]>} known */
  #folders({ filters }, query, roots, known) {
    const chosen = unescaped((filters.in ?? "").replace(/\/\*\.[^/*]+$/, ""));
    const tree = folderTree(roots, {
      chosen,
      open: this.#open,
      known,
      choose: (path) => this.handlers.change(without({ ...filters, in: path === chosen ? undefined : escaped(path) })),
      below: async (path) => (await api.folders(query, path)).folders,
    });
    this.#keepingFocus(this.folders, () => fill(this.folders, el("h2", {}, t("facet.folders")), tree));
    this.folders.hidden = !roots.length;
  }

  /** A button that is made again keeps the focus: the keyboard would be back at the start of the page. @param {HTMLElement} part @param {() => void} make */
  #keepingFocus(part, make) {
    const held = part.contains(document.activeElement) ? labelOf(document.activeElement) : null;
    make();
    if (held === null) return;
    const same = [...part.querySelectorAll("button")].find((each) => labelOf(each) === held);
    (same ?? part.querySelector("button"))?.focus();
  }
}

/** @param {Element | null} element */
const labelOf = (element) => element?.getAttribute("data-key") ?? element?.getAttribute("aria-label") ?? element?.firstChild?.textContent ?? "";

/** For the months of one year only that year has to be counted. @param {Place} place */
function yearOnly(place) {
  const from = /^(\d{4})-\d{2}-01$/.exec(place.filters.after ?? "")?.[1];
  if (!from || !place.filters.before) return null;
  const query = request(place);
  query.set("after", `${from}-01-01`);
  query.set("before", `${String(Number(from) + 1).padStart(4, "0")}-01-01`);
  return query;
}

/** @param {string} title @param {api.FacetValue[]} values @param {string | undefined} chosen @param {(value: string | undefined) => void} choose @param {(value: string) => string} nameOf @returns {HTMLElement[]} */
function list(title, values, chosen, choose, nameOf = safeName) {
  if (!values.length || (values.length < 2 && !chosen)) return [];
  const isChosen = (/** @type {string} */ value) => value.toLowerCase() === chosen?.toLowerCase();
  const items = values.map(({ value, count: many }, at) =>
    el(
      "li",
      { hidden: at >= SHOWN && !isChosen(value) },
      el("button", { type: "button", class: "facet-value", "aria-pressed": String(isChosen(value)), onclick: () => choose(isChosen(value) ? undefined : value) }, el("bdi", {}, nameOf(value)), el("span", { class: "facet-count" }, number(many))),
    ),
  );
  const all = el("ul", {}, ...items);
  if (values.length > SHOWN) {
    const more = el("button", { type: "button", class: "button button--text", onclick: () => (items.forEach((item) => (item.hidden = false)), more.remove()) }, t("facet.all", { count: values.length }));
    all.append(el("li", {}, more));
  }
  return [el("section", { class: "facet", "aria-label": title }, el("h2", {}, title), all)];
}

/** @param {Record<string, any>} filters @returns {Filters} */
const without = (filters) => Object.fromEntries(Object.entries(filters).filter(([, value]) => value));

/** The filter on folders and files, for one kind or for all. @param {string | undefined} inside @param {string | undefined} kind */
function ofKind(inside, kind) {
  const folder = (inside ?? "").replace(/\/?\*\.[^/*]+$/, "");
  if (!kind) return folder || undefined;
  return folder && folder !== "*" ? `${folder}/*.${escaped(kind)}` : `*.${escaped(kind)}`;
}

/** A path as a pattern that means this path alone. @param {string} path */
export const escaped = (path) => path.replace(/[[*?]/g, "[$&]");

/** @param {string} pattern */
const unescaped = (pattern) => pattern.replace(/\[([[*?])\]/g, "$1");
