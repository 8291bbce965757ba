/**
 * How many pictures each year has, or each month of one, as bars that are a filter on the date.
 *
 * Owns the bars. Must not know where the counts come from.
 *
 * @typedef {{month: string, count: number}} Month
 */

import { button, el } from "./dom.js";
import { t } from "./messages.js";
import { monthName, shortMonthName } from "./words.js";

/** Per cent of the height that the smallest bar has: one picture is not none. */
const MIN_HEIGHT = 3;
/** Those that have a bar each, be there pictures or not. */
const MAX_YEARS = 60;

/**
 * @param {Month[]} months the newest first
 * @param {{after?: string, before?: string}} filters that hold
 * @param {(range: {after?: string, before?: string}) => void} choose
 * @returns {Node[]} nothing where there is nothing to choose
 */
export function histogram(months, filters, choose) {
  if (!months.length) return [];
  const chosenYear = oneYear(filters);
  const [newest, oldest] = [months[0].month.slice(0, 4), months[months.length - 1].month.slice(0, 4)];
  const year = chosenYear ?? (newest === oldest ? newest : null);
  const bars = year ? monthsOf(year, months) : years(months);
  const max = Math.max(1, ...bars.map(({ many }) => many));
  const back = button({ icon: "left", label: t("histogram.all-years"), words: t("histogram.all-years"), class: "button--text", click: () => choose({}) });
  const title = year ? t("histogram.months", { year }) : t("histogram.years");
  const head = el("p", { class: "histogram-head" }, el("span", {}, title), chosenYear ? back : null);
  const made = bars.map((bar) => {
    const label = t("histogram.bar", { name: bar.name, count: bar.many });
    const chosen = filters.after === bar.after && filters.before === bar.before;
    const pillar = el("span", { class: "histogram-pillar" });
    pillar.style.height = bar.many ? `${Math.max(MIN_HEIGHT, (100 * bar.many) / max)}%` : "0";
    const props = { type: "button", class: "histogram-bar", "data-key": `${bar.after} ${bar.before}`, title: label, "aria-label": label, "aria-pressed": String(chosen), disabled: !bar.many };
    const click = () => choose(chosen && year ? (chosenYear === year ? range(Number(year)) : {}) : { after: bar.after, before: bar.before });
    return el("button", { ...props, onclick: click }, el("span", { class: "histogram-space" }, pillar), el("span", { class: "histogram-name", "aria-hidden": "true" }, bar.short));
  });
  return [head, el("div", { class: "histogram", role: "group", "aria-label": title }, ...made)];
}

/** The year in which a filter on the date lies, if there is one. @param {{after?: string, before?: string}} filters */
function oneYear({ after, before }) {
  const from = /^(\d{4})-\d{2}-01$/.exec(after ?? "")?.[1];
  if (!from || !before) return null;
  return before.startsWith(from) || before === `${next(from)}-01-01` ? from : null;
}

/** @param {string} year */
const next = (year) => String(Number(year) + 1).padStart(4, "0");

/** @param {number} year */
const range = (year) => ({ after: `${String(year).padStart(4, "0")}-01-01`, before: `${next(String(year))}-01-01` });

/** Years without pictures have their place among the others, unless a clock that was wrong makes them too many. @param {Month[]} months */
function years(months) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { month, count: many } of months) counts.set(month.slice(0, 4), (counts.get(month.slice(0, 4)) ?? 0) + many);
  const [last, first] = [months[0], months[months.length - 1]].map(({ month }) => Number(month.slice(0, 4)));
  const names = last - first < MAX_YEARS ? Array.from({ length: last - first + 1 }, (_, at) => String(first + at).padStart(4, "0")) : [...counts.keys()].reverse();
  return names.map((name) => ({ name, many: counts.get(name) ?? 0 })).map(({ name, many }) => ({ name, short: name.slice(2), many, ...range(Number(name)) }));
}

/** @param {string} year @param {Month[]} months */
function monthsOf(year, months) {
  return Array.from({ length: 12 }, (_, at) => {
    const month = `${year}-${String(at + 1).padStart(2, "0")}`;
    const name = monthName(month);
    const before = at === 11 ? `${next(year)}-01-01` : `${year}-${String(at + 2).padStart(2, "0")}-01`;
    return { name, short: shortMonthName(month), many: months.find((each) => each.month === month)?.count ?? 0, after: `${month}-01`, before };
  });
}
