/**
 * What can be taken from the page: paths, original files, a contact sheet, addresses.
 *
 * Owns how each is made and what is said about it. Must not know how pictures were selected.
 *
 * @typedef {{image_id: number, path: string, name: string}} Picture
 * @typedef {{say: (message: string, action?: {words: string, click: () => void}) => void}} Speaker
 */

import { MAX_SHEET, MAX_ZIP, Refused, Unreachable, original, selection, sheetAddress, zipAddress } from "./api.js";
import { copy } from "./clipboard.js";
import { el } from "./dom.js";
import { t } from "./messages.js";
import { size } from "./words.js";

/** @param {Picture[]} pictures @param {Speaker} speaker */
export async function copyPaths(pictures, { say }) {
  const done = await copy(pictures.map(({ path }) => path).join("\n"));
  say(done ? t("taking.paths", { count: pictures.length }) : t("taking.copy-refused"));
}

/** Copy the address of what is shown. @param {"search" | "library" | "map" | "picture"} what @param {Speaker} speaker */
export async function copyAddress(what, { say }) {
  say((await copy(location.href)) ? t(`taking.address-${what}`) : t("taking.copy-refused"));
}

/**
 * Save the original files: one as it is, several as a zip.
 *
 * @param {Picture[]} pictures
 * @param {Speaker} speaker
 */
export async function download(pictures, speaker) {
  const ids = pictures.map(({ image_id: id }) => id);
  if (ids.length === 1) return save(original(ids[0]), pictures[0].name);
  if (ids.length > MAX_ZIP) {
    return speaker.say(t("taking.zip-count", { max: MAX_ZIP, count: ids.length }));
  }
  try {
    const found = await selection(ids);
    const away = new Set(found.unavailable.map(({ image_id: id }) => id));
    if (!found.fits) {
      speaker.say(t("taking.zip-bytes", { max: size(found.max_bytes), size: size(found.bytes) }));
    } else if (away.size === ids.length) {
      speaker.say(t("taking.none-readable"));
    } else if (away.size) {
      const rest = pictures.filter(({ image_id: id }) => !away.has(id));
      const words = t("taking.download-others", { count: rest.length });
      speaker.say(t("taking.some-unreadable", { count: away.size }), { words, click: () => download(rest, speaker) });
    } else {
      save(zipAddress(ids), "pictures.zip");
      speaker.say(t("taking.downloading", { count: ids.length, size: size(found.bytes) }));
    }
  } catch (error) {
    if (!(error instanceof Refused || error instanceof Unreachable)) throw error;
    speaker.say(error.message);
  }
}

/** Save a contact sheet. @param {Picture[]} pictures @param {string} title @param {Speaker} speaker */
export function contactSheet(pictures, title, { say }) {
  if (pictures.length > MAX_SHEET) {
    return say(t("taking.sheet-count", { max: MAX_SHEET, count: pictures.length }));
  }
  save(sheetAddress(pictures.map(({ image_id: id }) => id), title), "contact-sheet.html");
  say(t("taking.sheet", { count: pictures.length }));
}

/** @param {string} address @param {string} name */
function save(address, name) {
  el("a", { href: address, download: name }).click();
}
