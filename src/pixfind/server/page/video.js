/**
 * A video in the large view: played from the moment that was found.
 *
 * Owns the element. Must not know what else the large view shows.
 */

import { original, thumbnail } from "./api.js";
import { el } from "./dom.js";
import { t } from "./messages.js";
import { moment } from "./words.js";

/**
 * @param {number} id of the frame
 * @param {number} time its seconds from the start
 * @param {() => void} failed called once when the browser cannot play it
 * @returns {HTMLVideoElement}
 */
export function makeVideo(id, time, failed) {
  const made = el("video", {
    class: "viewer-image is-loaded",
    controls: true,
    playsinline: true,
    preload: "metadata",
    poster: thumbnail(id, 1024, 1024),
    src: `${original(id)}#t=${time}`,
    "aria-label": t("viewer.video", { moment: moment(time) }),
  });
  made.addEventListener("error", failed, { once: true });
  return made;
}
