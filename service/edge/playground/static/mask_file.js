/** Reads a mask from a picture file as the service reads it: bright means fill, transparent means keep. */

const THRESHOLD = 128;
const STRIP = 256; // rows that are read at a time: a canvas of a large picture's size is more than browsers allow

/**
 * The mask in the file, to be set into an empty one of the picture's size; scaled if only its scale differs.
 * @param {Blob} file @param {string} name @param {number} width @param {number} height of the picture
 * @returns {Promise<(mask: import("./mask.js").Mask) => void>} an Error with a sentence for the user if it can't be used
 */
export async function readMask(file, name, width, height) {
  const bitmap = await createImageBitmap(file).catch(() => {
    throw new Error(`This browser can't read ${name} as a picture. Upload a PNG in which white means fill.`);
  });
  requireAspect(bitmap, width, height);
  return (mask) => {
    setFrom(mask, bitmap);
    bitmap.close();
  };
}

/** @param {ImageBitmap} bitmap @param {number} width @param {number} height */
function requireAspect(bitmap, width, height) {
  const rows = (height * bitmap.width) / width;
  const columns = (width * bitmap.height) / height;
  if (Math.abs(rows - bitmap.height) >= 1 && Math.abs(columns - bitmap.width) >= 1) {
    throw new Error(
      `The mask is ${bitmap.width} × ${bitmap.height} pixels, but the picture is ${width} × ${height}. ` +
        "Upload a mask of the picture's size, or of the same aspect.",
    );
  }
}

/** @param {import("./mask.js").Mask} mask @param {ImageBitmap} bitmap */
function setFrom(mask, bitmap) {
  const { width, height } = mask;
  const canvas = new OffscreenCanvas(width, Math.min(STRIP, height));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("This browser gives the page no canvas to read the mask with.");
  for (let top = 0; top < height; top += STRIP) {
    const rows = Math.min(STRIP, height - top);
    context.fillStyle = "black";
    context.fillRect(0, 0, width, rows);
    context.drawImage(bitmap, 0, -top, width, height);
    const { data } = context.getImageData(0, 0, width, rows);
    for (let row = 0; row < rows; row += 1) setRow(mask, top + row, data, row * width * 4);
  }
}

/** @param {import("./mask.js").Mask} mask @param {number} row @param {Uint8ClampedArray} data @param {number} begin */
function setRow(mask, row, data, begin) {
  let from = -1;
  for (let column = 0; column <= mask.width; column += 1) {
    const at = begin + column * 4;
    const isSet = column < mask.width && isBright(data[at], data[at + 1], data[at + 2]);
    if (isSet && from < 0) from = column;
    if (!isSet && from >= 0) {
      mask.setSpan(row, from, column, 1);
      from = -1;
    }
  }
}

/** By luminance (ITU-R BT.601). @param {number} red @param {number} green @param {number} blue */
function isBright(red, green, blue) {
  return Math.round(0.299 * red + 0.587 * green + 0.114 * blue) >= THRESHOLD;
}
