/** Saves a file that the page has made or fetched, as a download of the browser. */

/** @type {Record<string, string>} */
const SUFFIXES = { "image/jpeg": "jpg", "image/png": "png", "image/webp": "webp" };
const KEPT = 60_000; // milliseconds; the browser reads the address when the user has chosen where to save

/** @param {Blob} file @param {string} name */
export function download(file, name) {
  const url = URL.createObjectURL(file);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), KEPT);
}

/** @param {Blob} file @returns {string} its format's usual suffix, without the dot */
export function suffixOf(file) {
  return SUFFIXES[file.type] ?? file.type.replace(/^image\//, "");
}
