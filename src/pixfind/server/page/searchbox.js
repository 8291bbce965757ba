/**
 * The search field: finished terms as chips, the one being typed as text.
 *
 * Owns the field. It sends a line of the query language, and receives one; a line that is wrong is explained below
 * the field and not sent. One plain text stays text; a sign (`beach -people`) makes chips.
 *
 * @typedef {import("./query.js").Term} Term
 */

import { pictureChip, termChip } from "./chips.js";
import { byId, fill } from "./dom.js";
import { t } from "./messages.js";
import { isUnfinished, parse, split, write } from "./query.js";

/** After the last key: shorter sends a request for every letter of a fast typist, longer is felt. */
const DEBOUNCE_MS = 120;

export class SearchBox {
  /** @type {Term[]} */ #terms = [];
  /** @type {Blob | null} */ #picture = null;
  #summary = "";
  #timer = 0;

  /**
   * @param {{change: (q: string, how: {typing: boolean}) => void, picture: (picture: Blob | null) => void,
   *          down: () => void}} handlers `down`: the keyboard leaves towards the pictures
   */
  constructor(handlers) {
    this.handlers = handlers;
    this.input = /** @type {HTMLInputElement} */ (byId("words"));
    this.input.addEventListener("input", (event) => !(/** @type {InputEvent} */ (event).isComposing) && this.#typed());
    this.input.addEventListener("compositionend", () => this.#typed());
    this.input.addEventListener("keydown", (event) => this.#pressed(event));
    byId("field").addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#commit();
    });
    byId("clear").addEventListener("click", () => this.clear());
    // A click beside the words means the words.
    byId("field").addEventListener("click", (/** @type {Event} */ event) => {
      if (event.target === byId("field") || event.target === byId("terms")) this.input.focus();
    });
  }

  /** Show a line that came from elsewhere: the address, a picture's button. @param {string} q @param {Blob | null} picture */
  set(q, picture) {
    clearTimeout(this.#timer);
    const samePicture = picture === this.#picture;
    if (q === this.#summary && samePicture) return;
    this.#summary = q;
    this.#picture = picture;
    const { terms, problem } = parse(q, { picture });
    const [only] = terms;
    const plain = problem || (terms.length === 1 && only.kind === "text" && only.weight === 1 && !picture);
    this.#terms = plain ? [] : terms;
    this.input.value = plain ? q : "";
    this.#explain(q ? problem : null);
    this.#draw();
  }

  /** What was typed while the page's scripts were on their way is a query too. */
  takeEarly() {
    if (this.input.value && !this.#summary) this.#typed();
  }

  focus() {
    this.input.focus();
    this.input.select();
  }

  clear() {
    this.#terms = [];
    this.input.value = "";
    if (this.#picture) this.handlers.picture(null);
    this.#send(false);
    this.#draw();
    this.input.focus();
  }

  // --- sending ------------------------------------------------------------------------------------

  #line() {
    const draft = this.input.value;
    const rest = isUnfinished(draft) ? "" : draft.trim();
    if (!this.#terms.length) return rest;
    return `${write(this.#terms)} ${rest && /^[+-]/.test(rest) ? rest : rest && `+${rest}`}`.trim();
  }

  #typed() {
    const { done, rest } = split(this.input.value);
    if (done.length) {
      this.#terms.push(...done);
      this.input.value = rest;
      this.#draw();
    }
    byId("clear").hidden = this.#isEmpty();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#send(true), DEBOUNCE_MS);
  }

  /** @param {boolean} typing */
  #send(typing) {
    clearTimeout(this.#timer);
    const line = this.#line();
    const { terms, problem } = parse(line, { picture: this.#picture });
    const wrong = line && (problem ?? (terms.some(({ kind }) => kind === "file") && t("query.file")));
    this.#explain(wrong || null);
    if (wrong || (line === this.#summary && typing)) return;
    this.#summary = line;
    this.handlers.change(line, { typing });
  }

  /** @param {string | null} problem */
  #explain(problem) {
    byId("hint").textContent = problem ?? "";
    byId("hint").hidden = !problem;
    this.input.setAttribute("aria-invalid", String(Boolean(problem)));
  }

  // --- keys ---------------------------------------------------------------------------------------

  /** Enter: what was typed is meant. It becomes a chip where there are others, or where it has a sign. */
  #commit() {
    const draft = this.input.value.trim();
    const { terms, problem } = parse(`+x ${/^[+-]/.test(draft) ? draft : `+${draft}`}`);
    if (draft && !problem && (this.#terms.length || terms.length > 2 || terms[1].weight !== 1 || terms[1].kind !== "text")) {
      this.#terms.push(...terms.slice(1));
      this.input.value = "";
      this.#draw();
    }
    this.#send(false);
  }

  /** @param {KeyboardEvent} event */
  #pressed(event) {
    if (event.key === "Backspace" && this.input.selectionEnd === 0 && this.#terms.length) {
      event.preventDefault();
      this.#edit(this.#terms.length - 1);
    } else if (event.key === "ArrowDown") {
      event.preventDefault();
      this.handlers.down();
    } else if (event.key === "Escape" && !this.#isEmpty()) {
      event.preventDefault();
      this.clear();
    }
  }

  // --- chips --------------------------------------------------------------------------------------

  #isEmpty() {
    return !this.#terms.length && !this.input.value && !this.#picture;
  }

  #draw() {
    const chips = this.#terms.map((term, place) =>
      termChip(term, {
        flip: () => this.#change(place, { ...term, weight: -term.weight }, ".chip-sign"),
        edit: () => this.#edit(place),
        remove: () => this.#change(place, null, ".chip-cross"),
      }),
    );
    const picture = this.#picture && pictureChip(this.#picture, () => this.handlers.picture(null));
    fill(byId("terms"), ...(picture ? [picture] : []), ...chips);
    byId("clear").hidden = this.#isEmpty();
    this.input.placeholder = this.#terms.length || this.#picture ? t("query.placeholder-more") : t("query.placeholder");
  }

  /** @param {number} place @param {Term | null} term null takes it away @param {string} control that had the focus */
  #change(place, term, control) {
    this.#terms.splice(place, 1, ...(term ? [term] : []));
    this.#draw();
    const again = /** @type {HTMLElement[]} */ ([...byId("terms").querySelectorAll(control)]);
    (again[Math.min(place, again.length - 1)] ?? this.input).focus();
    this.#send(false);
  }

  /** Take a term back into the text, to change it. @param {number} place */
  #edit(place) {
    const [term] = this.#terms.splice(place, 1);
    const draft = this.input.value.trim();
    const { terms } = draft && !isUnfinished(draft) ? parse(`+x ${/^[+-]/.test(draft) ? draft : `+${draft}`}`) : { terms: [] };
    this.#terms.push(...terms.slice(1));
    // A wanted term among others keeps its sign by where it stands: the line is written anew.
    this.input.value = write([term]);
    this.#draw();
    this.input.focus();
    this.input.setSelectionRange(this.input.value.length, this.input.value.length);
  }
}
