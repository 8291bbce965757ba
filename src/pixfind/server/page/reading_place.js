/**
 * Where the reader was when the page was left, for a reload and for the way back to it.
 *
 * Owns what is remembered: for this tab, by address, and no longer than the tab lives. Must not know how a picture is found again.
 *
 * @typedef {{id: number, offset: number}} ReadingPlace a picture, and how many pixels below the top of the screen its row begins
 */

const KEY = "pixfind-reading-places";
const MAX_PLACES = 20;
/** What the reader does by himself ends the way back. */
const OWN_MOVES = ["wheel", "touchstart", "pointerdown", "keydown"];

/** Remember it when the page is left. @param {() => ReadingPlace | null} now null: nothing was scrolled away */
export function rememberOnLeaving(now) {
  addEventListener("pagehide", () => {
    const [where, here] = [now(), address()];
    const others = places().filter((each) => each.address !== here);
    try {
      sessionStorage.setItem(KEY, JSON.stringify([...others, ...(where ? [{ ...where, address: here }] : [])].slice(-MAX_PLACES)));
    } catch {
      return; // storage is forbidden in some private windows
    }
  });
}

/** Where the reader was, null where the page is opened anew. @returns {ReadingPlace | null} */
export function remembered() {
  const [how] = /** @type {PerformanceNavigationTiming[]} */ (performance.getEntriesByType("navigation"));
  if (how?.type !== "reload" && how?.type !== "back_forward") return null;
  return places().find((each) => each.address === address()) ?? null;
}

/** @returns {(ReadingPlace & {address: string})[]} the latest last */
function places() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? "[]");
  } catch {
    return [];
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
