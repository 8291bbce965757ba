/**
 * The texts of the page, in the language that language.js has chosen.
 *
 * Owns which form a number takes, and how values stand in a text. Every text of the page is in messages.LANGUAGE.json, every language has every
 * key, and tests hold both. What the server says (errors, reasons, names) comes as it is.
 *
 * @typedef {string | Record<string, string>} Message a text, or one for each plural category of the language
 */

/** The language that the texts are in. */
export const language = document.documentElement.lang;
/** The same with what the browser adds: in Britain a day is written otherwise than in America. */
export const locale = navigator.languages.find((tag) => /^[a-z\d-]+$/i.test(tag) && tag.toLowerCase().split("-")[0] === language) ?? language;
export const isRightToLeft = document.documentElement.dir === "rtl";
/** The arrow keys against the direction of reading, and along it. */
export const [BACK, FORWARD] = isRightToLeft ? ["ArrowRight", "ArrowLeft"] : ["ArrowLeft", "ArrowRight"];

/** @type {Record<string, Message>} */
const messages = await (await fetch(`/static/messages.${language}.json`, { credentials: "same-origin" })).json();
const NUMBER = new Intl.NumberFormat(locale);
const PLURAL = new Intl.PluralRules(language);

/** @param {number} value */
export const number = (value) => NUMBER.format(value);

/**
 * A text with its values: `{name}` stands for one. Numbers are written as the language does; `count` decides the form.
 *
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 * @returns {string}
 */
export function t(key, values = {}) {
  const found = messages[key];
  if (found === undefined) throw new Error(`messages.${language}.json has no ${key}`);
  const text = typeof found === "string" ? found : found[PLURAL.select(Number(values.count))] ?? found.other;
  return text.replace(/\{(\w+)\}/g, (_, name) => (typeof values[name] === "number" ? number(values[name]) : String(values[name])));
}

/** Whether there is such a text: kinds of failures come from the server, which may be newer. @param {string} key */
export const isKnown = (key) => key in messages;

/** Put the texts into what index.html holds: `data-t` is for the text of an element, `data-t-title` and the like for attributes. @param {Document} page */
export function translate(page) {
  for (const element of page.querySelectorAll("[data-t], [data-t-title], [data-t-aria-label], [data-t-placeholder]")) {
    for (const { name, value } of element.attributes) {
      if (name === "data-t") element.textContent = t(value);
      else if (name.startsWith("data-t-")) element.setAttribute(name.slice("data-t-".length), t(value));
    }
  }
}
