/**
 * Pictures from outside: dropped anywhere, pasted, or chosen; and pictures of the grid dropped on the field.
 *
 * Owns the drop target and what counts as a picture. Must not know what is done with one.
 */

import { byId } from "./dom.js";
import { t } from "./messages.js";
import { IMAGE_SUFFIXES } from "./suffixes.js";

/**
 * @param {{picture: (file: File) => void, image: (id: number) => void, refuse: (message: string) => void}} handlers
 *   `image`: one of the library
 */
export function listen(handlers) {
  const target = byId("drop");
  let depth = 0; // enter and leave come for every element on the way

  const take = (/** @type {Iterable<File>} */ files) => {
    const received = [...files];
    const picture = received.find(isPicture);
    if (picture) handlers.picture(picture);
    else if (received.length) handlers.refuse(t("drop.not-a-picture", { name: received[0].name }));
  };
  const show = (/** @type {boolean} */ on) => {
    if (!on) depth = 0;
    target.hidden = !on;
  };

  addEventListener("dragenter", (event) => {
    if (!isOurs(event)) return;
    event.preventDefault();
    depth += 1;
    show(true);
  });
  addEventListener("dragover", (event) => {
    if (!isOurs(event)) return;
    event.preventDefault();
    if (event.dataTransfer) event.dataTransfer.dropEffect = "copy";
  });
  addEventListener("dragleave", (event) => {
    if (isOurs(event) && --depth <= 0) show(false);
  });
  addEventListener("dragend", () => show(false));
  addEventListener("drop", (event) => {
    if (!isOurs(event)) return;
    event.preventDefault();
    show(false);
    const id = Number(event.dataTransfer?.getData("application/x-pixfind-id"));
    if (id) handlers.image(id);
    else take(event.dataTransfer?.files ?? []);
  });

  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    // Copied text may come with a picture of itself: then the text is meant.
    if (!files.length || event.clipboardData?.types.includes("text/plain")) return;
    event.preventDefault();
    take(files);
  });

  const chooser = /** @type {HTMLInputElement} */ (byId("file"));
  byId("choose").addEventListener("click", () => chooser.click());
  chooser.addEventListener("change", () => {
    take(chooser.files ?? []);
    chooser.value = ""; // the same file again is a change again
  });
}

/** @param {File} file */
const isPicture = (file) => file.type.startsWith("image/") || IMAGE_SUFFIXES.has(file.name.split(".").pop().toLowerCase());

/** @param {DragEvent} event */
function isOurs(event) {
  const types = event.dataTransfer?.types ?? [];
  return types.includes("Files") || types.includes("application/x-pixfind-id");
}
