/**
 * The cities of the map, by which places are called.
 *
 * Owns their file, which is fetched once somebody needs a name. Must not know what is drawn.
 *
 * @typedef {{name: string, latitude: number, longitude: number, x: number, y: number}} City
 */

import { mapFile, Refused, Unreachable } from "./api.js";
import { xOf, yOf } from "./mercator.js";

/** A place is called after a city that is no farther. */
const NEAR_KM = 40;

/** @type {Promise<City[]> | null} */
let fetched = null;

/** The largest first, fetched once for the whole page. */
export function cities() {
  fetched ??= all().catch((error) => {
    fetched = null;
    throw error;
  });
  return fetched;
}

async function all() {
  const found = await mapFile("cities");
  return found.map((/** @type {[string, number, number]} */ [name, latitude, longitude]) => ({ name, latitude, longitude, x: xOf(longitude), y: yOf(latitude) }));
}

/** The city near a point, "" for none. @param {City[]} known @param {number} latitude @param {number} longitude */
export function nearest(known, latitude, longitude) {
  const narrower = Math.cos((latitude * Math.PI) / 180);
  let [name, closest] = ["", NEAR_KM / 111.2];
  for (const city of known) {
    const away = Math.hypot(city.latitude - latitude, (city.longitude - longitude) * narrower);
    if (away < closest) [name, closest] = [city.name, away];
  }
  return name;
}

/** The same for who has no cities yet; without them there is no name. @param {number} latitude @param {number} longitude */
export async function nameOf(latitude, longitude) {
  try {
    return nearest(await cities(), latitude, longitude);
  } catch (error) {
    if (error instanceof Refused || error instanceof Unreachable) return "";
    throw error;
  }
}
