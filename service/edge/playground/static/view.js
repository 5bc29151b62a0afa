/** Where the picture lies on the stage: its scale and offset, in CSS pixels. Knows no canvas. */

/** @typedef {import("./shapes.js").Point} Point */

const LARGEST_SCALE = 32;
const LARGEST_FIT = 4; // a small picture is not blown up further by itself
const SMALLEST_PART = 0.5; // of the scale that fits
const MARGIN = 20;
const KEPT_IN_SIGHT = 48;

export class View {
  scale = 1;
  left = 0;
  top = 0;
  #stage = { width: 1, height: 1 };
  #picture = { width: 1, height: 1 };
  #fitted = true;

  /** @param {number} width @param {number} height of the stage */
  resize(width, height) {
    this.#stage = { width, height };
    if (this.#fitted) this.fit();
    else this.pan(0, 0);
  }

  /** @param {number} width @param {number} height of another picture, to be seen whole */
  show(width, height) {
    this.#picture = { width, height };
    this.fit();
  }

  get stage() {
    return this.#stage;
  }

  /** The picture on the stage. */
  get box() {
    const { width, height } = this.#picture;
    return { left: this.left, top: this.top, width: width * this.scale, height: height * this.scale };
  }

  /** The scale at which the whole picture is seen. */
  get fittingScale() {
    const { width, height } = this.#picture;
    const scale = Math.min((this.#stage.width - 2 * MARGIN) / width, (this.#stage.height - 2 * MARGIN) / height);
    return Math.max(0.001, Math.min(scale, LARGEST_FIT));
  }

  /** The whole picture, in the middle. */
  fit() {
    this.scale = this.fittingScale;
    this.left = (this.#stage.width - this.#picture.width * this.scale) / 2;
    this.top = (this.#stage.height - this.#picture.height * this.scale) / 2;
    this.#fitted = true;
  }

  /** @param {number} scale @param {Point} [at] the point of the stage that stays where it is; left out: the middle */
  zoomTo(scale, at = { x: this.#stage.width / 2, y: this.#stage.height / 2 }) {
    const allowed = Math.min(LARGEST_SCALE, Math.max(this.fittingScale * SMALLEST_PART, scale));
    const fixed = this.toPicture(at);
    this.scale = allowed;
    this.left = at.x - fixed.x * allowed;
    this.top = at.y - fixed.y * allowed;
    this.#fitted = false;
    this.pan(0, 0);
  }

  /** @param {number} right @param {number} down by how much to move the picture; a part of it stays in sight */
  pan(right, down) {
    const { width, height } = this.box;
    this.left = between(KEPT_IN_SIGHT - width, this.left + right, this.#stage.width - KEPT_IN_SIGHT);
    this.top = between(KEPT_IN_SIGHT - height, this.top + down, this.#stage.height - KEPT_IN_SIGHT);
    if (right !== 0 || down !== 0) this.#fitted = false;
  }

  /** @param {Point} point of the stage @returns {Point} in pixels of the picture */
  toPicture({ x, y }) {
    return { x: (x - this.left) / this.scale, y: (y - this.top) / this.scale };
  }

  /** @param {Point} point of the picture @returns {Point} on the stage */
  toStage({ x, y }) {
    return { x: x * this.scale + this.left, y: y * this.scale + this.top };
  }
}

/** @param {number} least @param {number} value @param {number} most */
function between(least, value, most) {
  return Math.min(Math.max(value, Math.min(least, most)), Math.max(least, most));
}
