/**
 * What the page says when the server refuses something: in the language of the page, and what to do here.
 *
 * The server's own sentences are English and name options of the command line. Their translations are messages, `refused.KIND`, and the kinds are names of
 * `pixfind.errors`; a test compares them. Rarer kinds come as the server says them.
 */

import { isKnown, t } from "./messages.js";

/** @param {{kind: string, message: string, values?: Record<string, string | number>}} error @returns {string} */
export function refusal({ kind, message, values = {} }) {
  if (kind === "InvalidFilter" && values.option === "--label") return t("refused.no-label", values);
  return isKnown(`refused.${kind}`) ? t(`refused.${kind}`, values) : message;
}
