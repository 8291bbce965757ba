/**
 * What can be done with the picture in the large view: select it, copy its path or address, download it.
 *
 * Owns these buttons and their keys. Must not know how the picture is shown.
 *
 * @typedef {import("./api.js").Hit} Hit
 * @typedef {{image_id: number, path: string, name: string}} Picture
 */

import { Refused, Unreachable, image as metadata } from "./api.js";
import { button, el } from "./dom.js";
import { t } from "./messages.js";
import { copyAddress, copyPaths, download } from "./taking.js";

const SAID_MS = 4000;

/**
 * Add the buttons to the large view.
 *
 * @param {import("./viewer.js").Viewer} viewer
 * @param {{picture: () => {image_id: number, hit: Hit | null}, isSelected: (id: number) => boolean, toggle: (hit: Hit) => void}} handlers
 *   `picture`: the one that is shown; it has no hit where it is known by its address alone
 */
export function viewerTools(viewer, handlers) {
  const said = el("p", { class: "viewer-said", role: "status" });
  let timer = 0;
  const speaker = {
    say: (/** @type {string} */ message) => {
      clearTimeout(timer);
      said.textContent = message;
      timer = setTimeout(() => (said.textContent = ""), SAID_MS);
    },
  };

  /** @param {(pictures: Picture[], speaker: any) => void} act */
  const withPicture = async (act) => {
    const { image_id: id, hit } = handlers.picture();
    try {
      act([hit ?? (await metadata(id))], speaker);
    } catch (error) {
      if (!(error instanceof Refused || error instanceof Unreachable)) throw error;
      speaker.say(error.message);
    }
  };
  const actions = {
    x: () => {
      const { hit } = handlers.picture();
      if (hit) handlers.toggle(hit);
      update();
    },
    p: () => withPicture(copyPaths),
    c: () => copyAddress("picture", speaker),
    d: () => withPicture(download),
  };
  const select = button({ icon: "check", label: t("viewer.select"), keys: "x", class: "button--bare viewer-select", click: actions.x });
  const others = [
    button({ icon: "copy", label: t("viewer.copy-path"), keys: "p", class: "button--bare", click: actions.p }),
    button({ icon: "link", label: t("viewer.copy-address"), keys: "c", class: "button--bare", click: actions.c }),
    button({ icon: "download", label: t("viewer.download"), keys: "d", class: "button--bare", click: actions.d }),
  ];
  viewer.tools.prepend(select);
  viewer.tools.append(...others);
  viewer.dialog.append(said);
  viewer.dialog.addEventListener("keydown", (event) => {
    const action = actions[/** @type {keyof typeof actions} */ (event.key)];
    if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action();
  });

  function update() {
    const { image_id: id, hit } = handlers.picture();
    select.hidden = !hit;
    select.setAttribute("aria-pressed", String(handlers.isSelected(id)));
  }
  return { update };
}
