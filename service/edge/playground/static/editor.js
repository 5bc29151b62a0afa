/**
 * The picture that is worked on, its mask, the tool in hand and what can be undone. Says `change` whenever something
 * should be drawn again, and `picture` when it is another one. Knows no canvas and no pointer.
 */

import { beginGesture } from "./gestures.js";
import { History } from "./history.js";
import { Mask } from "./mask.js";

/** @typedef {import("./shapes.js").Point} Point */
/** @typedef {import("./gestures.js").Tool | "hand"} Tool */
/** @typedef {import("./picture.js").Picture} Picture */

const USUAL_PART = 16; // a new picture's brush is this part of its longer side
const LARGEST_PART = 3;
const SIZE_STEP = 1.2;

export class Editor extends EventTarget {
  /** @type {Picture | null} */
  picture = null;
  /** @type {Mask | null} */
  mask = null;
  /** @type {Tool} */
  tool = "brush";
  /** Diameter of the brush in pixels of the picture. */
  size = 40;

  #history = new History();
  /** @type {import("./gestures.js").Gesture | null} */
  #gesture = null;

  /** @param {Picture} picture to begin with, and an empty mask */
  open(picture) {
    this.picture = picture;
    this.mask = new Mask(picture.width, picture.height);
    this.size = Math.max(4, Math.round(this.#longerSide / USUAL_PART));
    this.#history = new History();
    this.#gesture = null;
    this.dispatchEvent(new Event("picture"));
    this.#changed();
  }

  /** The largest diameter that makes sense for this picture. */
  get largestSize() {
    return Math.max(64, Math.round(this.#longerSide / LARGEST_PART));
  }

  get canUndo() {
    return this.#history.canUndo;
  }

  get canRedo() {
    return this.#history.canRedo;
  }

  /** The area that is being drawn, in pixels of the picture. */
  get outline() {
    return this.#gesture?.outline ?? [];
  }

  get isDrawing() {
    return this.#gesture !== null;
  }

  /** @param {Tool} tool */
  take(tool) {
    this.cancel();
    this.tool = tool;
    this.#changed();
  }

  /** @param {number} size in pixels */
  resize(size) {
    this.size = Math.min(this.largestSize, Math.max(1, Math.round(size)));
    this.#changed();
  }

  /** @param {number} steps larger, or smaller if negative */
  resizeBy(steps) {
    const size = this.size * SIZE_STEP ** steps;
    this.resize(steps > 0 ? Math.ceil(size) : Math.floor(size));
  }

  /** @param {Point} point @param {boolean} [erases] */
  begin(point, erases = false) {
    if (!this.mask || this.tool === "hand") return;
    this.cancel();
    this.#gesture = beginGesture(this.tool, this.mask, point, this.size / 2, erases);
    this.#changed();
  }

  /** @param {Point} point */
  move(point) {
    if (!this.#gesture) return;
    this.#gesture.move(point);
    this.#changed();
  }

  /** The drag is over: what it did becomes one step of the history. */
  end() {
    if (!this.#gesture) return;
    this.#gesture.end();
    this.#gesture = null;
    this.#record();
  }

  /** Takes back what the drag has done so far. */
  cancel() {
    if (!this.#gesture) return;
    this.#gesture = null;
    const change = this.mask?.takeChange();
    if (change) this.mask?.apply(change);
    this.#changed();
  }

  undo() {
    this.#apply(this.#history.undo());
  }

  redo() {
    this.#apply(this.#history.redo());
  }

  invert() {
    this.#alter((mask) => mask.invert());
  }

  clear() {
    this.#alter((mask) => mask.setAll(0));
  }

  /** @param {(mask: Mask) => void} set that sets pixels of the empty mask */
  replace(set) {
    this.#alter((mask) => {
      mask.setAll(0);
      set(mask);
    });
  }

  /** @param {(mask: Mask) => void} alteration that becomes one step of the history */
  #alter(alteration) {
    if (!this.mask) return;
    this.cancel();
    alteration(this.mask);
    this.#record();
  }

  #record() {
    const change = this.mask?.takeChange();
    if (change) this.#history.add(change);
    this.#changed();
    this.dispatchEvent(new Event("mask"));
  }

  /** @param {import("./mask.js").Change | undefined} change */
  #apply(change) {
    if (!change) return;
    this.cancel();
    this.mask?.apply(change);
    this.#changed();
    this.dispatchEvent(new Event("mask"));
  }

  get #longerSide() {
    return this.picture ? Math.max(this.picture.width, this.picture.height) : 0;
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
