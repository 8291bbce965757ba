/**
 * Mercator's map: degrees to the square from 0 to 1, and back. The north is 0.
 *
 * Pure.
 */

/** What the world is wide at zoom 0, in pixels, as every map on the web has it. */
export const WORLD = 256;
/** Degrees at which the square ends. */
const MAX_LATITUDE = 85.05112878;

/** @param {number} longitude */
export const xOf = (longitude) => (longitude + 180) / 360;

/** @param {number} latitude */
export function yOf(latitude) {
  const bounded = (Math.min(MAX_LATITUDE, Math.max(-MAX_LATITUDE, latitude)) * Math.PI) / 180;
  return (1 - Math.asinh(Math.tan(bounded)) / Math.PI) / 2;
}

/** @param {number} x */
export const longitudeOf = (x) => Math.min(180, Math.max(-180, x * 360 - 180));

/** @param {number} y */
export const latitudeOf = (y) => (Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) * 180) / Math.PI;
