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
  const given = new URLSearchParams(search);
  /** @type {Filters} */
  const filters = {};
  for (const name of FILTERS) if (given.get(name)) filters[name] = given.get(name) ?? "";
  const image = Number(given.get("image"));
  return {
    view: given.get("view") === "library" ? "library" : "search",
    q: given.get("q") ?? "",
    filters,
    all: given.get("all") === "1",
    fold: given.get("fold") !== "0",
    picture: given.get("picture"),
    image: Number.isSafeInteger(image) && image > 0 ? image : null,
  };
}

/**
 * @param {Place} place
 * @returns {string} the path and query part of a URL
 */
export function write(place) {
  const given = new URLSearchParams();
  if (place.view === "library") given.set("view", "library");
  if (place.q) given.set("q", place.q);
  if (place.picture) given.set("picture", place.picture);
  for (const name of FILTERS) if (place.filters[name]) given.set(name, String(place.filters[name]));
  if (place.all) given.set("all", "1");
  if (!place.fold) given.set("fold", "0");
  if (place.image) given.set("image", String(place.image));
  return given.size ? `/?${given}` : "/";
}

/**
 * What the API is asked for: equal for two places that show the same pictures.
 *
 * @param {Place} place
 */
export function request(place) {
  const asked = new URLSearchParams();
  if (place.q) asked.set("q", place.q);
  for (const name of FILTERS) if (place.filters[name]) asked.set(name, String(place.filters[name]));
  // Nothing asked for: every picture there is. The API refuses an empty question, so the page asks for any path.
  if (!asked.size && !place.picture) asked.set("in", "*");
  if (place.all) asked.set("all", "true");
  asked.set("distinct", String(place.fold));
  return asked;
}

/** @param {Place} place */
export const isHome = (place) => !place.q && !place.picture && !Object.keys(place.filters).length;
