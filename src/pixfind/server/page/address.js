/**
 * The address of what is shown: everything the page shows can be reloaded, bookmarked and gone back to.
 *
 * Owns the parameters of the URL. Pure.
 *
 * @typedef {{in?: string, after?: string, before?: string, added_after?: string, added_before?: string, min_size?: string, max_size?: string, shape?: string,
 *            camera?: string, near?: string, where?: string, label?: string, album?: string}} Filters as the API takes them; `where`, `label`: several with ";" between them
 * @typedef {{view: "search" | "library" | "map" | "similarity", q: string, filters: Filters, all: boolean, fold: boolean,
 *            picture: string | null, image: number | null, at: string | null, map: string | null, sort: "date" | "added" | null}} Place
 *   `picture`: the key of a picture of the user's, held while the page lives; `image`: the one in the large view;
 *   `sort`: null for the best first, or without a query the newest first;
 *   `at`: the month ("2021-05") or the picture ("4711") with which the pictures begin, where nothing is searched for; `map`: the part of the map, or of the similarity map, on the screen
 */

export const FILTERS = /** @type {(keyof Filters)[]} */ (["in", "after", "before", "added_after", "added_before", "min_size", "max_size", "shape", "camera", "near", "where", "label", "album"]);

const VIEWS = /** @type {Place["view"][]} */ (["search", "library", "map", "similarity"]);

/** @type {Place} */
export const START = { view: "search", q: "", filters: {}, all: false, fold: true, picture: null, image: null, at: null, map: null, sort: null };

/**
 * @param {string} search the query part of a URL
 * @returns {Place}
 */
export function read(search) {
  const parameters = new URLSearchParams(search);
  /** @type {Filters} */
  const filters = {};
  for (const name of FILTERS) if (parameters.get(name)) filters[name] = parameters.get(name) ?? "";
  const image = Number(parameters.get("image"));
  const sort = parameters.get("sort");
  return {
    view: VIEWS.find((view) => view === parameters.get("view")) ?? "search",
    q: parameters.get("q") ?? "",
    filters,
    all: parameters.get("all") === "1",
    fold: parameters.get("fold") !== "0",
    picture: parameters.get("picture"),
    sort: sort === "date" || sort === "added" ? sort : null,
    map: parameters.get("map"),
    at: /^(\d{4}-\d{2}|[1-9]\d{0,15})$/.test(parameters.get("at") ?? "") ? parameters.get("at") : null,
    image: Number.isSafeInteger(image) && image > 0 ? image : null,
  };
}

/**
 * @param {Place} place
 * @returns {string} the path and query part of a URL
 */
export function write(place) {
  const parameters = new URLSearchParams();
  if (place.view !== "search") parameters.set("view", place.view);
  if ((place.view === "map" || place.view === "similarity") && place.map) parameters.set("map", place.map);
  if (place.q) parameters.set("q", place.q);
  if (place.picture) parameters.set("picture", place.picture);
  for (const name of FILTERS) if (place.filters[name]) parameters.set(name, String(place.filters[name]));
  if (place.all) parameters.set("all", "1");
  if (!place.fold) parameters.set("fold", "0");
  if (place.sort) parameters.set("sort", place.sort);
  if (place.at) parameters.set("at", place.at);
  if (place.image) parameters.set("image", String(place.image));
  return parameters.size ? `/?${parameters}` : "/";
}

/**
 * The parameters of the API: equal for two places that show the same pictures.
 *
 * @param {Place} place
 */
export function request(place) {
  const parameters = new URLSearchParams();
  if (place.q) parameters.set("q", place.q);
  const { where, label, ...others } = place.filters;
  for (const [name, value] of Object.entries(others)) if (value) parameters.set(name, value);
  for (const condition of conditions(where)) parameters.append("where", condition);
  for (const name of conditions(label)) parameters.append("label", name.trim());
  // No query and no filter: every picture. The API refuses an empty request, so the page filters by any path.
  if (!parameters.size && !place.picture) parameters.set("in", "*");
  if (place.sort) parameters.set("sort", place.sort);
  if (place.all) parameters.set("all", "true");
  parameters.set("distinct", String(place.fold));
  if (!place.fold) parameters.set("each_file", "true");
  return parameters;
}

/** The parts of a filter that may have several. @param {string} [several] */
export const conditions = (several = "") => several.split(";").filter((condition) => condition.trim());

/** Whether the pictures of a place are all there are, sorted by time: nothing is searched for. @param {Place} place */
export const isByTime = (place) => !place.q && !place.picture && place.sort !== "added";

/** Whether the months of pictures follow each other. @param {Place} place */
export const hasMonths = (place) => isByTime(place) || place.sort === "date";

/** @param {Place} place */
export const isFiltered = (place) => Object.keys(place.filters).length > 0;

/** @param {Place} place */
export const isHome = (place) => isByTime(place) && !isFiltered(place);
