/**
 * Where the reader was when the page was left, for a reload and for the way back to it.
 *
 * Owns what is remembered: for this tab and this address alone, and no longer than the tab lives. Must not know how a picture is found again.
 *
 * @typedef {{id: number, offset: number}} ReadingPlace a picture, and how many pixels below the top of the screen its row begins
 */

const KEY = "pixfind-reading-place";
/** What the reader does by himself ends the way back. */
const OWN_MOVES = ["wheel", "touchstart", "pointerdown", "keydown"];

/** Remember it when the page is left. @param {() => ReadingPlace | null} now null: nothing was scrolled away */
export function rememberOnLeaving(now) {
  addEventListener("pagehide", () => {
    const where = now();
    try {
      if (where) sessionStorage.setItem(KEY, JSON.stringify({ ...where, address: address() }));
      else sessionStorage.removeItem(KEY);
    } catch {
      return; // storage is forbidden in some private windows
    }
  });
}

/** Where the reader was, null where the page is opened anew. @returns {ReadingPlace | null} */
export function remembered() {
  const [how] = /** @type {PerformanceNavigationTiming[]} */ (performance.getEntriesByType("navigation"));
  if (how?.type !== "reload" && how?.type !== "back_forward") return null;
  try {
    const found = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
    return found?.address === address() ? { id: found.id, offset: found.offset } : null;
  } catch {
    return null;
  }
}

/** @param {() => void} moved called once, when the reader moves on the page */
export function onOwnMove(moved) {
  const controller = new AbortController();
  const once = () => {
    controller.abort();
    moved();
  };
  for (const name of OWN_MOVES) addEventListener(name, once, { capture: true, passive: true, signal: controller.signal });
}

const address = () => location.pathname + location.search;
