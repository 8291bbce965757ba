/**
 * What the last run did: when, for how long, and the end of the log.
 *
 * Owns the card. The log is fetched when it is opened, now and then while a run goes on, and when it ends.
 */

import { Refused, Unreachable, lastRun } from "./api.js";
import { el, fill } from "./dom.js";
import { t } from "./messages.js";
import { duration, localTime } from "./words.js";

/** While a run goes on its log grows by a line now and then; its status changes twice a second. */
const EVERY_MS = 5000;

export class RunLog {
  #wasRunning = false;
  #loadedAt = -Infinity;

  constructor() {
    this.head = el("p", { class: "run-note" });
    this.lines = el("pre", { class: "log", tabindex: "0", role: "region", "aria-label": t("log.lines") });
    this.element = el("details", { class: "card log-card" }, el("summary", {}, el("h2", {}, t("log.title"))), this.head, this.lines);
    this.element.addEventListener("toggle", () => this.element.open && this.#load());
  }

  /** @param {any} status */
  update({ running }) {
    const ended = this.#wasRunning && !running;
    this.#wasRunning = running;
    const isDue = running && performance.now() - this.#loadedAt > EVERY_MS;
    if (this.element.open && (ended || isDue)) this.#load();
  }

  async #load() {
    this.#loadedAt = performance.now();
    try {
      const { verb, started, seconds, lines } = await lastRun();
      const began = started === null ? "" : localTime(started);
      this.head.textContent = !verb ? t("log.none") : seconds === null ? t("log.open", { verb, began }) : t("log.ended", { verb, began, duration: duration(seconds) });
      const atEnd = this.lines.scrollTop + this.lines.clientHeight >= this.lines.scrollHeight - 8;
      // Figures for programs stay in the file.
      const readable = lines.filter((line) => !/\{".*\}$/.test(line));
      fill(this.lines, readable.join("\n"));
      this.lines.hidden = !readable.length;
      // Who reads farther up stays there.
      if (atEnd) this.lines.scrollTop = this.lines.scrollHeight;
    } catch (error) {
      if (!(error instanceof Refused || error instanceof Unreachable)) throw error;
      this.head.textContent = error.message;
    }
  }
}
