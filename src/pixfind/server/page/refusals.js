/**
 * What the page says when the server refuses something, and why an embed or a watch rests: in the language of the page, and what to do here.
 *
 * The server's own sentences are English and name parameters of the API. Their translations are messages: `refused.KIND`, whose kinds are names of
 * `pixfind.errors`, and `rests.KIND`, whose kinds are those of `Reason` in `pixfind.types`; a test compares them. Rarer kinds come as the server says them.
 */

import { command } from "./commands.js";
import { isKnown, t } from "./messages.js";

/** @param {{kind: string, message: string, values?: Record<string, string | number>}} error @returns {string} */
export function refusal({ kind, message, values = {} }) {
  if (kind === "InvalidFilter" && values.option === "label") return t("refused.no-label", values);
  if (kind === "InvalidFilter" && values.option === "album") return t("refused.no-album", values);
  if (kind === "WordsNotIndexed") return t("refused.WordsNotIndexed", { command: command("build-index") });
  return isKnown(`refused.${kind}`) ? t(`refused.${kind}`, values) : message;
}

/** @param {{kind: string, message: string, values: Record<string, string | number>}} reason @returns {string} */
export const rests = (reason) => (isKnown(`rests.${reason.kind}`) ? t(`rests.${reason.kind}`, reason.values) : refusal(reason));
