/** What was done to a mask and can be undone, and what was undone and can be done again. Bounded. */

/** @typedef {import("./mask.js").Change} Change */

const MOST_NUMBERS = 16 * 1024 * 1024; // 64 MiB of runs; the oldest changes are forgotten first

export class History {
  /** @type {Change[]} */
  #done = [];
  /** @type {Change[]} */
  #undone = [];

  /** @param {Change} change that was just made */
  add(change) {
    this.#done.push(change);
    this.#undone = [];
    let numbers = this.#done.reduce((sum, { runs }) => sum + runs.length, 0);
    while (numbers > MOST_NUMBERS && this.#done.length > 1) numbers -= this.#done.shift()?.runs.length ?? 0;
  }

  /** The change to be taken back now, if there is one. */
  undo() {
    return move(this.#done, this.#undone);
  }

  /** The change to be made again now, if there is one. */
  redo() {
    return move(this.#undone, this.#done);
  }

  get canUndo() {
    return this.#done.length > 0;
  }

  get canRedo() {
    return this.#undone.length > 0;
  }
}

/** @param {Change[]} from @param {Change[]} to */
function move(from, to) {
  const change = from.pop();
  if (change) to.push(change);
  return change;
}
