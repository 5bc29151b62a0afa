/** The mask as it is shown: sampled from its natural size for each pixel of the screen, so sharp at any zoom. */

/**
 * Colours as the words of an ImageData, alpha first (little-endian, as all browsers' machines are).
 * @typedef {{inside: number, edge: number}} Paint
 */

/** @type {Paint} */
export const TINT = { inside: 0x7a_6a_1e_f0, edge: 0xff_5c_18_ff };
/** @type {Paint} */
export const OPAQUE = { inside: 0xff_ff_ff_ff, edge: 0xff_ff_ff_ff };

export class Overlay {
  canvas = new OffscreenCanvas(1, 1);
  context = contextOf(this.canvas);
  #image = new ImageData(1, 1);

  /**
   * Paints the mask into `canvas`, as large as the stage.
   * @param {import("./mask.js").Mask} mask @param {import("./view.js").View} view
   * @param {number} ratio device pixels of a CSS pixel @param {Paint} paint
   */
  render(mask, view, ratio, paint) {
    const width = Math.max(1, Math.round(view.stage.width * ratio));
    const height = Math.max(1, Math.round(view.stage.height * ratio));
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
      this.#image = new ImageData(width, height);
    }
    const words = new Uint32Array(this.#image.data.buffer);
    words.fill(0);
    const columns = sampled(width, view.left * ratio, view.scale * ratio, mask.width);
    const rows = sampled(height, view.top * ratio, view.scale * ratio, mask.height);
    let above = -1;
    for (let y = rows.first; y < rows.last; y += 1) {
      const row = rows.of[y] * mask.width;
      paintRow(words, y * width, mask.bits, row, above < 0 ? row : above, columns, paint);
      above = row;
    }
    this.context.putImageData(this.#image, 0, 0);
  }
}

/**
 * Which pixel of the picture each pixel of the screen shows, and the range [first, last) of those that show one.
 * @param {number} count @param {number} offset @param {number} scale @param {number} limit
 */
function sampled(count, offset, scale, limit) {
  const of = new Int32Array(count);
  const first = Math.max(0, Math.ceil(offset - 0.5));
  const last = Math.min(count, Math.ceil(offset + limit * scale - 0.5));
  for (let at = first; at < last; at += 1) {
    of[at] = Math.min(limit - 1, Math.max(0, Math.floor((at + 0.5 - offset) / scale)));
  }
  return { of, first, last };
}

/**
 * @param {Uint32Array} words @param {number} begin of the row in them @param {Uint8Array} bits
 * @param {number} row @param {number} above offsets in bits
 * @param {{of: Int32Array, first: number, last: number}} columns @param {Paint} paint
 */
function paintRow(words, begin, bits, row, above, columns, paint) {
  let left = columns.first < columns.last ? bits[row + columns.of[columns.first]] : 0;
  for (let x = columns.first; x < columns.last; x += 1) {
    const column = columns.of[x];
    const isSet = bits[row + column];
    if (isSet !== left || isSet !== bits[above + column]) words[begin + x] = paint.edge;
    else if (isSet) words[begin + x] = paint.inside;
    left = isSet;
  }
}

/** @param {OffscreenCanvas} canvas */
function contextOf(canvas) {
  const context = canvas.getContext("2d");
  if (!context) throw new Error("This browser gives the page no canvas to draw on.");
  return context;
}
