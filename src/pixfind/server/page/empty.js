/**
 * What stands where no pictures are: why, and what to do next.
 *
 * Owns the words and buttons of every empty state, and of the start page. Must not know how a search is made.
 *
 * @typedef {import("./api.js").SearchResponse} SearchResponse
 * @typedef {import("./address.js").Place} Place
 * @typedef {{say: (q: string) => void, all: () => void, unfilter: () => void, library: () => void, start: () => void,
 *            retry: () => void, choose: () => void}} Ways what the buttons do
 */

import { button, el, icon } from "./dom.js";
import { count, number } from "./words.js";

/** Things that every model knows, the starter model too, and most libraries show. */
const IDEAS = ["sunset over the sea", "snow", "forest", "city at night", "flowers", "beach -people", "red", "mountains"];

/** @param {string} title @param {(Node | string)[]} text @param {...Node} buttons */
function state(title, text, ...buttons) {
  return [el("h2", {}, title), el("p", {}, ...text), buttons.length ? el("p", { class: "empty-ways" }, ...buttons) : ""];
}

/** @param {string} text */
const code = (text) => el("code", {}, text);

/** @param {string} words @param {() => void} click @param {boolean} [main] */
const way = (words, click, main = false) => button({ label: words, words, class: main ? "button--main" : "", click });

/** @param {Ways} ways */
const ideas = (ways) => IDEAS.map((idea) => button({ label: idea, words: idea, class: "button--idea", click: () => ways.say(idea) }));

/**
 * @param {SearchResponse} found an answer without hits
 * @param {Place} place what was asked
 * @param {any} status as /api/status tells, null when it is not known yet
 * @param {Ways} ways
 * @returns {(Node | string)[]}
 */
export function nothing(found, place, status, ways) {
  if (!found.rows) return notEmbedded(status, ways);
  const isFiltered = Object.keys(place.filters).length > 0 && !found.hidden;
  if (found.unknown.length && !isFiltered) return unknown(found.unknown, ways);
  if (found.hidden) return unlike(found, ways);
  if (isFiltered) return filtered(ways);
  return state("No picture fits", [found.remark ?? "Try other words."], way("Show all pictures", () => ways.say("")));
}

/** @param {any} status @param {Ways} ways */
function notEmbedded(status, ways) {
  const pending = status?.images.pending ?? 0;
  if (status?.running) {
    return state("The first pictures are on their way", ["They appear here as soon as they are embedded."], way("Watch it", ways.library, true));
  }
  if (pending && status.can_control) {
    const text = `${count(pending, "picture")} ${pending === 1 ? "is" : "are"} registered, and none can be searched yet.`;
    return state("Nearly there", [text], way(`Embed ${count(pending, "picture")}`, ways.start, true));
  }
  return state("No pictures yet", ["Tell pixfind where your pictures are, in a terminal:"], code("pixfind index ~/Pictures"), el("span", {}, "This page notices by itself."));
}

/** @param {string[]} words @param {Ways} ways */
function unknown(words, ways) {
  const shown = words.map((word) => `“${word}”`).join(", ");
  return state("These words mean nothing to the model", [`It knows no word of ${shown}. It does know:`], ...ideas(ways));
}

/** @param {SearchResponse} found @param {Ways} ways */
function unlike(found, ways) {
  const text = `None of ${number(found.rows)} pictures comes close. The nearest are there to look at, as guesses.`;
  return state("Nothing looks like that", [text], way("Show the nearest anyway", ways.all, true), way("Search by a picture", ways.choose));
}

/** @param {Ways} ways */
function filtered(ways) {
  return state("No picture passes the filters", ["Remove one of them above, or all of them."], way("Clear all filters", ways.unfilter, true));
}

/** @param {string} message of the server @param {Ways} ways @returns {(Node | string)[]} */
export function refused(message, ways) {
  return state("That did not work", [el("span", { class: "empty-message" }, message)], way("Try again", ways.retry, true));
}

/**
 * The top of the start page.
 *
 * @param {any} status
 * @param {Ways} ways
 */
export function welcome(status, ways) {
  const rows = status?.searchable_rows ?? 0;
  if (status && !rows) return [el("h1", { class: "home-title" }, "Welcome to pixfind")];
  return [
    el("h1", { class: "home-title" }, rows ? `${count(rows, "picture")}. What are you looking for?` : "What are you looking for?"),
    el(
      "p",
      { class: "home-ideas" },
      ...ideas(ways),
      el("button", { type: "button", class: "button button--idea", onclick: ways.choose }, icon("picture"), el("span", {}, "a picture of yours")),
    ),
  ];
}
