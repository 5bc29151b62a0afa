/** Mouse, pen and fingers over the canvas: one draws, two move and zoom, the wheel sizes or zooms. */

/** @typedef {import("./shapes.js").Point} Point */

const WHEEL_ZOOM = 0.002; // of the scale's logarithm for a pixel that the wheel scrolls
const LINE = 16; // pixels of a line, where a wheel counts lines
const MIDDLE_BUTTON = 1;

export class PointerInput {
  /** Whether the space bar is held: a drag moves the picture, then. */
  moves = false;
  /** @type {Map<number, Point>} where each finger or button-down pointer is, on the stage */
  #down = new Map();
  #pans = false;

  /** @param {import("./stage.js").Stage} stage @param {() => boolean} mayDraw */
  constructor(stage, mayDraw) {
    this.stage = stage;
    this.view = stage.view;
    this.editor = stage.editor;
    this.mayDraw = mayDraw;
    const { canvas } = stage;
    canvas.addEventListener("pointerdown", (event) => this.#begin(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", (event) => this.#end(event));
    canvas.addEventListener("pointercancel", (event) => this.#cancel(event));
    canvas.addEventListener("pointerleave", () => this.#hoverAt(null));
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  /** @param {PointerEvent} event */
  #begin(event) {
    if (!this.editor.picture || event.button > MIDDLE_BUTTON) return;
    const point = this.#at(event);
    this.stage.canvas.setPointerCapture(event.pointerId);
    this.stage.cursor = null;
    this.#down.set(event.pointerId, point);
    if (this.#down.size > 1) {
      this.editor.cancel(); // the first finger was the beginning of a pinch
      this.#pans = true;
      return;
    }
    this.#pans =
      this.moves || event.button === MIDDLE_BUTTON || this.editor.tool === "hand" || !this.mayDraw();
    if (!this.#pans) this.editor.begin(this.view.toPicture(point), event.altKey);
    this.#hoverAt(point);
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const point = this.#at(event);
    const before = this.#down.get(event.pointerId);
    if (before && this.#pans) {
      this.#drag(event.pointerId, before, point);
    } else if (before) {
      const passed = event.getCoalescedEvents?.() ?? [];
      for (const each of passed.length ? passed : [event]) this.editor.move(this.view.toPicture(this.#at(each)));
    }
    if (before) this.#down.set(event.pointerId, point);
    this.#hoverAt(event.pointerType === "touch" ? null : point);
  }

  /** @param {PointerEvent} event */
  #end(event) {
    if (!this.#down.delete(event.pointerId)) return;
    this.editor.end();
    this.#pans = this.#down.size > 0; // a finger that stays after a pinch does not begin to draw
  }

  /** @param {PointerEvent} event */
  #cancel(event) {
    this.#down.delete(event.pointerId);
    this.editor.cancel();
  }

  /** One pointer moves the picture, two zoom it as well. @param {number} id @param {Point} from @param {Point} to */
  #drag(id, from, to) {
    const other = [...this.#down].find(([known]) => known !== id)?.[1];
    if (other) {
      const zoom = distance(other, to) / Math.max(1, distance(other, from));
      this.view.zoomTo(this.view.scale * zoom, middle(other, from));
      this.view.pan((to.x - from.x) / 2, (to.y - from.y) / 2);
    } else {
      this.view.pan(to.x - from.x, to.y - from.y);
    }
    this.stage.redraw();
  }

  /** @param {WheelEvent} event */
  #wheel(event) {
    if (!this.editor.picture) return;
    event.preventDefault();
    const down = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE : 1);
    const sizes = !event.ctrlKey && this.mayDraw() && ["brush", "eraser"].includes(this.editor.tool);
    if (sizes) this.editor.resizeBy(down === 0 ? 0 : -Math.sign(down) * Math.min(1, Math.abs(down) / 50));
    else this.view.zoomTo(this.view.scale * Math.exp(-down * WHEEL_ZOOM), this.#at(event));
    this.stage.redraw();
  }

  /** @param {MouseEvent} event @returns {Point} on the stage */
  #at(event) {
    const { left, top } = this.stage.canvas.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  }

  /** @param {Point | null} point */
  #hoverAt(point) {
    this.stage.hover = point;
    if (this.editor.picture) this.stage.redraw();
  }
}

/** @param {Point} a @param {Point} b */
function distance(a, b) {
  return Math.hypot(a.x - b.x, a.y - b.y);
}

/** @param {Point} a @param {Point} b */
function middle(a, b) {
  return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
}
