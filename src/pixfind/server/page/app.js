/**
 * The page: where we are, and who is notified when that changes.
 *
 * Owns the place (and with it the history of the browser) and the pictures that were dropped on the page. Every part
 * receives the place and calls back with a request; none knows another.
 *
 * @typedef {import("./address.js").Place} Place
 */

import { START, isHome, read, write } from "./address.js";
import { byId, fill, isTyping } from "./dom.js";
import { listen } from "./drop.js";
import { welcome } from "./empty.js";
import { FilterPanel } from "./filters.js";
import { keyList } from "./keys.js";
import { connect } from "./live.js";
import { parse, write as line } from "./query.js";
import { Results } from "./results.js";
import { SearchBox } from "./searchbox.js";
import { StatusView } from "./status.js";
import { Viewer } from "./viewer.js";
import { number } from "./words.js";

/** A result that was shown for so long was viewed: typing further makes a new step of the history. */
const VIEWED_MS = 2500;

/** Hits that are loaded at most to find the place of a picture in a list. */
const MAX_SEARCHED = 600;

/** @type {Map<string, Blob>} the user's own pictures, by the key in the address */
const pictures = new Map();
/** @type {Place} */
let place = START;
let typedAt = 0;

const actions = {
  search: (/** @type {string} */ q) => go({ ...START, q }),
  showWeak: () => go({ all: true }),
  clearFilters: () => go({ filters: {} }),
  openLibrary: () => go({ view: "library" }),
  start: () => {
    go({ view: "library" });
    library.act("start");
  },
  retry: () => results.retry(),
  choosePicture: () => byId("choose").click(),
};

const library = new StatusView();
const results = new Results({
  act: (action, at) => (action === "open" ? open(at) : refine(/** @type {any} */ (action), results.grid.hits[at].image_id)),
  actions,
  status: () => library.status,
  changed: () => place.image !== null && place.view === "search" && showImage(place, place),
  unreachable,
});
const box = new SearchBox({
  change: (q, { typing }) => {
    const step = !typing || place.view !== "search" || performance.now() - typedAt > VIEWED_MS;
    typedAt = performance.now();
    go({ q, all: false, view: "search" }, { replace: !step });
  },
  picture: (picture) => go({ picture: picture && keep(picture) }),
  down: () => results.grid.focus(0),
});
const showKeys = keyList();
const filters = new FilterPanel({ change: (chosen) => go({ filters: chosen, all: false, view: "search" }) });
const viewer = new Viewer({
  step: (by) => {
    const at = results.grid.placeOf(place.image ?? 0) + by;
    const hit = results.grid.hits[at];
    if (hit) go({ image: hit.image_id }, { replace: true });
  },
  // Opened from the grid, it is one step of the history: closing it goes back, and so does the phone's back button.
  close: () => (history.state?.opened ? history.back() : go({ image: null }, { replace: true })),
  refine,
  near: (near) => go({ ...START, filters: { near } }),
});

// --- where we are ---------------------------------------------------------------------------------

/**
 * Go somewhere: change some of the place, and show it.
 *
 * @param {Partial<Place>} change
 * @param {{replace?: boolean, opened?: boolean}} [how] `replace` the present step of the history
 */
function go(change, { replace = false, opened = false } = {}) {
  const next = { ...place, image: null, ...change };
  const address = write(next);
  if (address !== location.pathname + location.search) {
    const state = { opened: opened || (replace && Boolean(history.state?.opened) && next.image !== null) };
    if (replace) history.replaceState(state, "", address);
    else history.pushState(state, "", address);
  }
  show(next, false);
}

/** @param {Place} next @param {boolean} back whether the browser went there */
function show(next, back) {
  const before = place;
  place = next;
  const picture = next.picture === null ? null : pictures.get(next.picture) ?? null;
  const lost = next.picture !== null && !picture;
  if (lost) return go({ picture: null }, { replace: true });
  document.title = title(next);
  byId("results-title").textContent = heading(next, picture);
  byId("results-title").hidden = isHome(next);
  const isLibrary = next.view === "library";
  byId("search-view").hidden = isLibrary;
  byId("library-view").hidden = !isLibrary;
  byId("library-link").toggleAttribute("aria-current", isLibrary);
  box.set(next.q, picture);
  filters.set(next.filters);
  byId("fold").checked = next.fold;
  byId("home-view").hidden = !isHome(next);
  if (!isLibrary) {
    results.show(next, picture, { back });
    if (before.view === "library") results.grid.refresh();
  } else if (before.view !== "library") scrollTo(0, 0);
  showImage(next, before);
}

/** Open, change or close the large view. @param {Place} next @param {Place} before */
function showImage(next, before) {
  if (next.image === null) {
    if (!viewer.isOpen) return;
    viewer.close();
    const at = results.grid.placeOf(before.image ?? 0);
    if (at >= 0) results.grid.focus(at);
    return;
  }
  const { hits } = results.grid;
  const at = results.grid.placeOf(next.image);
  // The address of a picture may be that of one farther down, and the next one may be on the next page.
  if (at < 0 ? hits.length < MAX_SEARCHED : at > hits.length - 3) results.loadMore();
  viewer.show(next.image, hits[at] ?? null, { previous: hits[at - 1] ?? null, next: at < 0 ? null : hits[at + 1] ?? null });
}

/** @param {Place} at */
function title({ view, q, picture }) {
  if (view === "library") return "Library · pixfind";
  return q ? `${q} · pixfind` : picture ? "A picture of yours · pixfind" : "pixfind";
}

/** The heading of the results, for screen readers: the field shows it to everybody else. @param {Place} at @param {Blob | null} picture */
function heading({ q, filters }, picture) {
  const by = [picture && "your picture", q].filter(Boolean).join(" ");
  return by ? `Results for ${by}` : Object.keys(filters).length ? "Pictures that pass the filters" : "Pictures";
}

// --- actions ----------------------------------------------------------------------------------

/** @param {number} at */
function open(at) {
  go({ image: results.grid.hits[at].image_id }, { opened: true });
}

/** @param {"similar" | "plus" | "minus"} what @param {number} id */
function refine(what, id) {
  if (what === "similar") return go({ ...START, q: `id:${id}`, fold: place.fold, filters: place.filters });
  const { terms, problem } = parse(place.q);
  const others = problem ? [] : terms.filter((term) => term.kind !== "id" || term.value !== String(id));
  if (what === "minus" && !others.some((term) => term.weight > 0) && !place.picture) {
    return notify("Search for something first: then this picture can be subtracted from the query.");
  }
  go({ q: line([...others, { kind: "id", value: String(id), weight: what === "plus" ? 1 : -1 }]), all: false });
}

/** @param {Blob} picture @returns {string} its key */
function keep(picture) {
  const key = String(pictures.size + 1);
  pictures.set(key, picture);
  return key;
}

// --- the server -----------------------------------------------------------------------------------

let isUnreachable = false;
let noticeTimer = 0;

/** @param {boolean} now whether nobody answers */
function unreachable(now) {
  if (now === isUnreachable) return;
  isUnreachable = now;
  clearTimeout(noticeTimer);
  if (now) notify("The server does not answer. Reconnecting …", true);
  else {
    notify("");
    results.retry();
  }
}

/** @param {string} message @param {boolean} [persistent] */
function notify(message, persistent = false) {
  clearTimeout(noticeTimer);
  byId("notice").textContent = message;
  byId("notice").hidden = !message;
  if (message && !persistent) noticeTimer = setTimeout(() => notify(isUnreachable ? "The server does not answer. Reconnecting …" : "", isUnreachable), 6000);
}

/** @param {any} status */
function changed(status) {
  const before = library.status;
  library.update(status);
  filters.offer(status.folders);
  byId("live").hidden = !status.running;
  byId("live").classList.toggle("is-paused", status.paused);
  const label = status.running ? `Library: ${status.paused ? "paused" : "embedding"}, ${number(status.images.pending)} pending` : "Library";
  byId("library-link").setAttribute("aria-label", label);
  byId("library-link").title = label;
  if (before?.searchable_rows !== status.searchable_rows || !before) {
    fill(byId("home-view"), ...welcome(status, actions));
    results.forget();
  }
  // An empty page fills by itself; a full one is not pulled away from under its reader.
  const news = !before || before.searchable_rows !== status.searchable_rows || before.running !== status.running || before.images.seen !== status.images.seen;
  if (news && results.isEmpty && place.view === "search") results.retry();
}

// --- the browser ----------------------------------------------------------------------------------

addEventListener("popstate", () => show(read(location.search), true));
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  // In the field, keys are letters; while it is empty, they can begin no query.
  const typing = isTyping(event) && !(event.target === box.input && !box.input.value);
  if (event.key === "?" && !typing) showKeys();
  else if (event.key === "/" && !typing && !viewer.isOpen) box.focus();
  else return;
  event.preventDefault();
});
byId("keys-button").addEventListener("click", showKeys);
addEventListener("scroll", () => (byId("to-top").hidden = scrollY < 3 * innerHeight), { passive: true });
byId("to-top").addEventListener("click", () => {
  scrollTo({ top: 0 });
  box.input.focus({ preventScroll: true });
});
byId("fold").addEventListener("change", () => go({ fold: byId("fold").checked }));
for (const [id, to] of /** @type {[string, () => void][]} */ ([["home", () => go(START)], ["library-link", () => go({ view: place.view === "library" ? "search" : "library" })]])) {
  byId(id).addEventListener("click", (/** @type {MouseEvent} */ event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    to();
  });
}
listen({
  picture: (file) => go({ ...START, picture: keep(file), fold: place.fold, filters: place.filters }),
  image: (id) => refine("plus", id),
  refuse: notify,
});

history.scrollRestoration = "manual";
fill(byId("home-view"), ...welcome(null, actions));
show(read(location.search), false);
connect({ status: changed, unreachable });
if (matchMedia("(hover: hover)").matches && place.view === "search" && place.image === null) box.input.focus();
