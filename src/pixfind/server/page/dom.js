/**
 * Building elements. Text goes in as text nodes only: nothing in this page parses markup, so no name can become any.
 *
 * Owns `el`, `icon` and small DOM helpers. Must not know what is built.
 */

const SVG = "http://www.w3.org/2000/svg";

/**
 * Make an element. Props that begin with `on` are listeners; `class`, `aria-…`, `data-…` and others are attributes;
 * false and null leave an attribute away. Children are nodes or text; false and null are left out.
 *
 * @param {string} tag
 * @param {Record<string, any>} [props]
 * @param {...(Node | string | number | false | null | undefined)} children
 * @returns {any} the element
 */
export function el(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.filter((child) => child !== false && child !== null && child !== undefined).map(asNode));
  return made;
}

/** @param {Node | string | number} child */
function asNode(child) {
  return child instanceof Node ? child : document.createTextNode(String(child));
}

/**
 * An icon of the sprite in index.html, hidden from screen readers: the control around it has the label.
 *
 * @param {string} name
 */
export function icon(name) {
  const made = document.createElementNS(SVG, "svg");
  made.setAttribute("class", "icon");
  made.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  made.append(use);
  return made;
}

/**
 * A button with an icon, a label for everyone (title and aria-label), and perhaps words.
 *
 * @param {{icon?: string, label: string, words?: string, class?: string, keys?: string, click: (event: MouseEvent) => void}} parts
 */
export function button({ icon: name, label, words, class: classes = "", keys, click }) {
  const props = { type: "button", class: `button ${classes}`, title: keys ? `${label} (${keys})` : label, onclick: click };
  if (words !== label) Object.assign(props, { "aria-label": label });
  if (keys) Object.assign(props, { "aria-keyshortcuts": keys });
  return el("button", props, name && icon(name), words && el("span", {}, words));
}

/** @param {string} id @returns {any} */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`index.html has no #${id}`);
  return found;
}

/** @param {Element} parent @param {...(Node | string)} children */
export function fill(parent, ...children) {
  parent.replaceChildren(...children);
  return parent;
}

/** Whether a key event is meant for a field of text. @param {Event} event */
export function isTyping(event) {
  const target = /** @type {HTMLElement} */ (event.target);
  return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
}
