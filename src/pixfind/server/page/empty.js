/**
 * What stands where no pictures are: why, and what to do next.
 *
 * Owns the texts and buttons of every empty state, and of the start page. Must not know how a search is made.
 *
 * @typedef {import("./api.js").SearchResponse} SearchResponse
 * @typedef {import("./address.js").Place} Place
 * @typedef {{search: (q: string) => void, lastAdded: () => void, showWeak: () => void, clearFilters: () => void, openLibrary: () => void, start: () => void,
 *            retry: () => void, choosePicture: () => void, say: (words: string) => void}} Actions what the buttons do
 */

import { isFiltered } from "./address.js";
import { copy } from "./clipboard.js";
import { command } from "./commands.js";
import { button, byId, el, icon } from "./dom.js";
import { language, t } from "./messages.js";
import { parse } from "./query.js";
import { quoted } from "./words.js";

/** Queries of which every model knows every word, the starter model too (a test checks it), and which most libraries answer. */
const IDEAS = ["sunset over the sea", "snow", "forest", "city at night", "flowers", "beach -sunset", "red", "mountains"];

/** What is offered in place of the starter model: of `pixfind models`, the smallest download, and the one for queries in many languages. */
const SMALL_MODEL = "clip-vit-b32";
const MULTILINGUAL_MODEL = "xlm-roberta-vit-b32";

/** Where it is remembered that the note about the starter model was hidden. */
const NOTE_KEY = "pixfind-starter-note";

/** Where it is remembered whether the library had the starter model: its room is kept before that is known. */
const MODEL_KEY = "pixfind-model";

/** @param {string} title @param {(Node | string)[]} text @param {...Node} buttons */
function state(title, text, ...buttons) {
  return [el("h2", {}, title), el("p", {}, ...text), buttons.length ? el("p", { class: "empty-actions" }, ...buttons) : ""];
}

/** @param {string} text */
const code = (text) => el("code", { title: text }, text);

/** @param {string} words @param {() => void} click @param {boolean} [main] */
const action = (words, click, main = false) => button({ label: words, words, class: main ? "button--main" : "", click });

/** @param {Actions} actions */
const ideas = (actions) => IDEAS.map((idea) => button({ label: idea, words: idea, class: "button--idea", click: () => actions.search(idea) }));

/**
 * @param {SearchResponse} found an answer without hits
 * @param {Place} place that was requested
 * @param {any} status the answer of /api/status, null when it is not known yet
 * @param {Actions} actions
 * @returns {(Node | string)[]}
 */
export function nothing(found, place, status, actions) {
  if (!found.rows) return notEmbedded(status, actions);
  const mayFilter = isFiltered(place) && !found.hidden;
  if (knowsNothing(found, place) && !mayFilter) return unknown(found, status, actions);
  if (found.hidden) return unlike(found, place, status, actions);
  if (mayFilter) return filtered(actions);
  return state(t("empty.no-fit"), [found.remark ?? t("empty.other-words")], action(t("empty.show-all"), () => actions.search("")));
}

/** @param {any} status @param {Actions} actions */
function notEmbedded(status, actions) {
  const pending = status?.images.pending ?? 0;
  if (status?.running) {
    return state(t("empty.on-the-way"), [t("empty.on-the-way-text")], action(t("empty.watch"), actions.openLibrary, true));
  }
  if (pending && status.can_control) {
    const text = t("empty.nearly-text", { count: pending });
    return state(t("empty.nearly"), [text], action(t("empty.embed", { count: pending }), actions.start, true));
  }
  return state(t("empty.none"), [t("empty.none-text")], code(command("index ~/Pictures")), ...(status?.can_add_folders ? [action(t("empty.add-folder"), actions.openLibrary, true)] : []), el("span", {}, t("empty.notices")));
}

/** Whether the model knows no word of what is wanted. @param {SearchResponse} found @param {Place} place */
function knowsNothing({ ignored }, place) {
  const wanted = parse(place.q).terms.filter(({ weight }) => weight > 0);
  return !place.picture && wanted.length > 0 && wanted.every(({ kind, value }) => kind === "text" && ignored.includes(value));
}

/** @param {SearchResponse} found @param {any} status @param {Actions} actions */
function unknown(found, status, actions) {
  const known = [el("p", { class: "empty-known" }, t("empty.knows")), el("p", { class: "empty-actions" }, ...ideas(actions))];
  return [...state(t("empty.unknown"), [t("empty.unknown-text", { words: quoted(found.unknown) }), ...limits(status)]), ...known];
}

/** @param {SearchResponse} found @param {Place} place @param {any} status @param {Actions} actions */
function unlike(found, place, status, actions) {
  const words = found.unknown.length ? t("empty.unlike-unknown", { words: quoted(found.unknown) }) : "";
  const text = words + (isFiltered(place) ? t("empty.unlike-filtered") : t("empty.unlike-text", { count: status?.searchable_images ?? found.rows }));
  return state(t("empty.unlike"), [text, ...limits(status)], action(t("empty.show-nearest"), actions.showWeak, true), action(t("empty.by-picture"), actions.choosePicture));
}

/** @param {Actions} actions */
function filtered(actions) {
  return state(t("empty.filtered"), [t("empty.filtered-text")], action(t("empty.clear-filters"), actions.clearFilters, true));
}

/** @param {import("./api.js").Refused} error @param {Actions} actions @returns {(Node | string)[]} */
export function refused({ message, status }, actions) {
  // A request that is refused for what it is would be refused again.
  const next = status < 500 ? action(t("empty.show-all"), () => actions.search("")) : action(t("empty.retry"), actions.retry, true);
  return state(t("empty.failed"), [el("span", { class: "empty-message" }, message)], next);
}

/** What the model of the library does not know, and how to change it: only the starter has such limits. @param {any} status @returns {(Node | string)[]} */
export function limits(status) {
  if (status?.model !== "starter") return [];
  return [t("empty.starter"), code(switching())];
}

/** The command that puts another model in the place of the starter model. */
const switching = () => command(`model switch ${language === "en" ? SMALL_MODEL : MULTILINGUAL_MODEL}`);

/**
 * The top of the start page.
 *
 * @param {any} status
 * @param {Actions} actions
 */
export function welcome(status, actions) {
  const count = status?.searchable_images ?? 0;
  if (status && !count) return [el("h1", { class: "home-title" }, t("home.welcome"))];
  if (status) remember(MODEL_KEY, String(status.model));
  return [
    el("h1", { class: "home-title" }, count ? t("home.question-of", { count }) : t("home.question")),
    el(
      "p",
      { class: "home-ideas" },
      ...ideas(actions),
      status?.libraries ? "" : button({ label: t("home.recent"), words: t("home.recent"), class: "button--idea", click: actions.lastAdded }),
      el("button", { type: "button", class: "button button--idea", onclick: actions.choosePicture }, icon("picture"), el("span", {}, t("home.your-picture"))),
    ),
    hasRoom ? starterNote(status?.model === "starter", actions) : "",
  ];
}

/**
 * Whether there is room for the note: decided before the page is shown, as pictures that are there already must not move.
 *
 * Without a note, the room of a first visit stays empty.
 */
let hasRoom = recalled(NOTE_KEY) === null && [null, "starter"].includes(recalled(MODEL_KEY));

/** @param {boolean} isShown @param {Actions} actions */
function starterNote(isShown, { say }) {
  // On a narrow screen its line is cut: what is copied is said as a whole.
  const take = button({ icon: "copy", label: t("home.copy-command"), class: "button--bare", click: async () => say((await copy(switching())) ? t("home.copied-command", { command: switching() }) : t("taking.copy-refused")) });
  const note = el("p", { class: isShown ? "home-note" : "home-note home-note--room" }, el("span", {}, ...limits({ model: "starter" })), take, button({ icon: "close", label: t("home.hide-note"), class: "button--bare", click: hide }));
  function hide() {
    note.remove();
    hasRoom = false;
    byId("words").focus();
    remember(NOTE_KEY, "1");
  }
  return note;
}

/** @param {string} key @param {string} value */
function remember(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Storage is forbidden in some private windows: there every visit is the first.
  }
}

/** @param {string} key @returns {string | null} */
function recalled(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}
