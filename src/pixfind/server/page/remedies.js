/**
 * Why pictures failed, and what to do about it, by the kind of the reason.
 *
 * Their words are messages, `reason.KIND` and `remedy.KIND`. The kinds are those of `pixfind.errors.images`; a test compares them.
 */

import { command } from "./commands.js";
import { el } from "./dom.js";
import { isKnown, t } from "./messages.js";

/** @param {string} reason @returns {HTMLElement | string} */
export const remedy = (reason) => (isKnown(`remedy.${reason}`) ? el("p", { class: "reason-remedy" }, t(`remedy.${reason}`, { command: command("index --max-megapixels N") })) : "");

/** @param {string} reason as the server names it: English */
export const named = (reason) => (isKnown(`reason.${reason}`) ? t(`reason.${reason}`) : reason);
