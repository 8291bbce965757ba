/**
 * The address of what is shown: everything the page shows can be reloaded, bookmarked and gone back to.
 *
 * Owns the parameters of the URL. Pure.
 *
 * @typedef {{in?: string, after?: string, before?: string, min_size?: string, max_size?: string, shape?: string,
 *            camera?: string, near?: string}} Filters as the API takes them
 * @typedef {{view: "search" | "library", q: string, filters: Filters, all: boolean, fold: boolean,
 *            picture: string | null, image: number | null}} Place
 *   `picture`: the key of a picture of the user's, held while the page lives; `image`: the one in the large view
 */

export const FILTERS = /** @type {(keyof Filters)[]} */ (["in", "after", "before", "min_size", "max_size", "shape", "camera", "near"]);

/** @type {Place} */
export const START = { view: "search", q: "", filters: {}, all: false, fold: true, picture: null, image: null };

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
  return {
    view: parameters.get("view") === "library" ? "library" : "search",
    q: parameters.get("q") ?? "",
    filters,
    all: parameters.get("all") === "1",
    fold: parameters.get("fold") !== "0",
    picture: parameters.get("picture"),
    image: Number.isSafeInteger(image) && image > 0 ? image : null,
  };
}

/**
 * @param {Place} place
 * @returns {string} the path and query part of a URL
 */
export function write(place) {
  const parameters = new URLSearchParams();
  if (place.view === "library") parameters.set("view", "library");
  if (place.q) parameters.set("q", place.q);
  if (place.picture) parameters.set("picture", place.picture);
  for (const name of FILTERS) if (place.filters[name]) parameters.set(name, String(place.filters[name]));
  if (place.all) parameters.set("all", "1");
  if (!place.fold) parameters.set("fold", "0");
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
  for (const name of FILTERS) if (place.filters[name]) parameters.set(name, String(place.filters[name]));
  // No query and no filter: every picture. The API refuses an empty request, so the page filters by any path.
  if (!parameters.size && !place.picture) parameters.set("in", "*");
  if (place.all) parameters.set("all", "true");
  parameters.set("distinct", String(place.fold));
  if (!place.fold) parameters.set("each_file", "true");
  return parameters;
}

/** @param {Place} place */
export const isHome = (place) => !place.q && !place.picture && !Object.keys(place.filters).length;
