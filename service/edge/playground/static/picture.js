/** A picture that was opened: the file as it is, its size as displayed, and pixels to show it with. */

const MOST_SHOWN = 12_000_000; // pixels of the copy that is drawn; a larger picture is shown from a smaller copy

export class Picture {
  /**
   * @param {Blob} file that is sent to the service, byte for byte @param {string} name
   * @param {number} width in pixels, turned by the EXIF orientation @param {number} height
   * @param {ImageBitmap} bitmap of the same aspect, perhaps smaller
   */
  constructor(file, name, width, height, bitmap) {
    this.file = file;
    this.name = name;
    this.width = width;
    this.height = height;
    this.bitmap = bitmap;
  }

  /** The name without its suffix. */
  get stem() {
    return this.name.replace(/\.[^.]*$/, "") || "picture";
  }
}

/**
 * @param {Blob} file @param {string} name
 * @returns {Promise<Picture>} an Error with a sentence for the user if the browser can't read the file
 */
export async function openPicture(file, name) {
  try {
    const [width, height] = await naturalSize(file);
    return new Picture(file, name, width, height, await shown(file, width, height));
  } catch {
    throw new Error(
      `This browser can't show ${name}. Open a JPEG, PNG, WebP or AVIF picture, or another that it can show.`,
    );
  }
}

/** @param {Blob} file @param {number} width @param {number} height */
function shown(file, width, height) {
  const shrink = Math.min(1, Math.sqrt(MOST_SHOWN / (width * height)));
  if (shrink === 1) return createImageBitmap(file);
  const size = { resizeWidth: Math.round(width * shrink), resizeHeight: Math.round(height * shrink) };
  return createImageBitmap(file, { ...size, resizeQuality: "high" });
}

/**
 * Without decoding the pixels: that is done once, for the bitmap.
 * @param {Blob} file @returns {Promise<[number, number]>} width and height as displayed
 */
async function naturalSize(file) {
  const url = URL.createObjectURL(file);
  const image = new Image();
  try {
    await new Promise((resolve, reject) => {
      image.onload = resolve;
      image.onerror = reject;
      image.src = url;
    });
    return [image.naturalWidth, image.naturalHeight];
  } finally {
    URL.revokeObjectURL(url);
  }
}
