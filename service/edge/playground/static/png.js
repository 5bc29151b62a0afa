/**
 * A mask as a PNG file of one bit a pixel, white = fill (PNG specification, third edition). A canvas can't write it:
 * it has four bytes a pixel, and browsers limit its size below that of large photographs.
 */

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const POLYNOMIAL = 0xedb88320; // of the checksum, section 5.5
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => remainder(byte));

/** @param {import("./mask.js").Mask} mask @returns {Promise<Blob>} */
export async function maskPng(mask) {
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, mask.width);
  view.setUint32(4, mask.height);
  header[8] = 1; // bit depth; then colour type 0: gray
  const parts = [chunk("IHDR", header), chunk("IDAT", await deflated(packed(mask))), chunk("IEND", new Uint8Array())];
  return new Blob([new Uint8Array(SIGNATURE), ...parts], { type: "image/png" });
}

/**
 * Rows of eight pixels a byte, each after a byte that says that it is not filtered.
 * @param {import("./mask.js").Mask} mask
 */
function packed({ width, height, bits }) {
  const stride = 1 + Math.ceil(width / 8);
  const rows = new Uint8Array(stride * height);
  for (let row = 0, at = 0; row < height; row += 1) {
    const begin = row * stride + 1;
    for (let column = 0; column < width; column += 1, at += 1) {
      if (bits[at]) rows[begin + (column >> 3)] |= 0x80 >> (column & 7);
    }
  }
  return rows;
}

/** @param {Uint8Array<ArrayBuffer>} bytes */
async function deflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** @param {string} kind four letters @param {Uint8Array} body */
function chunk(kind, body) {
  const bytes = new Uint8Array(body.length + 12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, body.length);
  bytes.set(new TextEncoder().encode(kind), 4);
  bytes.set(body, 8);
  view.setUint32(body.length + 8, checksum(bytes.subarray(4, body.length + 8)));
  return bytes;
}

/** @param {Uint8Array} bytes */
function checksum(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = TABLE[(value ^ byte) & 0xff] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

/** @param {number} byte */
function remainder(byte) {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? POLYNOMIAL ^ (value >>> 1) : value >>> 1;
  return value >>> 0;
}
