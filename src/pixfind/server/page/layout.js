/**
 * Justified rows: pictures of equal height that fill the width, in their order.
 *
 * Owns the geometry. Pure: widths and heights in, boxes out; knows no element.
 *
 * @typedef {{place: number, left: number, width: number}} Box `place`: of the picture among all
 * @typedef {{top: number, height: number, boxes: Box[], label: string | null}} Row `label`: of the heading above it
 */

/** Pixels of a heading, above its row. */
export const HEADING = 52;

/** Pictures narrower or wider than this are cut to it, so that one panorama does not take a row. */
const SHAPES = [0.45, 2.8];
const UNKNOWN = 4 / 3;

/** @param {{width: number | null, height: number | null}} hit */
export function shape({ width, height }) {
  if (!width || !height) return UNKNOWN;
  return Math.min(SHAPES[1], Math.max(SHAPES[0], width / height));
}

/**
 * Rows for the pictures from `start` on, below `top`.
 *
 * @param {number[]} shapes width / height of each picture
 * @param {{start?: number, top?: number, width: number, target: number, gap: number, labels?: (string | null)[], breaks?: Set<number>}} how
 *   `target`: the height wanted; `labels`: of each picture, where another one begins there is a heading; `breaks`: places at which a row begins
 * @returns {Row[]}
 */
export function rows(shapes, { start = 0, top = 0, width, target, gap, labels = [], breaks = new Set() }) {
  /** @type {Row[]} */
  const made = [];
  let begin = start;
  while (begin < shapes.length) {
    const label = labels[begin] ?? null;
    let end = begin + 1;
    while (end < shapes.length && (labels[end] ?? null) === label && !breaks.has(end)) end++;
    const isNew = label !== null && (begin === 0 || labels[begin - 1] !== label);
    const section = sectionRows(shapes, { start: begin, end, top: top + (isNew ? HEADING : 0), width, target, gap });
    if (isNew) section[0].label = label;
    made.push(...section);
    const last = section[section.length - 1];
    top = last.top + last.height + gap;
    begin = end;
  }
  return made;
}

/** @param {number[]} shapes @param {{start: number, end: number, top: number, width: number, target: number, gap: number}} how @returns {Row[]} */
function sectionRows(shapes, { start, end: stop, top, width, target, gap }) {
  /** @type {Row[]} */
  const made = [];
  let begin = start;
  let sum = 0;
  for (let place = start; place < stop; place++) {
    sum += shapes[place];
    const free = width - gap * (place - begin);
    if (sum * target < free) continue;
    // With this picture the row is lower than wanted, without it higher: whichever is nearer.
    const lower = free / sum;
    const without = sum - shapes[place];
    const higher = without ? (free + gap) / without : Infinity;
    const end = place > begin && higher / target < target / lower ? place : place + 1;
    top = push(made, shapes, begin, end, top, gap, end === place ? higher : lower);
    place = end - 1;
    begin = end;
    sum = 0;
  }
  if (begin < stop) {
    const free = width - gap * (stop - begin - 1);
    // The last row is not stretched: two pictures would fill the screen.
    push(made, shapes, begin, stop, top, gap, Math.min(target, free / sum));
  }
  return made;
}

/**
 * @param {Row[]} made @param {number[]} shapes @param {number} begin @param {number} end
 * @param {number} top @param {number} gap @param {number} height
 * @returns {number} where the next row begins
 */
function push(made, shapes, begin, end, top, gap, height) {
  /** @type {Box[]} */
  const boxes = [];
  let left = 0;
  for (let place = begin; place < end; place++) {
    const right = left + shapes[place] * height;
    // Whole pixels: gaps of 5.4 would look like 5 here and 6 there.
    boxes.push({ place, left: Math.round(left), width: Math.round(right) - Math.round(left) });
    left = right + gap;
  }
  made.push({ top, height: Math.round(height), boxes, label: null });
  return top + Math.round(height) + gap;
}

/**
 * The first row whose end lies below `y`; rows are in order, so that thousands cost a few steps.
 *
 * @param {Row[]} all @param {number} y
 */
export function firstBelow(all, y) {
  let low = 0;
  let high = all.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (all[middle].top + all[middle].height < y) low = middle + 1;
    else high = middle;
  }
  return low;
}
