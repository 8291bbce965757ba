/**
 * Numbers, times and reasons as words.
 *
 * Owns how figures read. Pure: it touches no DOM.
 */

const NUMBER = new Intl.NumberFormat("en");
const DAY = new Intl.DateTimeFormat("en", { dateStyle: "long", timeZone: "UTC" });
const MINUTE = new Intl.DateTimeFormat("en", { dateStyle: "long", timeStyle: "short", timeZone: "UTC" });

/** @param {number} value */
export const number = (value) => NUMBER.format(value);

/** @param {number} many @param {string} one */
export const count = (many, one) => `${number(many)} ${one}${many === 1 ? "" : "s"}`;

/** Words in quotes, with commas. @param {string[]} words */
export const quoted = (words) => words.map((word) => `“${word}”`).join(", ");

/**
 * A name or path to show: characters that turn the direction of writing around would make "gpj.exe" of "exe.jpg".
 *
 * @param {string} name
 */
export const safeName = (name) => name.replace(/[\u0000-\u001f\u007f\u202d\u202e]/g, "\ufffd");

/** @param {number} bytes */
export function size(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  const units = ["kB", "MB", "GB", "TB"];
  let value = bytes / 1000;
  while (value >= 999.5 && units.length > 1) {
    value /= 1000;
    units.shift();
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[0]}`;
}

/** Seconds as "3 min 20 s". @param {number} seconds */
export function duration(seconds) {
  const whole = Math.round(seconds);
  const parts = [
    [Math.floor(whole / 86400), "d"],
    [Math.floor(whole / 3600) % 24, "h"],
    [Math.floor(whole / 60) % 60, "min"],
    [whole % 60, "s"],
  ];
  const first = parts.findIndex(([value]) => Number(value) > 0);
  if (first < 0) return "0 s";
  return parts.slice(first, first + 2).filter(([value]) => Number(value) > 0).map(([value, unit]) => `${value} ${unit}`).join(" ");
}

/** An instant of the server (ISO 8601 without an offset) as the camera's clock showed it. @param {string} iso */
export function instant(iso) {
  const date = new Date(`${iso}Z`);
  if (Number.isNaN(date.getTime())) return iso;
  return iso.includes("T") ? MINUTE.format(date) : DAY.format(date);
}

/** @param {number} score */
export const score = (score) => score.toFixed(2);

/** @param {number} perSecond */
export const rate = (perSecond) => `${perSecond < 10 ? perSecond.toFixed(1) : number(Math.round(perSecond))} a second`;

const BOTTLENECKS = {
  disk: "The disk sets the pace: reading takes longer than decoding.",
  decode: "Decoding sets the pace: the model waits for pictures to be unpacked.",
  model: "The model sets the pace: everything else waits for it.",
  budget: "The budget sets the pace: it rests on purpose, to leave this computer to you.",
};

/** What holds a run back, as a sentence. @param {string} name */
export const bottleneck = (name) => BOTTLENECKS[name] ?? name;

/** Seconds since an instant (seconds since 1970), as "4 s ago". @param {number} since */
export function ago(since) {
  const seconds = Math.max(0, Date.now() / 1000 - since);
  return seconds < 1.5 ? "just now" : `${duration(seconds)} ago`;
}
