/**
 * Folders as a tree, with how many pictures each has.
 *
 * Owns the tree. Folders are fetched when theirs is opened.
 *
 * @typedef {{path: string, name: string, count: number}} Folder
 */

import { Refused, Unreachable } from "./api.js";
import { el, fill } from "./dom.js";
import { t } from "./messages.js";
import { number, safeName } from "./words.js";

/**
 * @param {Folder[]} folders
 * @param {{chosen: string, open: Set<string>, known: Map<string, Folder[]>, choose: (path: string) => void, below: (path: string) => Promise<Folder[]>}} handlers
 *   `open`: the paths of folders that are open; it follows what is opened and closed. `known`: what is in some of them
 * @returns {HTMLElement}
 */
export function folderTree(folders, handlers) {
  return el("ul", { class: "folders" }, ...folders.map((folder) => branch(folder, handlers)));
}

/** @param {Folder} folder @param {Parameters<typeof folderTree>[1]} handlers */
function branch(folder, handlers) {
  const name = safeName(folder.name);
  const chosen = folder.path === handlers.chosen;
  const inside = el("div", { class: "folder-inside", hidden: true });
  const toggle = el("button", { type: "button", class: "folder-toggle", "aria-expanded": "false", "aria-label": t("facet.folders-in", { name }), onclick: turn }, "▸");
  const choose = el("button", { type: "button", class: "folder-name", "aria-pressed": String(chosen), onclick: () => handlers.choose(folder.path) }, el("bdi", {}, name), el("span", { class: "facet-count" }, number(folder.count)));

  function turn() {
    if (!inside.hidden) {
      handlers.open.delete(folder.path);
      toggle.setAttribute("aria-expanded", "false");
      inside.hidden = true;
    } else open();
  }

  function open() {
    handlers.open.add(folder.path);
    toggle.setAttribute("aria-expanded", "true");
    inside.hidden = false;
    const known = handlers.known.get(folder.path);
    if (known) show(known);
    else if (!inside.firstChild) fetchInside();
  }

  async function fetchInside() {
    try {
      show(await handlers.below(folder.path));
    } catch (error) {
      if (!(error instanceof Refused || error instanceof Unreachable)) throw error;
      fill(inside, error.message);
    }
  }

  /** @param {Folder[]} found */
  function show(found) {
    fill(inside, found.length ? folderTree(found, handlers) : el("p", { class: "folder-none" }, t("facet.no-folders")));
  }
  // The way to the chosen folder is open, and what was open before the tree was drawn again.
  if (handlers.open.has(folder.path) || handlers.chosen.startsWith(`${folder.path.replace(/\/$/, "")}/`)) open();
  return el("li", {}, el("div", { class: "folder" }, toggle, choose), inside);
}
