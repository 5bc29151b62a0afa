/** What a drag over the picture does to the mask, by tool: a stroke as it goes, an area at its end. */

import { polygon, rectangle, stroke } from "./shapes.js";

/** @typedef {import("./shapes.js").Point} Point */
/** @typedef {import("./mask.js").Mask} Mask */
/** @typedef {"brush" | "eraser" | "rectangle" | "lasso"} Tool */

/**
 * A drag that has begun. `outline` is what an area looks like so far, to be shown until it is filled.
 * @typedef {{move(point: Point): void, end(): void, readonly outline: Point[]}} Gesture
 */

/**
 * @param {Tool} tool @param {Mask} mask @param {Point} point where it begins @param {number} radius of the brush
 * @param {boolean} erases whether pixels are taken out of the mask
 * @returns {Gesture}
 */
export function beginGesture(tool, mask, point, radius, erases) {
  const value = erases || tool === "eraser" ? 0 : 1;
  /** @param {number} row @param {number} from @param {number} to */
  const span = (row, from, to) => mask.setSpan(row, from, to, value);
  if (tool === "rectangle") return new Rectangle(point, span);
  if (tool === "lasso") return new Lasso(point, span);
  return new Stroke(point, radius, span);
}

/** @typedef {import("./shapes.js").Span} Span */

class Stroke {
  /** @type {Point[]} */
  outline = [];

  /** @param {Point} point @param {number} radius @param {Span} span */
  constructor(point, radius, span) {
    this.last = point;
    this.radius = radius;
    this.span = span;
    stroke(point, point, radius, span);
  }

  /** @param {Point} point */
  move(point) {
    stroke(this.last, point, this.radius, this.span);
    this.last = point;
  }

  end() {}
}

class Rectangle {
  /** @param {Point} point @param {Span} span */
  constructor(point, span) {
    this.first = point;
    this.last = point;
    this.span = span;
  }

  get outline() {
    const { first, last } = this;
    return [first, { x: last.x, y: first.y }, last, { x: first.x, y: last.y }];
  }

  /** @param {Point} point */
  move(point) {
    this.last = point;
  }

  end() {
    rectangle(this.first, this.last, this.span);
  }
}

class Lasso {
  /** @param {Point} point @param {Span} span */
  constructor(point, span) {
    this.outline = [point];
    this.span = span;
  }

  /** @param {Point} point */
  move(point) {
    this.outline.push(point);
  }

  end() {
    polygon(this.outline, this.span);
  }
}
