/**
 * The mask: one flag a pixel of the picture, at its natural size. Every change is recorded as the runs of pixels that
 * it flipped, so that to flip them again undoes it. Knows no canvas and no tools.
 */

/**
 * What one action did: pairs of offsets, [from, to), of pixels that changed their value.
 * @typedef {{runs: Int32Array}} Change
 */

export class Mask {
  /** @param {number} width @param {number} height both in pixels */
  constructor(width, height) {
    this.width = width;
    this.height = height;
    /** 1 = to be filled; row by row. */
    this.bits = new Uint8Array(width * height);
    /** How many pixels are set. */
    this.count = 0;
    this.#flipped = new Runs();
  }

  /** @type {Runs} */
  #flipped;

  /** The part of the picture that is set, 0 to 1. */
  get coverage() {
    return this.count / this.bits.length;
  }

  /**
   * Sets the pixels [from, to) of a row; what lies outside of the picture is left out.
   * @param {number} row @param {number} from @param {number} to @param {0 | 1} value
   */
  setSpan(row, from, to, value) {
    if (row < 0 || row >= this.height) return;
    const start = row * this.width;
    this.#setRange(start + Math.max(0, from), start + Math.min(this.width, to), value);
  }

  /** @param {0 | 1} value */
  setAll(value) {
    this.#setRange(0, this.bits.length, value);
  }

  /** Every pixel becomes what it was not. */
  invert() {
    this.#flipped.add(0, this.bits.length);
    this.#flip(0, this.bits.length);
  }

  /**
   * What changed since the last call, or null if nothing did.
   * @returns {Change | null}
   */
  takeChange() {
    return this.#flipped.take();
  }

  /**
   * Undoes a change, or does it again.
   * @param {Change} change
   */
  apply({ runs }) {
    for (let index = 0; index < runs.length; index += 2) this.#flip(runs[index], runs[index + 1]);
  }

  /** @param {number} from @param {number} to @param {0 | 1} value */
  #setRange(from, to, value) {
    const bits = this.bits;
    for (let at = from; at < to; ) {
      while (at < to && bits[at] === value) at += 1;
      const begin = at;
      while (at < to && bits[at] !== value) at += 1;
      if (at > begin) {
        bits.fill(value, begin, at);
        this.count += value ? at - begin : begin - at;
        this.#flipped.add(begin, at);
      }
    }
  }

  /** @param {number} from @param {number} to */
  #flip(from, to) {
    const bits = this.bits;
    let more = 0;
    for (let at = from; at < to; at += 1) {
      bits[at] ^= 1;
      more += bits[at];
    }
    this.count += 2 * more - (to - from);
  }
}

/** Pairs of offsets in an array that grows. */
class Runs {
  #numbers = new Int32Array(1024);
  #length = 0;

  /** @param {number} from @param {number} to */
  add(from, to) {
    if (this.#length + 2 > this.#numbers.length) {
      const larger = new Int32Array(this.#numbers.length * 2);
      larger.set(this.#numbers);
      this.#numbers = larger;
    }
    this.#numbers[this.#length] = from;
    this.#numbers[this.#length + 1] = to;
    this.#length += 2;
  }

  /** @returns {Change | null} */
  take() {
    if (this.#length === 0) return null;
    const runs = this.#numbers.slice(0, this.#length);
    this.#length = 0;
    return { runs };
  }
}
