/** The handle between before and after: dragged, or moved with the arrow keys. */

import { part } from "./elements.js";

const STEP = 2; // per cent a press
const LARGE_STEP = 10;

export class Divider {
  #handle = part("divider");
  #labels = [part("before-label"), part("after-label")];

  /** @param {import("./stage.js").Stage} stage */
  constructor(stage) {
    this.stage = stage;
    this.#handle.addEventListener("pointerdown", (event) => this.#handle.setPointerCapture(event.pointerId));
    this.#handle.addEventListener("pointermove", (event) => {
      if (this.#handle.hasPointerCapture(event.pointerId)) this.#dragTo(event.clientX);
    });
    this.#handle.addEventListener("keydown", (event) => this.#press(event));
  }

  /** @param {number} clientX */
  #dragTo(clientX) {
    const { left, right } = this.stage.visible;
    const x = clientX - this.stage.canvas.getBoundingClientRect().left;
    this.#moveTo((x - left) / Math.max(1, right - left));
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    const step = (event.shiftKey ? LARGE_STEP : STEP) / 100;
    const now = this.stage.divider;
    /** @type {Record<string, number>} */
    const places = {
      ArrowLeft: now - step,
      ArrowDown: now - step,
      ArrowRight: now + step,
      ArrowUp: now + step,
      PageDown: now - LARGE_STEP / 100,
      PageUp: now + LARGE_STEP / 100,
      Home: 0,
      End: 1,
    };
    if (!(event.key in places)) return;
    event.preventDefault();
    this.#moveTo(places[event.key]);
  }

  /** @param {number} place 0 to 1 */
  #moveTo(place) {
    this.stage.divider = Math.min(1, Math.max(0, place));
    this.stage.redraw();
  }

  /** Stands where the picture is. */
  follow() {
    const isShown = this.stage.mode === "compare" && this.stage.after !== null;
    for (const each of [this.#handle, ...this.#labels]) each.hidden = !isShown;
    if (!isShown) return;
    const { left, right, top, bottom } = this.stage.visible;
    const percent = Math.round(this.stage.divider * 100);
    this.#handle.style.left = `${this.stage.dividerAt}px`;
    this.#handle.style.top = `${top}px`;
    this.#handle.style.height = `${bottom - top}px`;
    this.#handle.setAttribute("aria-valuenow", String(percent));
    this.#handle.setAttribute("aria-valuetext", `${percent} % of the picture before, ${100 - percent} % after`);
    const [before, after] = this.#labels;
    before.style.left = `${left}px`;
    after.style.left = `${right}px`;
    for (const label of this.#labels) label.style.top = `${top}px`;
  }
}
