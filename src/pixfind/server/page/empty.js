/**
 * What stands where no pictures are: why, and what to do next.
 *
 * Owns the texts and buttons of every empty state, and of the start page. Must not know how a search is made.
 *
 * @typedef {import("./api.js").SearchResponse} SearchResponse
 * @typedef {import("./address.js").Place} Place
 * @typedef {{search: (q: string) => void, showWeak: () => void, clearFilters: () => void, openLibrary: () => void, start: () => void,
 *            retry: () => void, choosePicture: () => void}} Actions what the buttons do
 */

import { button, byId, el, icon } from "./dom.js";
import { parse } from "./query.js";
import { count, number, quoted } from "./words.js";

/** Queries of which every model knows every word, the starter model too (a test checks it), and which most libraries answer. */
const IDEAS = ["sunset over the sea", "snow", "forest", "city at night", "flowers", "beach -sunset", "red", "mountains"];

/** Where it is remembered that the note about the starter model was hidden. */
const NOTE_KEY = "pixfind-starter-note";

/** @param {string} title @param {(Node | string)[]} text @param {...Node} buttons */
function state(title, text, ...buttons) {
  return [el("h2", {}, title), el("p", {}, ...text), buttons.length ? el("p", { class: "empty-actions" }, ...buttons) : ""];
}

/** @param {string} text */
const code = (text) => el("code", {}, text);

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
  const isFiltered = Object.keys(place.filters).length > 0 && !found.hidden;
  if (knowsNothing(found, place) && !isFiltered) return unknown(found, status, actions);
  if (found.hidden) return unlike(found, status, actions);
  if (isFiltered) return filtered(actions);
  return state("No picture fits", [found.remark ?? "Try other words."], action("Show all pictures", () => actions.search("")));
}

/** @param {any} status @param {Actions} actions */
function notEmbedded(status, actions) {
  const pending = status?.images.pending ?? 0;
  if (status?.running) {
    return state("The first pictures are on their way", ["They appear here as soon as they are embedded."], action("Watch it", actions.openLibrary, true));
  }
  if (pending && status.can_control) {
    const text = `${count(pending, "picture")} ${pending === 1 ? "is" : "are"} registered, and none can be searched yet.`;
    return state("Nearly there", [text], action(`Embed ${count(pending, "picture")}`, actions.start, true));
  }
  return state("No pictures yet", ["Tell pixfind where your pictures are, in a terminal:"], code("pixfind index ~/Pictures"), el("span", {}, "This page notices by itself."));
}

/** Whether the model knows no word of what is wanted. @param {SearchResponse} found @param {Place} place */
function knowsNothing({ ignored }, place) {
  const wanted = parse(place.q).terms.filter(({ weight }) => weight > 0);
  return !place.picture && wanted.length > 0 && wanted.every(({ kind, value }) => kind === "text" && ignored.includes(value));
}

/** @param {SearchResponse} found @param {any} status @param {Actions} actions */
function unknown(found, status, actions) {
  const text = [`It does not know ${quoted(found.unknown)}. `, ...limits(status), " It does know:"];
  return state("These words mean nothing to the model", text, ...ideas(actions));
}

/** @param {SearchResponse} found @param {any} status @param {Actions} actions */
function unlike(found, status, actions) {
  const words = found.unknown.length ? `The model does not know ${quoted(found.unknown)}. ` : "";
  const text = `${words}None of ${number(found.rows)} pictures comes close. The nearest are there to look at, as guesses. `;
  return state("Nothing looks like that", [text, ...limits(status)], action("Show the nearest anyway", actions.showWeak, true), action("Search by a picture", actions.choosePicture));
}

/** @param {Actions} actions */
function filtered(actions) {
  return state("No picture passes the filters", ["Remove one of them above, or all of them."], action("Clear all filters", actions.clearFilters, true));
}

/** @param {import("./api.js").Refused} error @param {Actions} actions @returns {(Node | string)[]} */
export function refused({ message, status }, actions) {
  // A request that is refused for what it is would be refused again.
  const next = status < 500 ? action("Show all pictures", () => actions.search("")) : action("Try again", actions.retry, true);
  return state("That did not work", [el("span", { class: "empty-message" }, message)], next);
}

/** What the model of the library does not know, and how to change it: only the starter has such limits. @param {any} status @returns {(Node | string)[]} */
export function limits(status) {
  if (status?.model !== "starter") return [];
  return ["The starter model knows colours and scenes only, no objects and no people. A larger model knows them: ", code("pixfind model switch clip-vit-b32")];
}

/**
 * The top of the start page.
 *
 * @param {any} status
 * @param {Actions} actions
 */
export function welcome(status, actions) {
  const rows = status?.searchable_rows ?? 0;
  if (status && !rows) return [el("h1", { class: "home-title" }, "Welcome to pixfind")];
  const note = isNoteHidden() ? [] : limits(status);
  return [
    el("h1", { class: "home-title" }, rows ? `${count(rows, "picture")}. What are you looking for?` : "What are you looking for?"),
    el(
      "p",
      { class: "home-ideas" },
      ...ideas(actions),
      el("button", { type: "button", class: "button button--idea", onclick: actions.choosePicture }, icon("picture"), el("span", {}, "a picture of yours")),
    ),
    note.length ? starterNote(note) : "",
  ];
}

/** @param {(Node | string)[]} text */
function starterNote(text) {
  const note = el("p", { class: "home-note" }, el("span", {}, ...text), button({ icon: "close", label: "Hide this note", class: "button--bare", click: hide }));
  function hide() {
    note.remove();
    byId("words").focus();
    try {
      localStorage.setItem(NOTE_KEY, "1");
    } catch {
      // Storage is forbidden in some private windows: it is hidden until the page is loaded again.
    }
  }
  return note;
}

function isNoteHidden() {
  try {
    return localStorage.getItem(NOTE_KEY) !== null;
  } catch {
    return false;
  }
}
