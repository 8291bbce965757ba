/**
 * The query language, as pixfind.search.query reads it: terms with signs and weights.
 *
 * Owns reading a line into terms and writing terms as a line. Pure. tests/browser holds it to the parser of the server
 * on every kind of line; the page reads it to show chips and to send nothing that is wrong.
 *
 * @typedef {{kind: "text" | "file" | "id" | "name" | "says", value: string, weight: number}} Term
 * @typedef {{terms: Term[], problem: string | null}} Parsed
 */

import { t } from "./messages.js";
import { IMAGE_SUFFIXES } from "./suffixes.js";

const MAX_QUERY_CHARACTERS = 4000;
const MAX_TEXT_CHARACTERS = 1000;
const MAX_TERMS = 32;
const MAX_WEIGHT = 100;

const SPACE = /\s*/y;
const SIGN = /[+-]/y;
const WEIGHT = /([0-9]+(?:\.[0-9]*)?|\.[0-9]+):(?![0-9])/y;
const KIND = /(id|file|text|name|says):/iy;
const QUOTED = /"((?:[^"\\]|\\.)*)"/sy;
const WORD = /\S*/y;
const NEXT_TERM = /\s+(?=[+-]|"|(?:name|says):\S)/gi;
const PATH_START = /^(?:(?:\.{1,2}|~[^\s/\\]*)?[/\\]|[A-Za-z]:[/\\])/;

class InvalidQuery extends Error {}

/**
 * Read a line. `problem` says in words what is wrong with it; the terms are those before it.
 *
 * @param {string} source
 * @param {{picture?: unknown}} [beside] `picture`: one of the user's own is searched for too, so all terms may be unwanted
 * @returns {Parsed}
 */
export function parse(source, { picture } = {}) {
  /** @type {Term[]} */
  const terms = [];
  try {
    if (source.length > MAX_QUERY_CHARACTERS) throw new InvalidQuery(t("query.too-long", { count: MAX_QUERY_CHARACTERS }));
    for (let at = skip(source, 0); at < source.length; ) {
      const [term, end] = readTerm(source, at);
      terms.push(term);
      at = skip(source, end);
    }
    if (!terms.length) throw new InvalidQuery(t("query.empty"));
    if (terms.length > MAX_TERMS) throw new InvalidQuery(t("query.too-many-terms", { count: MAX_TERMS }));
    if (!picture && terms.every((term) => term.weight < 0)) throw new InvalidQuery(t("query.all-negative"));
  } catch (error) {
    if (error instanceof InvalidQuery) return { terms, problem: error.message };
    throw error;
  }
  return { terms, problem: null };
}

/**
 * Write terms as a line that reads as the same terms.
 *
 * @param {Term[]} terms
 */
export function write(terms) {
  return terms.map((term, place) => writeTerm(term, place === 0)).join(" ");
}

/**
 * Cut what is being typed: finished terms, and the rest, which begins with the last sign.
 *
 * @param {string} line
 * @returns {{done: Term[], rest: string}}
 */
export function split(line) {
  const cuts = [...line.matchAll(NEXT_TERM)].filter(({ index }) => !isInQuotes(line, index));
  const last = cuts.at(-1);
  if (!last || line[last.index + last[0].length] === '"') return { done: [], rest: line };
  const { terms, problem } = parse(`+x ${signed(line.slice(0, last.index))}`);
  return problem ? { done: [], rest: line } : { done: terms.slice(1), rest: line.slice(last.index + last[0].length) };
}

/** Whether a line is only the beginning of a term: a sign, a weight, a kind. @param {string} line */
export function isUnfinished(line) {
  return /^\s*[+-]?\s*(?:[0-9.]+:?)?(?:(?:id|file|text|name|says):?)?"?\s*$/i.test(line) && !/^\s*[0-9.]+\s*$/.test(line) && !/^\s*(?:id|file|text|name|says)\s*$/i.test(line);
}

/** @param {string} line */
const signed = (line) => (/^\s*[+-]/.test(line) ? line : `+${line.trimStart()}`);

/** @param {string} line @param {number} index */
function isInQuotes(line, index) {
  return ((line.slice(0, index).replace(/\\./g, "").match(/"/g) ?? []).length & 1) === 1;
}

// --- reading --------------------------------------------------------------------------------------

/** @param {RegExp} pattern sticky @param {string} source @param {number} at */
function match(pattern, source, at) {
  pattern.lastIndex = at;
  return pattern.exec(source);
}

/** @param {string} source @param {number} at */
const skip = (source, at) => at + (match(SPACE, source, at)?.[0].length ?? 0);

/** @param {string} source @param {number} start @returns {[Term, number]} */
function readTerm(source, start) {
  let at = start;
  let sign = 1;
  let found = match(SIGN, source, at);
  if (found) {
    sign = found[0] === "-" ? -1 : 1;
    at = skip(source, at + 1);
  }
  let weight = 1;
  if ((found = match(WEIGHT, source, at))) {
    weight = Number(found[1]);
    if (!(weight > 0 && weight <= MAX_WEIGHT)) throw new InvalidQuery(t("query.weight", { count: MAX_WEIGHT }));
    at += found[0].length;
  }
  let prefix = null;
  if ((found = match(KIND, source, at))) {
    prefix = found[1].toLowerCase();
    at += found[0].length;
  }
  const [value, quoted, end] = prefix === "id" ? readWord(source, at) : readValue(source, at);
  if (!value.trim()) throw new InvalidQuery(t("query.words-follow"));
  const kind = /** @type {Term["kind"]} */ (prefix ?? (!quoted && namesFile(value) ? "file" : "text"));
  if (kind === "id" && !/^[0-9]{1,18}$/.test(value)) throw new InvalidQuery(t("query.id"));
  const words = kind === "name" || kind === "says";
  if (words && !/[\p{L}\p{N}]/u.test(value)) throw new InvalidQuery(t("query.letter-follows"));
  if ((kind === "text" || words) && value.length > MAX_TEXT_CHARACTERS) throw new InvalidQuery(t("query.text-too-long", { count: MAX_TEXT_CHARACTERS }));
  return [{ kind, value, weight: sign * weight }, end];
}

/** @param {string} source @param {number} at @returns {[string, boolean, number]} */
function readWord(source, at) {
  const word = match(WORD, source, at)?.[0] ?? "";
  return [word, false, at + word.length];
}

/** @param {string} source @param {number} at @returns {[string, boolean, number]} */
function readValue(source, at) {
  if (source[at] === '"') {
    const found = match(QUOTED, source, at);
    if (!found) throw new InvalidQuery(t("query.quote-open"));
    const end = at + found[0].length;
    if (end < source.length && !/\s/.test(source[end])) throw new InvalidQuery(t("query.space-expected"));
    return [found[1].replace(/\\(.)/gs, "$1"), true, end];
  }
  NEXT_TERM.lastIndex = at;
  const end = NEXT_TERM.exec(source)?.index ?? source.length;
  return [source.slice(at, end).trim(), false, end];
}

/** @param {string} value */
function namesFile(value) {
  const dot = value.lastIndexOf(".");
  return PATH_START.test(value) || (dot >= 0 && IMAGE_SUFFIXES.has(value.slice(dot + 1).toLowerCase()));
}

// --- writing --------------------------------------------------------------------------------------

/** @param {Term} term @param {boolean} first */
function writeTerm(term, first) {
  const weight = Math.abs(term.weight);
  const sign = term.weight < 0 ? "-" : first ? "" : "+";
  return `${sign}${weight === 1 ? "" : `${weight}:`}${writeValue(term)}`;
}

/** @param {Term} term */
function writeValue({ kind, value }) {
  const quoted = `"${value.replace(/(["\\])/g, "\\$1")}"`;
  if (kind === "id") return `id:${value}`;
  if (kind !== "text") return `${kind}:${quoted}`;
  const { terms, problem } = parse(value);
  const bare = !problem && terms.length === 1 && terms[0].kind === "text" && terms[0].value === value && terms[0].weight === 1;
  return bare && !/^[+"]|^text:/i.test(value) ? value : quoted;
}
