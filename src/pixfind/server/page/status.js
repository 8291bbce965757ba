/**
 * The library view: the ledger, the running embed, what failed and why.
 *
 * Owns its elements: made once, then only their text changes, twice a second while an embed runs, so that focus and
 * opened lists stay. Must not know how the status arrives.
 */

import { embed, Unreachable, Refused, failures as failed } from "./api.js";
import { button, byId, el, fill } from "./dom.js";
import { ago, bottleneck, count, duration, number, rate, safeName, size } from "./words.js";

/** The ledger: seen = embedded + duplicate + failed + skipped + pending. */
const OUTCOMES = [
  ["embedded", "embedded", "can be searched"],
  ["duplicate", "byte-identical", "found with the file that they are a copy of"],
  ["pending", "pending", "wait to be embedded"],
  ["failed", "failed", "cannot be read; see below"],
  ["skipped", "skipped", "skipped by a rule"],
];

const PROGRESS = {
  start: "Starting: workers load the model.",
  pause: "Pausing: what is in hand is finished first.",
  resume: "Resuming.",
  stop: "Stopping: what is in hand is finished and saved.",
};
const MAX_WAIT_MS = 20_000;

export class StatusView {
  /** @type {any} */ #status = null;
  /** @type {Map<string, HTMLDetailsElement>} */ #reasons = new Map();
  /** @type {"" | keyof typeof PROGRESS} */ #sent = "";

  constructor() {
    this.root = byId("library-view");
    this.title = el("h1", { id: "library-title" }, "Library");
    this.lead = el("p", { class: "library-lead" });
    this.bar = el("div", { class: "ledger", role: "img" }, ...OUTCOMES.map(([name]) => el("span", { class: `ledger-part ledger-part--${name}` })));
    this.legend = el("ul", { class: "legend" });
    this.run = el("section", { class: "card run", "aria-labelledby": "run-title" });
    this.reasons = el("section", { class: "card", "aria-labelledby": "failures-title", hidden: true }, el("h2", { id: "failures-title" }, "What failed, and why"));
    this.facts = el("dl", { class: "facts" });
    this.#buildRun();
    const facts = el("section", { class: "card", "aria-labelledby": "facts-title" }, el("h2", { id: "facts-title" }, "Details"), this.facts);
    fill(this.root, this.title, this.lead, this.bar, this.legend, this.run, this.reasons, facts);
  }

  get status() {
    return this.#status;
  }

  /** @param {any} status the answer of /api/status */
  update(status) {
    this.#status = status;
    const { running, paused } = status;
    const happened = { start: running || !status.images.pending, pause: paused || !running, resume: !paused || !running, stop: !running };
    if (this.#sent && happened[this.#sent]) this.#finished(this.#sent);
    this.#ledger(status.images, status.searchable_rows);
    this.#runs(status);
    this.#failures(status.failures);
    this.#places(status);
  }

  /** @param {"start" | "pause" | "resume" | "stop"} action */
  async act(action) {
    if (this.#sent) return;
    this.#sent = action;
    this.#notify(PROGRESS[action]);
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

  /** @param {Record<string, number>} images @param {number} searchable */
  #ledger(images, searchable) {
    const seen = images.seen ?? 0;
    this.lead.textContent = seen
      ? `${count(seen, "picture")} known; ${searchable ? number(searchable) : "none"} can be searched${searchable ? "" : " yet"}.`
      : "No pictures yet. Register a folder in a terminal: pixfind index ~/Pictures";
    OUTCOMES.forEach(([name], place) => {
      const part = /** @type {HTMLElement} */ (this.bar.children[place]);
      part.style.flexGrow = String(images[name] ?? 0);
      part.hidden = !images[name];
    });
    const parts = OUTCOMES.filter(([name]) => images[name]).map(([name, words]) => `${number(images[name])} ${words}`);
    this.bar.setAttribute("aria-label", parts.join(", ") || "nothing yet");
    const lines = OUTCOMES.filter(([name]) => images[name] || name === "embedded").map(([name, words, meaning]) =>
      el("li", { title: meaning }, el("span", { class: `dot ledger-part--${name}` }), el("strong", {}, number(images[name] ?? 0)), ` ${words}`),
    );
    for (const [name, words] of [["offline", "on drives that are away"], ["gone", "gone"]]) {
      if (images[name]) lines.push(el("li", {}, el("strong", {}, number(images[name])), ` ${words}`));
    }
    fill(this.legend, ...lines);
  }

  // --- the run ------------------------------------------------------------------------------------

  #buildRun() {
    const make = (/** @type {string} */ name, /** @type {string} */ words, /** @type {"start" | "pause" | "resume" | "stop"} */ action, main = "") =>
      button({ icon: name, label: words, words, class: main, click: () => this.act(action) });
    this.start = make("play", "Start embedding", "start", "button--main");
    this.pause = make("pause", "Pause", "pause");
    this.resume = make("play", "Resume", "resume", "button--main");
    this.stop = make("stop", "Stop", "stop");
    this.runTitle = el("h2", { id: "run-title" });
    this.figures = el("dl", { class: "figures" });
    this.note = el("p", { class: "run-note" });
    this.message = el("p", { class: "run-message", role: "status", hidden: true });
    this.workers = el("tbody");
    const heads = ["Worker", "Pictures", "Rate", "Bottleneck", "Saved"].map((head) => el("th", { scope: "col" }, head));
    this.table = el("div", { class: "table-box" }, el("table", {}, el("caption", { class: "visually-hidden" }, "Workers"), el("thead", {}, el("tr", {}, ...heads)), this.workers));
    const buttons = el("p", { class: "run-actions" }, this.start, this.resume, this.pause, this.stop);
    fill(this.run, this.runTitle, this.figures, this.note, buttons, this.message, this.table);
  }

  /** @param {any} status */
  #runs(status) {
    const { running, paused, images } = status;
    const foreign = running && status.run && !["embed", "index"].includes(status.run.verb);
    const idle = images.pending ? `${count(images.pending, "picture")} to embed` : "Everything is embedded";
    this.runTitle.textContent = !running ? idle : foreign ? `Busy: ${status.run.verb}` : paused ? "Paused" : "Embedding";
    const figures = [
      ["Rate", status.images_per_second === null ? "measuring" : rate(status.images_per_second)],
      ["Time left", status.eta_seconds === null ? "measuring" : duration(status.eta_seconds)],
      ["Pending", number(images.pending)],
    ];
    fill(this.figures, ...(running ? figures.slice(paused ? 2 : 0) : []).map(([term, value]) => el("div", {}, el("dt", {}, term), el("dd", {}, value))));
    const held = status.bottleneck && `${bottleneck(status.bottleneck)}${status.because ? ` Measured: ${status.because}.` : ""}`;
    if (running) this.note.textContent = (paused ? status.pause_reason : held) ?? "";
    else fill(this.note, "More pictures are added in a terminal: ", el("code", {}, "pixfind index FOLDER"));
    this.note.hidden = !this.note.textContent;
    this.table.hidden = !running || !status.workers.length;
    fill(this.workers, ...status.workers.map(workerRow));
    this.#buttons();
  }

  #buttons() {
    const status = this.#status;
    const { running = false, paused = false, can_control: may = false, images = {} } = status ?? {};
    const shown = new Map([[this.start, !running && images.pending > 0], [this.pause, running && !paused], [this.resume, running && paused], [this.stop, running]]);
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
    const folders = status.folders.map((/** @type {string} */ folder) =>
      el("span", { class: "path" }, folder, folder in status.offline && el("em", {}, ` away: ${status.offline[folder]}`)),
    );
    const facts = [
      ["Folders", folders.length ? el("span", { class: "stacked" }, ...folders) : "none"],
      ["Watch", status.watch && watched(status.watch)],
      ["Model", status.model && `${status.model}${status.precision ? `, ${status.precision}` : ""}`],
      ["Next model", status.change && nextModel(status.change)],
      ["Index", status.index_rows ? `${count(status.index_rows, "row")}${status.recall === null ? "" : `, recall@10 ${status.recall.toFixed(3)}`}` : "none; searches look at every row"],
      ["Library", el("span", { class: "path" }, status.library)],
      ["On disk", `${size(status.bytes)}, ${size(status.free_bytes)} free`],
    ];
    const key = JSON.stringify(facts.map(([term, value]) => [term, value instanceof Node ? value.textContent : value]));
    if (this.facts.dataset.key === key) return;
    this.facts.dataset.key = key;
    fill(this.facts, ...facts.filter(([, value]) => value).flatMap(([term, value]) => [el("dt", {}, term), el("dd", {}, value)]));
  }
}

/** What keeps the library current. @param {any} watch */
function watched({ running, stopped, rescanned, rescan_minutes: minutes }) {
  if (!running) return `stopped: ${stopped}`;
  const slow = Object.entries(rescanned).map(([folder, why]) => `${folder} every ${count(minutes, "minute")} (${why})`);
  return ["What changes in the folders is indexed within seconds", ...slow].join("; ");
}

/** How far the model that is to answer next has come. @param {any} change */
function nextModel({ model, images }) {
  const done = images.seen - images.pending;
  return `${model}: ${number(done)} of ${count(images.seen, "picture")} done; the model above answers until all are`;
}

/** @param {any} worker */
function workerRow(worker) {
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, worker.worker),
    el("td", {}, number(worker.images)),
    el("td", {}, worker.images_per_second === null ? "…" : rate(worker.images_per_second)),
    el("td", {}, worker.bottleneck ?? "…"),
    el("td", {}, worker.last_commit ? ago(worker.last_commit) : "…", worker.deaths > 0 && ` (restarted ${count(worker.deaths, "time")})`),
  );
}

/** The paths that failed for a reason, fetched when the list is opened. @param {string} reason @returns {HTMLDetailsElement} */
function reasonList(reason) {
  const paths = el("ul", { class: "paths" });
  const more = el("p", {});
  const next = async () => {
    try {
      const found = await failed(reason, paths.children.length);
      paths.append(...found.failures.map((/** @type {{path: string}} */ { path }) => el("li", { class: "path", dir: "auto" }, safeName(path))));
      fill(more, found.more ? button({ label: "Show more", words: "Show more", click: next }) : "");
    } catch (error) {
      if (!(error instanceof Refused || error instanceof Unreachable)) throw error;
      fill(more, error.message);
    }
  };
  const made = el("details", { class: "reason" }, el("summary", {}, el("strong", { class: "reason-count" }), el("span", {}, ` ${reason}`)), paths, more);
  made.addEventListener("toggle", () => {
    if (!made.open) return;
    fill(paths);
    next();
  });
  return made;
}
