/**
 * Wheel, drag, pinch, double click and double tap on a stage, as moves and factors.
 *
 * Owns the fingers and the mouse button that are down. Must not know what is moved, nor its bounds.
 *
 * @typedef {{x: number, y: number}} Point in CSS pixels from the corner of the stage
 */

const DOUBLE_TAP_MS = 320;
const SLIP = 24;
/** A pinch on a trackpad comes as a wheel with Ctrl, in small steps. */
const PINCH_SPEED = 0.01;
/** Pixels of a line: Firefox counts three for a notch, where others say 120 pixels. */
const LINE = 40;

export class Gestures {
  /** @type {Map<number, Point>} by pointer */ #held = new Map();
  /** of the last pointer: mouse, touch, pen */ #kind = "mouse";
  /** @type {Point} */ #begun = { x: 0, y: 0 };
  #lastTap = { at: 0, x: 0, y: 0 };
  /** whether the first click of a double one was on something that has its own */ #passed = false;

  /**
   * @param {HTMLElement} stage
   * @param {{scaled: (factor: number, at: Point) => void, moved: (from: Point, to: Point) => void, doubled: (at: Point) => void}} handlers
   *   `scaled`: larger or smaller around a point; `moved`: what was under one point is to be under the other
   * @param {{speed: number, passed?: string, captures?: () => boolean}} how `speed`: of the wheel, the logarithm of the factor for a pixel;
   *   `passed`: a selector of what has clicks of its own; `captures`: whether a single finger stays with the stage where it leaves it
   */
  constructor(stage, handlers, { speed, passed, captures = () => true }) {
    this.stage = stage;
    this.handlers = handlers;
    const isPassed = (/** @type {Event} */ event) => Boolean(passed && /** @type {Element} */ (event.target).closest(passed));
    stage.addEventListener("wheel", (event) => {
      event.preventDefault();
      const pixels = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? event.deltaY * LINE : event.deltaY;
      handlers.scaled(Math.exp(-pixels * (event.ctrlKey ? PINCH_SPEED : speed)), this.#point(event));
    }, { passive: false });
    stage.addEventListener("click", (event) => {
      // What the first click opened may have gone when the second one comes.
      if (event.detail === 1) this.#passed = isPassed(event);
    });
    // Fingers are counted below: not every browser makes a double click of two taps.
    stage.addEventListener("dblclick", (event) => this.#kind === "mouse" && !this.#passed && !isPassed(event) && handlers.doubled(this.#point(event)));
    stage.addEventListener("pointerdown", (event) => {
      this.#kind = event.pointerType;
      if (event.button || isPassed(event)) return;
      this.#begun = this.#point(event);
      this.#held.set(event.pointerId, this.#begun);
      if (this.isPinching || captures()) stage.setPointerCapture(event.pointerId);
    });
    stage.addEventListener("pointermove", (event) => this.#moved(event));
    stage.addEventListener("pointerup", (event) => this.#up(event));
    stage.addEventListener("pointercancel", (event) => this.#held.delete(event.pointerId));
  }

  /** Whether several fingers are on the stage: then no finger's way means a swipe. */
  get isPinching() {
    return this.#held.size > 1;
  }

  /** @param {MouseEvent} event @returns {Point} */
  #point(event) {
    const box = this.stage.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  /** @param {PointerEvent} event */
  #moved(event) {
    const before = this.#held.get(event.pointerId);
    if (!before) return;
    const now = this.#point(event);
    const other = [...this.#held].find(([id]) => id !== event.pointerId)?.[1];
    this.#held.set(event.pointerId, now);
    if (!other) return this.handlers.moved(before, now);
    // Two fingers: what is between them stays between them.
    const middle = (/** @type {Point} */ finger) => ({ x: (finger.x + other.x) / 2, y: (finger.y + other.y) / 2 });
    this.handlers.scaled(Math.max(0.1, distance(now, other)) / Math.max(1, distance(before, other)), middle(before));
    this.handlers.moved(middle(before), middle(now));
  }

  /** @param {PointerEvent} event */
  #up(event) {
    const wasPinch = this.isPinching;
    if (!this.#held.delete(event.pointerId) || event.pointerType === "mouse" || wasPinch) return;
    const { x, y } = this.#point(event);
    if (distance(this.#begun, { x, y }) > SLIP) return;
    const isDouble = event.timeStamp - this.#lastTap.at < DOUBLE_TAP_MS && distance(this.#lastTap, { x, y }) < SLIP;
    this.#lastTap = { at: isDouble ? 0 : event.timeStamp, x, y };
    if (isDouble) this.handlers.doubled({ x, y });
  }
}

/** @param {Point} one @param {Point} other */
const distance = (one, other) => Math.hypot(one.x - other.x, one.y - other.y);
