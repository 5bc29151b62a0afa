/** Finds the elements of index.html that the modules need; what is missing is said at once, by name. */

/**
 * @template {Element} T
 * @param {string} id @param {new () => T} kind
 * @returns {T}
 */
export function element(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`index.html has no ${kind.name} with the id ${id}.`);
  return found;
}

/** @param {string} id */
export function button(id) {
  return element(id, HTMLButtonElement);
}

/** @param {string} id */
export function input(id) {
  return element(id, HTMLInputElement);
}

/** @param {string} id @returns {HTMLElement} of whatever kind */
export function part(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`index.html has no element with the id ${id}.`);
  return found;
}
