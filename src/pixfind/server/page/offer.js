/**
 * A date among the words of the query, offered as a filter: "beach last summer".
 *
 * Owns the line below the field. Nothing is filtered before it is asked for, and an offer that was refused is not made again.
 *
 * @typedef {{words: string, query: string, after: string | null, before: string | null}} DateInQuery
 */

import { button, byId, el, fill } from "./dom.js";
import { t } from "./messages.js";
import { dayBefore, dayName, dayRange } from "./words.js";

export class Offer {
  /** @type {Set<string>} */ #refused = new Set();

  /** @param {{take: (date: DateInQuery) => void}} handlers */
  constructor(handlers) {
    this.handlers = handlers;
    this.root = byId("offer");
  }

  /** @param {DateInQuery | null} date of the answer that is shown; null: there is none */
  show(date) {
    const shown = date && !this.#refused.has(date.words);
    this.root.hidden = !shown;
    if (!shown) return fill(this.root);
    const refuse = () => {
      this.#refused.add(date.words);
      this.show(null);
      byId("words").focus();
    };
    const take = () => {
      this.show(null);
      this.handlers.take(date);
      byId("words").focus();
    };
    fill(
      this.root,
      el("span", {}, t("offer.question", { words: date.words, when: when(date) })),
      button({ label: t("offer.take-of", { when: when(date) }), words: t("offer.take"), click: take }),
      button({ icon: "close", label: t("offer.refuse", { words: date.words }), class: "button--bare", click: refuse }),
    );
  }
}

/** @param {DateInQuery} date */
function when({ after, before }) {
  if (after && before) return t("offer.taken", { days: dayRange(after, dayBefore(before)) });
  return after ? t("offer.taken-from", { day: dayName(after) }) : t("offer.taken-before", { day: dayName(before ?? "") });
}
