/**
 * Filters: a panel that is out of the way, and a chip for each that holds.
 *
 * Owns the fields, and the words for each filter. Must not know what passes.
 *
 * @typedef {import("./address.js").Filters} Filters
 */

import { conditions, FILTERS } from "./address.js";
import { filterChip } from "./chips.js";
import { nameOf } from "./cities.js";
import { button, byId, el, fill } from "./dom.js";
import { t } from "./messages.js";
import { dateName } from "./words.js";

const SHAPES = ["", "landscape", "portrait", "square"];
const DEBOUNCE_MS = 250;
const DAY_MS = 86_400_000;

/** The words of a filter's chip. @type {Record<keyof Filters, (value: string) => string>} */
const WORDS = {
  in: (value) => t("filter.chip-in", { value }),
  after: (value) => t(isDay(value) ? "filter.chip-after" : "filter.chip-after-month", { value: dateName(value) }),
  before: (value) => (isDay(value) ? t("filter.chip-until", { value: dateName(dayBefore(value)) }) : t("filter.chip-before", { value: dateName(value) })),
  added_after: (value) => t(isDay(value) ? "filter.chip-added-after" : "filter.chip-added-after-month", { value: dateName(value) }),
  added_before: (value) => (isDay(value) ? t("filter.chip-added-until", { value: dateName(dayBefore(value)) }) : t("filter.chip-added-before", { value: dateName(value) })),
  min_size: (value) => t("filter.chip-min-size", { value: figure(value) }),
  max_size: (value) => t("filter.chip-max-size", { value: figure(value) }),
  shape: (value) => shapeName(value),
  camera: (value) => t("filter.chip-camera", { value }),
  album: (value) => t("filter.chip-album", { value }),
  near: (value) => near(value),
  where: (value) => conditions(value).join(t("filter.and")),
  label: (value) => conditions(value).map((name) => (name.trim().startsWith("-") ? t("filter.chip-not", { value: name.trim().slice(1) }) : name.trim())).join(t("filter.and")),
};

export class FilterPanel {
  #timer = 0;
  /** @type {Filters} */ #filters = {};

  /** @param {{change: (filters: Filters) => void, opened: () => void}} handlers */
  constructor(handlers) {
    this.handlers = handlers;
    this.panel = byId("filters");
    this.opener = byId("filter");
    this.facets = el("div", { class: "facets", id: "facets" });
    fill(this.panel, this.#form(), this.facets);
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
    // By a finger the keyboard of the screen would come, and cover what was opened.
    if (matchMedia("(hover: hover)").matches) this.panel.querySelector("input")?.focus();
    this.handlers.opened();
  }

  get isOpen() {
    return !this.panel.hidden;
  }

  /** The panel ends with the screen, however many rows the header has. */
  #fit() {
    this.panel.style.maxHeight = `${innerHeight - byId("top").getBoundingClientRect().bottom - 8}px`;
  }

  /** Show filters that came from elsewhere. @param {Filters} filters */
  set(filters) {
    clearTimeout(this.#timer);
    this.#filters = filters;
    const values = { ...filters, before: filters.before && dayBefore(filters.before), added_before: filters.added_before && dayBefore(filters.added_before) };
    for (const field of this.panel.querySelectorAll("input")) {
      const value = values[/** @type {keyof Filters} */ (field.name)] ?? "";
      if (field.type === "radio") field.checked = field.value === value;
      // What was not understood stays, to be corrected.
      else if (field.value !== value && field !== document.activeElement && !(field.name === "near" && this.#isNearWrong && !value)) field.value = value;
    }
    const active = FILTERS.filter((name) => filters[name]);
    fill(byId("active-filters"), ...active.map((name) => this.#chip(name, String(filters[name]))));
    byId("active-filters").hidden = !active.length;
    if (!this.panel.hidden) this.#fit();
    this.opener.classList.toggle("is-on", active.length > 0);
    this.opener.setAttribute("aria-label", active.length ? t("filter.active", { count: active.length }) : t("html.filters"));
  }

  /** @param {keyof Filters} name @param {string} value @returns {HTMLElement} */
  #chip(name, value) {
    const remove = () => this.#remove(name);
    const words = WORDS[name](value);
    const chip = filterChip(words, remove);
    if (name === "near" && isNear(value)) this.#nameCity(value, (city) => chip.replaceWith(filterChip(city, remove, words)));
    return chip;
  }

  /** Say a place by its city, once that is known. @param {string} value @param {(words: string) => void} named */
  async #nameCity(value, named) {
    const [latitude, longitude, km] = value.split(",").map(Number);
    const name = await nameOf(latitude, longitude);
    if (name) named(t("filter.chip-near-city", { km, name }));
  }

  /** Folders to offer, fields of lists, and labels. @param {string[]} folders @param {string[]} fields @param {string[]} labels */
  offer(folders, fields, labels) {
    fill(byId("folders"), ...folders.map((folder) => el("option", { value: folder })));
    fill(byId("fields"), ...fields.map((name) => el("option", { value: `${name}=` })));
    byId("where").hidden = !fields.length;
    fill(byId("label-names"), ...labels.map((name) => el("option", { value: name })));
    byId("label").hidden = !labels.length;
  }

  #form() {
    const form = el(
      "form",
      { class: "filter-form", autocomplete: "off" },
      field(t("filter.in"), "in", { placeholder: t("filter.in-hint"), list: "folders" }),
      el("datalist", { id: "folders" }),
      field(t("filter.after"), "after", { type: "date", "aria-describedby": "dates-note" }),
      field(t("filter.before"), "before", { type: "date", "aria-describedby": "dates-note" }),
      el("p", { class: "filter-note", id: "dates-note" }, t("filter.dates-note")),
      shapes(),
      field(t("filter.min-size"), "min_size", { type: "number", min: 1, inputmode: "numeric", placeholder: t("filter.pixels") }),
      field(t("filter.max-size"), "max_size", { type: "number", min: 1, inputmode: "numeric", placeholder: t("filter.pixels") }),
      field(t("filter.added-after"), "added_after", { type: "date" }),
      field(t("filter.added-before"), "added_before", { type: "date" }),
      field(t("filter.camera"), "camera", { placeholder: t("filter.camera-hint") }),
      field(t("filter.near"), "near", { placeholder: t("filter.near-hint"), inputmode: "text", "aria-describedby": "near-note" }),
      el("p", { class: "filter-note filter-note--wrong", id: "near-note", role: "alert", hidden: true }),
      el("div", { id: "where", class: "filter-where", hidden: true }, field(t("filter.where"), "where", { placeholder: t("filter.where-hint"), list: "fields" })),
      el("datalist", { id: "fields" }),
      el("div", { id: "label", class: "filter-where", hidden: true }, field(t("facet.labels"), "label", { placeholder: t("filter.label-hint"), list: "label-names" })),
      el("datalist", { id: "label-names" }),
      el(
        "p",
        { class: "filter-actions" },
        button({ label: t("filter.clear"), words: t("filter.clear"), click: () => this.#clear() }),
        button({ label: t("filter.done"), words: t("filter.done"), class: "button--main", click: () => this.#done(form) }),
      ),
    );
    form.addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#read(form), DEBOUNCE_MS);
      // While it is typed it is not wrong yet.
      if (this.#isNearWrong) this.#checkNear();
    });
    form.addEventListener("change", () => this.#checkNear());
    form.addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#done(form);
    });
    return form;
  }

  /** Take what was entered, and close the panel unless some of it is not understood. @param {HTMLFormElement} form */
  #done(form) {
    this.#read(form);
    if (this.#checkNear()) this.toggle(false);
    else this.#near.focus();
  }

  get #near() {
    return /** @type {HTMLInputElement} */ (this.panel.querySelector("input[name='near']"));
  }

  get #isNearWrong() {
    return this.#near.getAttribute("aria-invalid") === "true";
  }

  /** Say at the field for a place what it takes, where it has something else. @returns {boolean} whether it is understood */
  #checkNear() {
    const entered = this.#near.value.trim();
    const isWrong = Boolean(entered) && !isNear(entered);
    if (isWrong === this.#isNearWrong) return !isWrong;
    this.#near.setAttribute("aria-invalid", String(isWrong));
    byId("near-note").textContent = isWrong ? t("filter.near-wrong") : "";
    byId("near-note").hidden = !isWrong;
    return !isWrong;
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
      const before = this.#filters[/** @type {keyof Filters} */ (name)];
      if (entered) filters[/** @type {keyof Filters} */ (name)] = name.endsWith("before") ? dayAfter(entered) : entered;
      // A date in words, from an address, which a field for dates cannot show.
      else if (before && /(after|before)$/.test(name) && !isDay(before)) filters[/** @type {keyof Filters} */ (name)] = before;
    }
    // The others hold all the same.
    if (filters.near && !isNear(filters.near)) delete filters.near;
    if (!conditions(filters.where).every(isCondition)) return;
    if (FILTERS.some((name) => filters[name] !== this.#filters[name])) this.handlers.change(filters);
  }

  #clear() {
    /** @type {HTMLFormElement} */ (this.panel.querySelector("form")).reset();
    this.#checkNear();
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
  const options = SHAPES.map((value) =>
    el("label", { class: "segment" }, el("input", { type: "radio", name: "shape", value, ...(value ? {} : { checked: true }) }), el("span", {}, shapeName(value))),
  );
  return el("fieldset", { class: "filter filter--shape" }, el("legend", {}, t("filter.shape")), el("span", { class: "segments" }, ...options));
}

// The API takes the first day that is out; people say the last one that is in.

/** @param {string} day */
const dayAfter = (day) => shifted(day, 1);

/** @param {string} day */
const dayBefore = (day) => (isDay(day) ? shifted(day, -1) : day);

/** @param {string} text */
const isDay = (text) => /^\d{4}-\d{2}-\d{2}$/.test(text);

/** The name of a shape, of none that of all. @param {string} shape */
export const shapeName = (shape) => (SHAPES.includes(shape) ? t(`shape.${shape || "any"}`) : shape);

/** @param {string} day @param {number} by */
function shifted(day, by) {
  const date = new Date(`${day}T00:00:00Z`);
  return Number.isNaN(date.getTime()) ? day : new Date(date.getTime() + by * DAY_MS).toISOString().slice(0, 10);
}

/** A number to be written as the language does; what is none stays as it is. @param {string} value */
const figure = (value) => Number(value) || value;

/** @param {string} value */
function isNear(value) {
  const [latitude, longitude, km, ...more] = value.split(",").map(Number);
  return !more.length && Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180 && km > 0;
}

/** Whether a condition has a name, a sign and a value. @param {string} condition */
const isCondition = (condition) => /^\s*[^\s<>=~!].*?(<=|>=|!=|=|<|>|~)\s*[^\s<>=~]/.test(condition);

/** @param {string} value */
function near(value) {
  const [latitude, longitude, km] = value.split(",");
  return isNear(value) ? t("filter.chip-near", { km: Number(km), latitude, longitude }) : value;
}
