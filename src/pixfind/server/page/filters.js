/**
 * Filters: a panel that is out of the way, and a chip for each that holds.
 *
 * Owns the fields, and the words for each filter. Must not know what passes.
 *
 * @typedef {import("./address.js").Filters} Filters
 */

import { FILTERS } from "./address.js";
import { filterChip } from "./chips.js";
import { button, byId, el, fill } from "./dom.js";

const SHAPES = [
  ["", "Any"],
  ["landscape", "Landscape"],
  ["portrait", "Portrait"],
  ["square", "Square"],
];
const DEBOUNCE_MS = 250;
const DAY_MS = 86_400_000;

/** The words of a filter's chip. @type {Record<keyof Filters, (value: string) => string>} */
const WORDS = {
  in: (value) => `in ${value}`,
  after: (value) => `from ${value}`,
  before: (value) => `until ${dayBefore(value)}`,
  min_size: (value) => `at least ${value} px`,
  max_size: (value) => `at most ${value} px`,
  shape: (value) => value,
  camera: (value) => `camera: ${value}`,
  near: (value) => near(value),
};

export class FilterPanel {
  #timer = 0;
  /** @type {Filters} */ #filters = {};

  /** @param {{change: (filters: Filters) => void}} handlers */
  constructor(handlers) {
    this.handlers = handlers;
    this.panel = byId("filters");
    this.opener = byId("filter");
    fill(this.panel, this.#form());
    this.opener.addEventListener("click", () => this.toggle());
    this.panel.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.toggle(false);
      this.opener.focus();
    });
  }

  /** @param {boolean} [open] */
  toggle(open = this.panel.hidden) {
    this.panel.hidden = !open;
    this.opener.setAttribute("aria-expanded", String(open));
    if (!open) return;
    this.#fit();
    this.panel.querySelector("input")?.focus();
  }

  /** The panel ends with the screen, however many rows the header has. */
  #fit() {
    this.panel.style.maxHeight = `${innerHeight - byId("top").getBoundingClientRect().bottom - 8}px`;
  }

  /** Show filters that came from elsewhere. @param {Filters} filters */
  set(filters) {
    clearTimeout(this.#timer);
    this.#filters = filters;
    const values = { ...filters, before: filters.before && dayBefore(filters.before) };
    for (const field of this.panel.querySelectorAll("input")) {
      const value = values[/** @type {keyof Filters} */ (field.name)] ?? "";
      if (field.type === "radio") field.checked = field.value === value;
      else if (field.value !== value && field !== document.activeElement) field.value = value;
    }
    const active = FILTERS.filter((name) => filters[name]);
    fill(byId("active-filters"), ...active.map((name) => filterChip(WORDS[name](String(filters[name])), () => this.#remove(name))));
    byId("active-filters").hidden = !active.length;
    if (!this.panel.hidden) this.#fit();
    this.opener.classList.toggle("is-on", active.length > 0);
    this.opener.setAttribute("aria-label", active.length ? `Filters, ${active.length} active` : "Filters");
  }

  /** Folders to offer. @param {string[]} folders */
  offer(folders) {
    fill(byId("folders"), ...folders.map((folder) => el("option", { value: folder })));
  }

  #form() {
    const form = el(
      "form",
      { class: "filter-form", autocomplete: "off" },
      field("Folder or files", "in", { placeholder: "2021, or */holiday/*.jpg", list: "folders" }),
      el("datalist", { id: "folders" }),
      field("Taken from", "after", { type: "date" }),
      field("until", "before", { type: "date" }),
      shapes(),
      field("Shorter side at least", "min_size", { type: "number", min: 1, inputmode: "numeric", placeholder: "pixels" }),
      field("Longer side at most", "max_size", { type: "number", min: 1, inputmode: "numeric", placeholder: "pixels" }),
      field("Camera", "camera", { placeholder: "part of its name" }),
      field("Near a place", "near", { placeholder: "52.52,13.40,10 (km)", inputmode: "text" }),
      el(
        "p",
        { class: "filter-actions" },
        button({ label: "Clear all", words: "Clear all", click: () => this.#clear() }),
        button({ label: "Done", words: "Done", class: "button--main", click: () => this.toggle(false) }),
      ),
    );
    form.addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#read(form), DEBOUNCE_MS);
    });
    form.addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#read(form);
      this.toggle(false);
    });
    return form;
  }

  /** @param {HTMLFormElement} form */
  #read(form) {
    clearTimeout(this.#timer);
    // Half a date or a letter among digits: wait for the rest.
    if (!form.checkValidity()) return;
    /** @type {Filters} */
    const filters = {};
    for (const [name, value] of new FormData(form)) {
      const entered = String(value).trim();
      if (entered) filters[/** @type {keyof Filters} */ (name)] = name === "before" ? dayAfter(entered) : entered;
    }
    if (filters.near && !isNear(filters.near)) return;
    if (FILTERS.some((name) => filters[name] !== this.#filters[name])) this.handlers.change(filters);
  }

  #clear() {
    /** @type {HTMLFormElement} */ (this.panel.querySelector("form")).reset();
    this.handlers.change({});
  }

  /** @param {keyof Filters} name */
  #remove(name) {
    const { [name]: _, ...others } = this.#filters;
    this.handlers.change(others);
    byId("words").focus();
  }
}

/** @param {string} words @param {string} name @param {Record<string, any>} props */
function field(words, name, props) {
  return el("label", { class: `filter filter--${name}` }, el("span", {}, words), el("input", { type: "text", name, ...props }));
}

function shapes() {
  const options = SHAPES.map(([value, words]) =>
    el("label", { class: "segment" }, el("input", { type: "radio", name: "shape", value, ...(value ? {} : { checked: true }) }), el("span", {}, words)),
  );
  return el("fieldset", { class: "filter filter--shape" }, el("legend", {}, "Shape"), el("span", { class: "segments" }, ...options));
}

// The API takes the first day that is out; people say the last one that is in.

/** @param {string} day */
const dayAfter = (day) => shifted(day, 1);

/** @param {string} day */
const dayBefore = (day) => (/^\d{4}-\d{2}-\d{2}$/.test(day) ? shifted(day, -1) : `before ${day}`);

/** @param {string} day @param {number} by */
function shifted(day, by) {
  const date = new Date(`${day}T00:00:00Z`);
  return Number.isNaN(date.getTime()) ? day : new Date(date.getTime() + by * DAY_MS).toISOString().slice(0, 10);
}

/** @param {string} value */
function isNear(value) {
  const [latitude, longitude, km, ...more] = value.split(",").map(Number);
  return !more.length && Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180 && km > 0;
}

/** @param {string} value */
function near(value) {
  const [latitude, longitude, km] = value.split(",");
  return km ? `within ${km} km of ${latitude}, ${longitude}` : value;
}
