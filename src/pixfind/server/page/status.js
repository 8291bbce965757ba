/**
 * The library view: the ledger, the running embed, what failed and why.
 *
 * Owns its elements: made once, then only their text changes, twice a second while an embed runs, so that focus and
 * opened lists stay. Must not know how the status arrives.
 */

import { embed, Unreachable, Refused, failures as failed } from "./api.js";
import { button, byId, el, fill } from "./dom.js";
import { t } from "./messages.js";
import { rests } from "./refusals.js";
import { named, remedy } from "./remedies.js";
import { RootsCard } from "./roots.js";
import { RunLog } from "./run_log.js";
import { ago, bottleneck, decimal, duration, number, percentage, rate, safeName, size, stage } from "./words.js";

/** The ledger: seen = embedded + duplicate + failed + skipped + pending. */
const OUTCOMES = ["embedded", "duplicate", "pending", "failed", "skipped"];

/** What is said of an action until it has taken effect. */
const PROGRESS = { start: "status.starting", scan: "status.scanning", pause: "status.pausing", resume: "status.resuming", stop: "status.stopping" };
const MAX_WAIT_MS = 20_000;

export class StatusView {
  /** @type {any} */ #status = null;
  /** @type {Map<string, HTMLDetailsElement>} */ #reasons = new Map();
  /** @type {"" | keyof typeof PROGRESS} */ #sent = "";

  constructor() {
    this.root = byId("library-view");
    this.title = el("h1", { id: "library-title" }, t("html.library"));
    this.lead = el("p", { class: "library-lead" });
    this.bar = el("div", { class: "ledger", role: "img" }, ...OUTCOMES.map((name) => el("span", { class: `ledger-part ledger-part--${name}` })));
    this.legend = el("ul", { class: "legend" });
    this.run = el("section", { class: "card run", "aria-labelledby": "run-title" });
    this.reasons = el("section", { class: "card", "aria-labelledby": "failures-title", hidden: true }, el("h2", { id: "failures-title" }, t("status.failures")));
    this.facts = el("dl", { class: "facts" });
    this.roots = new RootsCard({ done: (status) => this.update(status) });
    this.log = new RunLog();
    this.#buildRun();
    const facts = el("section", { class: "card", "aria-labelledby": "facts-title" }, el("h2", { id: "facts-title" }, t("status.details")), this.facts);
    fill(this.root, this.title, this.lead, this.bar, this.legend, this.run, this.roots.element, this.reasons, facts, this.log.element);
  }

  get status() {
    return this.#status;
  }

  /** @param {any} status the answer of /api/status */
  update(status) {
    this.#status = status;
    const { running, paused } = status;
    const happened = { start: running || !status.images.pending, scan: running, pause: paused || !running, resume: !paused || !running, stop: !running };
    if (this.#sent && happened[this.#sent]) this.#finished(this.#sent);
    this.#ledger(status.images, status.searchable_rows);
    this.#runs(status);
    this.#failures(status.failures);
    this.#places(status);
    this.opened();
  }

  /** Show also what is fetched for itself, and only while somebody looks: the view is opened, or the status has changed. */
  opened() {
    if (this.root.hidden || !this.#status) return;
    // Each library of a collection is looked after by itself.
    const isOne = !this.#status.libraries;
    for (const card of [this.roots, this.log]) {
      card.element.hidden = !isOne;
      if (isOne) card.update(this.#status);
    }
  }

  /** @param {keyof typeof PROGRESS} action */
  async act(action) {
    if (this.#sent) return;
    this.#sent = action;
    this.#notify(t(PROGRESS[action]));
    this.#buttons();
    try {
      this.update(await embed(action));
      // A process that was started shows itself a little later, one that was stopped first saves; then words end.
      setTimeout(() => this.#finished(action), MAX_WAIT_MS);
    } catch (error) {
      if (!(error instanceof Refused || error instanceof Unreachable)) throw error;
      this.#finished(action);
      this.#notify(error.message);
    }
  }

  /** An action has taken effect, or is no longer waited for. @param {string} action */
  #finished(action) {
    if (this.#sent !== action) return;
    this.#sent = "";
    this.#notify("");
    this.#buttons();
  }

  // --- the ledger ---------------------------------------------------------------------------------

  /** @param {Record<string, number>} images @param {number} rows that are searched */
  #ledger(images, rows) {
    const seen = images.seen ?? 0;
    // As the folders below count: a copy is found with its file. Of pictures that have gone rows may be left.
    const searchable = rows && Math.min(rows, images.embedded ?? 0) + (images.duplicate ?? 0);
    this.lead.textContent = t(!seen ? "status.none" : searchable ? "status.known" : "status.known-only", { count: seen, searchable });
    OUTCOMES.forEach((name, place) => {
      const part = /** @type {HTMLElement} */ (this.bar.children[place]);
      part.style.flexGrow = String(images[name] ?? 0);
      part.hidden = !images[name];
    });
    const words = (/** @type {string} */ name) => t(`outcome.${name}`, { count: images[name] ?? 0 });
    this.bar.setAttribute("aria-label", OUTCOMES.filter((name) => images[name]).map(words).join(", ") || t("outcome.none"));
    const lines = OUTCOMES.filter((name) => images[name] || name === "embedded").map((name) =>
      el("li", { title: t(`outcome.${name}-means`) }, el("span", { class: `dot ledger-part--${name}` }), words(name)),
    );
    for (const name of ["offline", "gone"]) if (images[name]) lines.push(el("li", {}, words(name)));
    fill(this.legend, ...lines);
  }

  // --- the run ------------------------------------------------------------------------------------

  #buildRun() {
    const make = (/** @type {string} */ name, /** @type {string} */ words, /** @type {keyof typeof PROGRESS} */ action, main = "") =>
      button({ icon: name, label: words, words, class: main, click: () => this.act(action) });
    this.scan = make("search", t("status.scan"), "scan");
    this.start = make("play", t("status.start"), "start", "button--main");
    this.pause = make("pause", t("status.pause"), "pause");
    this.resume = make("play", t("status.resume"), "resume", "button--main");
    this.stop = make("stop", t("status.stop"), "stop");
    this.runTitle = el("h2", { id: "run-title" });
    this.figures = el("dl", { class: "figures" });
    this.note = el("p", { class: "run-note" });
    this.message = el("p", { class: "run-message", role: "status", hidden: true });
    this.workers = el("tbody");
    const heads = ["worker", "pictures", "rate", "bottleneck", "saved"].map((head) => el("th", { scope: "col" }, t(`status.${head}`)));
    this.table = el("div", { class: "table-box" }, el("table", {}, el("caption", { class: "visually-hidden" }, t("status.workers")), el("thead", {}, el("tr", {}, ...heads)), this.workers));
    const buttons = el("p", { class: "run-actions" }, this.start, this.resume, this.pause, this.stop, this.scan);
    fill(this.run, this.runTitle, this.figures, this.note, buttons, this.message, this.table);
  }

  /** @param {any} status */
  #runs(status) {
    const { running, paused, images } = status;
    const foreign = running && status.run && !["embed", "index"].includes(status.run.verb);
    const idle = images.pending ? t("status.to-embed", { count: images.pending }) : t(images.seen ? "status.all-embedded" : "status.nothing");
    this.runTitle.textContent = !running ? idle : foreign ? t("status.busy", { verb: status.run.verb }) : t(paused ? "status.paused" : "status.embedding");
    const figures = [
      [t("status.rate"), status.images_per_second === null ? t("status.measuring") : rate(status.images_per_second)],
      [t("status.time-left"), status.eta_seconds === null ? t("status.measuring") : duration(status.eta_seconds)],
      [t("status.pending"), number(images.pending)],
    ];
    fill(this.figures, ...(running ? figures.slice(paused ? 2 : 0) : []).map(([term, value]) => el("div", {}, el("dt", {}, term), el("dd", {}, value))));
    const pace = status.bottleneck && bottleneck(status.bottleneck);
    const measured = pace && t("status.measured", { sentence: pace, figures: figuresOf(status) });
    // Before what was measured until then: nothing is fetched now.
    const held = status.held_back ? t("status.held-back", { why: status.held_back }) : measured;
    if (status.libraries) fill(this.note, `${t("status.each-library")} `, el("code", {}, "pixfind --library LIBRARY index FOLDER"));
    else this.note.textContent = (running && (paused ? rests(status.pause) : held)) || "";
    this.note.hidden = !this.note.textContent;
    this.table.hidden = !running || !status.workers.length;
    fill(this.workers, ...status.workers.map(workerRow));
    this.#buttons();
  }

  #buttons() {
    const status = this.#status;
    const { running = false, paused = false, can_control: may = false, images = {} } = status ?? {};
    const shown = new Map([[this.start, !running && images.pending > 0], [this.pause, running && !paused], [this.resume, running && paused], [this.stop, running], [this.scan, !running && Boolean(status?.folders.length)]]);
    const focused = [...shown.keys()].includes(document.activeElement);
    for (const [each, on] of shown) {
      each.hidden = !may || !on;
      each.setAttribute("aria-disabled", String(Boolean(this.#sent)));
    }
    // The button with the focus may have become another one: pause, resume.
    if (focused && document.activeElement instanceof HTMLElement && document.activeElement.hidden) {
      [...shown.keys()].find((each) => !each.hidden)?.focus();
    }
  }

  /** @param {string} words */
  #notify(words) {
    this.message.textContent = words;
    this.message.hidden = !words;
  }

  // --- failures -----------------------------------------------------------------------------------

  /** @param {Record<string, number>} reasons */
  #failures(reasons) {
    for (const [reason, many] of Object.entries(reasons)) {
      let details = this.#reasons.get(reason);
      if (!details) {
        details = reasonList(reason);
        this.#reasons.set(reason, details);
        this.reasons.append(details);
      }
      const counter = details.querySelector(".reason-count");
      if (counter) counter.textContent = number(many);
    }
    for (const [reason, details] of this.#reasons) {
      if (reason in reasons) continue;
      details.remove();
      this.#reasons.delete(reason);
    }
    this.reasons.hidden = !this.#reasons.size;
  }

  /** @param {any} status */
  #places(status) {
    const facts = [
      [t("status.watch"), status.watch && watched(status.watch)],
      [t("status.model"), status.model && `${status.model}${status.precision ? `, ${status.precision}` : ""}`],
      [t("status.next-model"), status.change && nextModel(status.change)],
      [t("status.index"), indexed(status)],
      [t("status.libraries"), status.libraries && el("span", { class: "stacked" }, ...status.libraries.map(member))],
      [t("html.library"), !status.libraries && el("span", { class: "path" }, status.library)],
      [t("status.on-disk"), t("status.disk", { used: size(status.bytes), free: size(status.free_bytes) })],
    ];
    const key = JSON.stringify(facts.map(([term, value]) => [term, value instanceof Node ? value.textContent : value]));
    if (this.facts.dataset.key === key) return;
    this.facts.dataset.key = key;
    fill(this.facts, ...facts.filter(([, value]) => value).flatMap(([term, value]) => [el("dt", {}, term), el("dd", {}, value)]));
  }
}

/** One library of a collection. @param {any} member */
function member({ name, where, missing, searchable_rows: rows, running }) {
  const state = missing ? el("em", {}, t("status.member-missing", { name, why: missing })) : t(running ? "status.member-embedding" : "status.member", { name, count: rows });
  return el("span", { class: "path", title: where }, state);
}

/** What keeps the library current. @param {any} watch */
function watched({ running, stop, starts_again_in: again, reasons, rescan_minutes: minutes }) {
  if (!running) {
    const why = t("status.watch-stopped", { why: rests(stop) });
    return again === null ? why : [why, t("status.watch-again", { duration: duration(again) })].join(" ");
  }
  const slow = Object.entries(reasons).map(([folder, why]) => t("status.watch-every", { folder, count: minutes, why: rests(why) }));
  return [t("status.watch-runs"), ...slow].join("; ");
}

/** How far the model that is to answer next has come. @param {any} change */
function nextModel({ model, images }) {
  return t("status.next-model-at", { model, done: images.seen - images.pending, count: images.seen });
}

/** What the bottleneck was told by: where the seconds of the workers went. @param {any} status */
function figuresOf({ bottleneck: limit, stages, workers }) {
  const shares = Object.fromEntries(["model", "wait", "pace"].map((stage) => [stage, percentage(stages[stage] / Math.max(workers.length, 1))]));
  const threads = { read: decimal(stages.read + stages.network, 1), decode: decimal(stages.decode, 1) };
  return t(["disk", "network", "decode"].includes(limit) ? "status.figures-waiting" : "status.figures-model", { ...shares, ...threads });
}

/** What there is of an index. @param {any} status */
function indexed({ index_rows: count, recall }) {
  if (!count) return t("status.no-index");
  const rows = t("status.index-rows", { count });
  return recall === null ? rows : t("status.recall", { rows, recall: decimal(recall, 3) });
}

/** @param {any} worker */
function workerRow(worker) {
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, [worker.worker, worker.node && t("status.on-host", { host: worker.host }), worker.node && worker.device].filter((part) => part || part === 0).join(" · ")),
    el("td", {}, number(worker.images)),
    el("td", {}, worker.images_per_second === null ? "…" : rate(worker.images_per_second)),
    el("td", {}, worker.bottleneck ? stage(worker.bottleneck) : "…"),
    el("td", {}, saved(worker)),
  );
}

/** When a worker has saved last. @param {any} worker */
function saved({ last_commit: last, deaths }) {
  const when = last ? ago(last) : "…";
  return deaths > 0 ? t("status.restarted", { ago: when, count: deaths }) : when;
}

/** The paths that failed for a reason, fetched when the list is opened. @param {string} reason @returns {HTMLDetailsElement} */
function reasonList(reason) {
  const paths = el("ul", { class: "paths" });
  const more = el("p", {});
  const next = async () => {
    try {
      const found = await failed(reason, paths.children.length);
      paths.append(...found.failures.map((/** @type {{path: string}} */ { path }) => el("li", { class: "path", dir: "auto" }, safeName(path))));
      fill(more, found.more ? button({ label: t("status.more"), words: t("status.more"), click: next }) : "");
    } catch (error) {
      if (!(error instanceof Refused || error instanceof Unreachable)) throw error;
      fill(more, error.message);
    }
  };
  const made = el("details", { class: "reason" }, el("summary", {}, el("strong", { class: "reason-count" }), el("span", {}, ` ${named(reason)}`)), remedy(reason), paths, more);
  made.addEventListener("toggle", () => {
    if (!made.open) return;
    fill(paths);
    next();
  });
  return made;
}
