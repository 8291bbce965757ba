/**
 * Frames around the lines of text for which a picture is a hit.
 *
 * Owns how they are drawn. They lie over the picture, and are zoomed and moved with it. Must not know what they lie over.
 *
 * @typedef {{text: string, confidence: number, box: number[]}} Line
 */

const SVG = "http://www.w3.org/2000/svg";

/**
 * Return what lies over a picture of this size that fills its box as `object-fit: contain` does.
 *
 * @param {Line[]} lines
 * @param {{width: number, height: number}} size
 */
export function frames(lines, { width, height }) {
  const drawn = document.createElementNS(SVG, "svg");
  drawn.setAttribute("class", "viewer-frames");
  drawn.setAttribute("viewBox", `0 0 ${width} ${height}`);
  drawn.setAttribute("aria-hidden", "true");
  for (const { box } of lines) {
    const frame = document.createElementNS(SVG, "polygon");
    frame.setAttribute("points", box.map((value, place) => value * (place % 2 ? height : width)).join(" "));
    drawn.append(frame);
  }
  return drawn;
}
