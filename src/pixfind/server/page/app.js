/**
 * The page: where we are, and who is notified when that changes.
 *
 * Owns the place (and with it the history of the browser) and the pictures that were dropped on the page. Every part
 * receives the place and calls back with a request; none knows another.
 *
 * @typedef {import("./address.js").Place} Place
 */

import { START, isByTime, isFiltered, isHome, read, request, write } from "./address.js";
import { Albums } from "./albums.js";
import { MAX_PAGE, Refused, image as metadata } from "./api.js";
import { useLibrary } from "./commands.js";
import { byId, el, fill, isTyping } from "./dom.js";
import { listen } from "./drop.js";
import { welcome } from "./empty.js";
import { Facets, escaped } from "./facets.js";
import { FilterPanel } from "./filters.js";
import { keyList } from "./keys.js";
import { connect } from "./live.js";
import { MapView } from "./map.js";
import { t, translate } from "./messages.js";
import { Offer } from "./offer.js";
import { parse, write as line } from "./query.js";
import { onOwnMove, rememberOnLeaving, remembered } from "./reading_place.js";
import { Results } from "./results.js";
import { Scrubber } from "./scrubber.js";
import { SearchBox } from "./searchbox.js";
import { Selection } from "./selection.js";
import { SelectionBar } from "./selection_bar.js";
import { SimilarityView } from "./similarity.js";
import { StatusView } from "./status.js";
import { copyAddress } from "./taking.js";
import { Viewer } from "./viewer.js";
import { viewerTools } from "./viewer_tools.js";

translate(document);

/** A result that was shown for so long was viewed: typing further makes a new step of the history. */
const VIEWED_MS = 2500;

/** While the library grows, twice a second would be too often to count it. */
const RECOUNT_MS = 2000;

/** @type {Map<string, Blob>} the user's own pictures, by the key in the address */
const pictures = new Map();
/** @type {Place} */
let place = START;
let typedAt = 0;
/** Where the reader was before a reload, until it is on the screen again. */
let left = remembered();
/** How far the way back there has come: whatever else scrolls is the reader. */
let cameTo = 0;
/** Whether the browser is on its way back from the large view, which takes a moment: the second click of a double one leads no farther. */
let isClosing = false;

const actions = {
  search: (/** @type {string} */ q) => go({ ...START, q }),
  lastAdded: () => go({ ...START, sort: "added" }),
  showWeak: () => go({ all: true }),
  clearFilters: () => go({ filters: {} }),
  openLibrary: () => go({ view: "library" }),
  start: () => {
    go({ view: "library" });
    library.act("start");
  },
  retry: () => results.retry(),
  choosePicture: () => byId("choose").click(),
  say: notify,
};

const library = new StatusView();
const results = new Results({
  act: (action, at) => (action === "open" ? open(at) : refine(/** @type {any} */ (action), results.grid.hits[at].image_id)),
  actions,
  status: () => library.status,
  found: (answer) => offer.show(answer?.date ?? null),
  changed: () => {
    if (place.image !== null && place.view === "search") showImage(place, place);
    comeBack();
  },
  unreachable,
  mounted: (tile) => selection.mark(tile),
  cursor: cursorAt,
  seen: ({ date }) => date && scrubber.follow(date.slice(0, 7)),
});
const scrubber = new Scrubber({ go: (month) => go({ at: month }, { replace: true }), counted: (count) => results.counted(count) });
const selection = new Selection(results.grid, { changed: () => bar.update() });
const box = new SearchBox({
  change: (q, { typing }) => {
    const step = !typing || place.view !== "search" || performance.now() - typedAt > VIEWED_MS;
    typedAt = performance.now();
    go({ q, all: false, view: "search" }, { replace: !step });
  },
  picture: (picture) => go({ picture: picture && keep(picture) }),
  down: () => results.grid.focus(0),
});
const albums = new Albums({ open: (to) => go(to), notify });
const bar = new SelectionBar(selection, albums, {
  title: () => place.q || t("app.selected"),
  closed: () => results.grid.focus(0),
  open: (album) => go({ ...START, filters: { album } }),
  changed: (isShown) => {
    results.forget();
    facets.forget();
    if (!isShown) return;
    results.counted(null);
    results.retry();
    scrubber.show(request(place), { isByTime: isByTime(place), fresh: true });
  },
});
const offer = new Offer({
  take: ({ query, after, before }) => go({ q: query, filters: { ...place.filters, ...(after && { after }), ...(before && { before }) }, all: false, view: filteredView() }),
});
const showKeys = keyList();
/** Where filters are seen to take effect: here, unless this is the library. */
const filteredView = () => (place.view === "library" ? "search" : place.view);
const chooseFilters = (/** @type {import("./address.js").Filters} */ chosen) => go({ filters: chosen, all: false, view: filteredView() });
const filters = new FilterPanel({ change: chooseFilters, opened: () => facets.show(place) });
const facets = new Facets(filters.facets, { change: chooseFilters });
const viewer = new Viewer({
  step: (by) => {
    const at = results.grid.placeOf(place.image ?? 0) + by;
    const hit = results.grid.hits[at];
    if (hit) go({ image: hit.image_id }, { replace: true });
  },
  // Opened from the grid, it is one step of the history: closing it goes back, and so does the phone's back button.
  close: () => {
    if (!history.state?.opened) return go({ image: null }, { replace: true });
    if (!isClosing) history.back();
    isClosing = true;
  },
  refine,
  near: (near) => go({ ...START, filters: { near } }),
  folder: (path) => go({ ...START, filters: { in: escaped(path) } }),
  map: (at) => go({ ...START, view: "map", map: at }),
  open: (id) => go({ image: id }, { replace: true }),
});

const map = new MapView({
  moved: (at) => place.view === "map" && go({ map: at }, { replace: true }),
  open: (near) => go({ view: "search", filters: { ...place.filters, near } }),
});

const similarity = new SimilarityView({
  moved: (at) => place.view === "similarity" && go({ map: at }, { replace: true }),
  alike: (ids) => go({ view: "search", q: line(ids.map((id) => ({ kind: "id", value: String(id), weight: 1 }))) }),
});
const boards = { map, similarity };

const tools = viewerTools(viewer, {
  picture: () => ({ image_id: place.image ?? 0, hit: results.grid.hits[results.grid.placeOf(place.image ?? 0)] ?? null }),
  isSelected: (id) => selection.has(id),
  toggle: (hit) => selection.toggle(hit),
});

// --- where we are ---------------------------------------------------------------------------------

/**
 * Go somewhere: change some of the place, and show it.
 *
 * @param {Partial<Place>} change
 * @param {{replace?: boolean, opened?: boolean}} [how] `replace` the present step of the history
 */
function go(change, { replace = false, opened = false } = {}) {
  // Other pictures begin with the first; a look at one leads back to where it was.
  const others = ["q", "filters", "picture", "view", "sort"].some((name) => name in change);
  const next = { ...place, ...(others && { at: null }), image: null, ...change };
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
  isClosing = false;
  selection.endRange();
  if (before.view === "search" && next.view !== "search") results.away();
  const picture = next.picture === null ? null : pictures.get(next.picture) ?? null;
  const lost = next.picture !== null && !picture;
  if (lost) return go({ picture: null }, { replace: true });
  document.title = title(next);
  byId("results-title").textContent = heading(next, picture);
  byId("results-title").hidden = isHome(next);
  for (const view of ["search", "library", "map", "similarity"]) byId(`${view}-view`).hidden = next.view !== view;
  for (const view of ["library", "map", "similarity"]) {
    const link = byId(`${view}-link`);
    if (next.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  box.set(next.q, picture);
  filters.set(next.filters);
  if (filters.isOpen) facets.show(next);
  byId("fold").checked = next.fold;
  showOrders(next);
  albums.show(next);
  bar.update();
  byId("albums").hidden = !isHome(next);
  byId("home-view").hidden = !isHome(next);
  scrubber.show(next.view === "search" ? request(next) : null, { isByTime: isByTime(next) });
  if (next.view !== "search" && before.view !== next.view) scrollTo(0, 0);
  if (next.view === "library") library.opened();
  else if (next.view !== "search") boards[next.view].show(request(next), next.map, isFiltered(next));
  else {
    results.show(next, picture, { back });
    if (before.view !== "search") results.grid.refresh();
  }
  showImage(next, before);
}

/** The orders that there are: the best first needs something to be searched for. @param {Place} next */
function showOrders(next) {
  const searched = next.q || next.picture;
  const added = library.status?.libraries && !searched ? [] : [["added", t("order.added")]]; // Several libraries have no common order of registration.
  const orders = [...(searched ? [["", t("order.best")], ["date", t("order.newest")]] : [["", t("order.newest")]]), ...added];
  fill(byId("sort"), ...orders.map(([value, words]) => el("option", { value, selected: value === (next.sort ?? "") }, words)));
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
  // The address of a picture may be that of one farther down, and the next one may be on the next page, or the page before.
  if (at < 0 && seek(next.image)) return;
  if (at > hits.length - 3) results.loadMore();
  if (at >= 0 && at < 3) results.loadPrevious();
  viewer.show(next.image, hits[at] ?? null, { previous: hits[at - 1] ?? null, next: at < 0 ? null : hits[at + 1] ?? null });
  tools.update();
}

/**
 * Bring a picture among the hits that is not there yet. A ranked list is read on, which ends; one without a query begins with the picture, as it may be the millionth.
 *
 * @param {number} id
 * @returns {boolean} whether the list begins anew
 */
function seek(id) {
  const isBehind = results.grid.hits.some(({ stack }) => stack.some(({ image_id: other }) => other === id));
  if (place.view !== "search" || !results.isAnswered || isBehind) return false;
  if (place.q || place.picture) results.loadMore(MAX_PAGE);
  else if (place.at !== String(id)) {
    go({ at: String(id), image: place.image }, { replace: true });
    return true;
  }
  return false;
}

/** The cursor of a list that begins at a month or with a picture; null: it begins with the newest. @param {string} at */
async function cursorAt(at) {
  if (place.q || place.picture) return null;
  if (at.includes("-")) return scrubber.cursor(at);
  try {
    return (await metadata(Number(at))).cursors[place.sort ?? "date"] ?? null;
  } catch (error) {
    // A picture that has gone since begins no list.
    if (error instanceof Refused) return null;
    throw error;
  }
}

/** Scroll to where the reader was before a reload, as soon as the picture is there. */
function comeBack() {
  if (!left || place.image !== null) return;
  const { id, offset } = left;
  const at = results.grid.placeOf(id);
  // A ranked list begins at the top: the reader has scrolled meanwhile, by the bar of the window, which no other event tells.
  if ((place.q || place.picture) && scrollY !== cameTo) left = null;
  else if (at < 0) seek(id);
  else if (results.grid.scrollTo(at, offset)) left = null;
  // The page ends too soon; the pictures that follow are on their way, as its end is near.
  else cameTo = scrollY;
}

/** @param {Place} at */
function title({ view, q, picture }) {
  if (view !== "search") return `${t(`html.${view}`)} · pixfind`;
  return q ? `${q} · pixfind` : picture ? `${t("app.your-picture-title")} · pixfind` : "pixfind";
}

/** The heading of the results, for screen readers: the field shows it to everybody else. @param {Place} at @param {Blob | null} picture */
function heading({ q, filters }, picture) {
  const by = [picture && t("app.your-picture"), q].filter(Boolean).join(" ");
  return by ? t("app.results", { query: by }) : t(Object.keys(filters).length ? "app.results-filtered" : "html.pictures");
}

// --- actions ----------------------------------------------------------------------------------

/** @param {number} at */
function open(at) {
  go({ image: results.grid.hits[at].image_id }, { opened: true });
}

/** @param {"similar" | "plus" | "minus"} what @param {number} id */
function refine(what, id) {
  if (what === "similar") return go({ ...START, q: `id:${id}`, fold: place.fold, filters: place.filters });
  const { terms, problem } = parse(place.q, place);
  const others = problem ? [] : terms.filter((term) => term.kind !== "id" || term.value !== String(id));
  if (what === "minus" && !others.some((term) => term.weight > 0) && !place.picture) {
    return notify(t("app.search-first"));
  }
  go({ q: line([...others, { kind: "id", value: String(id), weight: what === "plus" ? 1 : -1 }]), all: false });
}

/** Copy the address of what is shown; a picture of the user's own has none. */
function copySearch() {
  if (place.picture) notify(t("app.no-address"));
  else copyAddress(place.view, { say: notify });
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
  if (now) notify(t("error.reconnecting"), true);
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
  if (message && !persistent) noticeTimer = setTimeout(() => notify(isUnreachable ? t("error.reconnecting") : "", isUnreachable), 6000);
}

/** @param {any} status */
function changed(status) {
  const before = library.status;
  useLibrary(status);
  library.update(status);
  filters.offer(status.folders, status.fields, status.labels);
  byId("similarity-link").hidden = !status.has_similarity_map;
  byId("live").hidden = !status.running;
  byId("live").classList.toggle("is-paused", status.paused);
  const label = status.running ? t(status.paused ? "app.library-paused" : "app.library-embedding", { count: status.images.pending }) : t("html.library");
  byId("library-link").setAttribute("aria-label", label);
  byId("library-link").title = label;
  if (!before || before.searchable_images !== status.searchable_images) fill(byId("home-view"), ...welcome(status, actions));
  if (!before) showOrders(place);
  else if (contents(before) !== contents(status)) grown();
  // An empty page fills by itself; a full one is not pulled away from under its reader.
  const news = !before || before.searchable_rows !== status.searchable_rows || before.running !== status.running || before.images.seen !== status.images.seen;
  if (news && results.isEmpty && place.view === "search") results.retry();
}

/** What answers and counts depend on. @param {any} status */
const contents = ({ searchable_rows: rows, images, labels }) => JSON.stringify([rows, images.seen, images.gone, images.offline, labels]);

let growing = 0;

/** The library has changed: what was answered is out of date, and what counts is counted again, now and then while an embed runs. */
function grown() {
  results.forget();
  facets.forget();
  map.forget();
  similarity.forget();
  growing ||= setTimeout(() => {
    growing = 0;
    if (place.view === "map" || place.view === "similarity") boards[place.view].show(request(place), place.map, isFiltered(place));
    if (filters.isOpen) facets.show(place);
    if (place.view === "search") scrubber.show(request(place), { isByTime: isByTime(place), fresh: true });
  }, RECOUNT_MS);
}

// --- the browser ----------------------------------------------------------------------------------

addEventListener("popstate", () => {
  left = null;
  show(read(location.search), true);
});
onOwnMove(() => (left = null));
// One's own picture is forgotten with the page; where the way back has not ended, it goes on.
rememberOnLeaving(() => left ?? (place.view === "search" && !place.picture && scrollY > 0 ? results.grid.reading : null));
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  // In the field, keys are letters; while it is empty, they can begin no query.
  const typing = isTyping(event) && !(event.target === box.input && !box.input.value);
  if (event.key === "?" && !typing) showKeys();
  else if (event.key === "/" && !typing && !viewer.isOpen) box.focus();
  // In the field it begins a query.
  else if (event.key === "c" && !isTyping(event) && !document.querySelector("dialog[open]")) copySearch();
  else return;
  event.preventDefault();
});
byId("keys-button").addEventListener("click", showKeys);
byId("copy-address").addEventListener("click", copySearch);
addEventListener("scroll", () => (byId("to-top").hidden = scrollY < 3 * innerHeight), { passive: true });
byId("to-top").addEventListener("click", () => {
  scrollTo({ top: 0 });
  box.input.focus({ preventScroll: true });
});
byId("sort").addEventListener("change", () => go({ sort: byId("sort").value || null }));
byId("fold").addEventListener("change", () => go({ fold: byId("fold").checked }));
for (const [id, to] of /** @type {[string, () => void][]} */ ([["home", () => go(START)], ["library-link", () => go({ view: place.view === "library" ? "search" : "library" })], ["map-link", () => go({ view: place.view === "map" ? "search" : "map", map: null })], ["similarity-link", () => go({ view: place.view === "similarity" ? "search" : "similarity", map: null })]])) {
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
box.takeEarly();
albums.load();
// The form for the token is what the server shows instead of the page.
connect({ status: changed, unreachable, refused: () => location.reload() });
// Elsewhere keys mean the pictures: letters would be typed.
if (matchMedia("(hover: hover)").matches && place.view === "search" && isHome(place) && place.image === null) box.input.focus();
