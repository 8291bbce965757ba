/**
 * Numbers, times and reasons as words.
 *
 * Owns how figures read. Pure: it touches no DOM.
 */

import { isKnown, locale, number, t } from "./messages.js";

const DAY = new Intl.DateTimeFormat(locale, { dateStyle: "long", timeZone: "UTC" });
const MINUTE = new Intl.DateTimeFormat(locale, { dateStyle: "long", timeStyle: "short", timeZone: "UTC" });

export { number };

/** What stands behind a picture, with its number. @param {{folded: number, stack: {kind: string}[]}} hit */
export function stackName({ folded, stack }) {
  const kinds = new Set(stack.map(({ kind }) => kind));
  return t(kinds.size > 1 ? "stack.similar" : kinds.has("burst") ? "stack.burst" : "stack.near-duplicates", { count: folded });
}

/** Words in quotes, with commas. @param {string[]} words */
export const quoted = (words) => words.map((word) => t("quoted", { word })).join(", ");

/**
 * A name or path to show: characters that turn the direction of writing around would make "gpj.exe" of "exe.jpg".
 *
 * @param {string} name
 */
export const safeName = (name) => name.replace(/[\u0000-\u001f\u007f\u202d\u202e]/g, "\ufffd");

/** @param {number} bytes */
export function size(bytes) {
  if (bytes < 1000) return t("size.bytes", { count: bytes });
  const units = ["kilobyte", "megabyte", "gigabyte", "terabyte"];
  let value = bytes / 1000;
  while (value >= 999.5 && units.length > 1) {
    value /= 1000;
    units.shift();
  }
  const digits = value < 10 ? 1 : 0;
  return new Intl.NumberFormat(locale, { style: "unit", unit: units[0], unitDisplay: "short", minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
}

/** Seconds as "3 min 20 s". @param {number} seconds */
export function duration(seconds) {
  const whole = Math.round(seconds);
  const parts = [
    [Math.floor(whole / 86400), "day"],
    [Math.floor(whole / 3600) % 24, "hour"],
    [Math.floor(whole / 60) % 60, "minute"],
    [whole % 60, "second"],
  ];
  const named = (/** @type {(string | number)[]} */ [value, unit]) => t(`duration.${unit}`, { value });
  const first = parts.findIndex(([value]) => Number(value) > 0);
  if (first < 0) return named([0, "second"]);
  return parts.slice(first, first + 2).filter(([value]) => Number(value) > 0).map(named).join(" ");
}

/** An instant of the server (ISO 8601 without an offset) as the camera's clock showed it. @param {string} iso */
export function instant(iso) {
  const date = new Date(`${iso}Z`);
  if (Number.isNaN(date.getTime())) return iso;
  return iso.includes("T") ? MINUTE.format(date) : DAY.format(date);
}

const DAY_MS = 86_400_000;

/** The day before one, "2021-05-01" as "2021-04-30". @param {string} day */
export function dayBefore(day) {
  return new Date(Date.parse(`${day}T00:00:00Z`) - DAY_MS).toISOString().slice(0, 10);
}

/** A day, "2021-05-17", as "May 17, 2021". @param {string} day */
export const dayName = (day) => DAY.format(new Date(`${day}T00:00:00Z`));

/** The days from one to another as the language writes them: "May 1 – 31, 2021". @param {string} first @param {string} last */
export const dayRange = (first, last) => DAY.formatRange(new Date(`${first}T00:00:00Z`), new Date(`${last}T00:00:00Z`));

const LOCAL = new Intl.DateTimeFormat(locale, { dateStyle: "long", timeStyle: "short" });

/** An instant by the clock of the reader. @param {number} seconds since 1970 */
export const localTime = (seconds) => LOCAL.format(new Date(1000 * seconds));

const MONTH = new Intl.DateTimeFormat(locale, { month: "long", year: "numeric", timeZone: "UTC" });

/** A month, "2021-05", as "May 2021". @param {string} month */
export const monthName = (month) => MONTH.format(new Date(`${month}-01T00:00:00Z`));

/** A date of a filter: a day, a month, a year; what is none of them stays as it is. @param {string} date */
export function dateName(date) {
  if (!/^\d{4}-\d{2}(-\d{2})?$/.test(date) || Number.isNaN(Date.parse(date))) return date;
  return date.length === 7 ? monthName(date) : dayName(date);
}

const SHORT_MONTH = new Intl.DateTimeFormat(locale, { month: "short", timeZone: "UTC" });

/** A month, "2021-05", as "May". @param {string} month */
export const shortMonthName = (month) => SHORT_MONTH.format(new Date(`${month}-01T00:00:00Z`));

/** A moment of a video as players show it: "1:02:05", "0:12". @param {number} seconds from its start */
export function moment(seconds) {
  const whole = Math.floor(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const padded = (/** @type {number} */ value) => String(value).padStart(2, "0");
  return hours ? `${hours}:${padded(minutes)}:${padded(rest)}` : `${minutes}:${padded(rest)}`;
}

/** A number with a fixed count of decimals. @param {number} value @param {number} digits */
export const decimal = (value, digits) => value.toLocaleString(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits });

const PERCENT = new Intl.NumberFormat(locale, { style: "percent" });

/** @param {number} share of 1 */
export const percentage = (share) => PERCENT.format(share);

/** @param {number} score */
export const score = (score) => decimal(score, 2);

/** @param {number} perSecond */
export const rate = (perSecond) => t("rate", { value: perSecond < 10 ? decimal(perSecond, 1) : Math.round(perSecond) });

/** What holds a run back, as a sentence. @param {string} name */
export const bottleneck = (name) => (isKnown(`bottleneck.${name}`) ? t(`bottleneck.${name}`) : name);

/** The same in a word. @param {string} name */
export const stage = (name) => (isKnown(`stage.${name}`) ? t(`stage.${name}`) : name);

/** Seconds since an instant (seconds since 1970), as "4 s ago". @param {number} since */
export function ago(since) {
  const seconds = Math.max(0, Date.now() / 1000 - since);
  return seconds < 1.5 ? t("ago.now") : t("ago", { duration: duration(seconds) });
}
