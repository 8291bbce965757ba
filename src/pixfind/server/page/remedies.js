/**
 * What to do about pictures that failed, by the kind of the reason.
 *
 * Their sentences are messages, `remedy.KIND`. The kinds are those of `pixfind.errors.images`; a test compares them.
 */

import { el } from "./dom.js";
import { isKnown, t } from "./messages.js";

/** @param {string} reason @returns {HTMLElement | string} */
export const remedy = (reason) => (isKnown(`remedy.${reason}`) ? el("p", { class: "reason-remedy" }, t(`remedy.${reason}`)) : "");
