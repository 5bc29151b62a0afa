/** Drawing without a pointer: arrows move a cursor over the picture, Enter puts the tool down and lifts it. */

const STEP = 12; // CSS pixels; with Shift a pixel of the picture
/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class KeyboardCursor {
  /** @param {import("./stage.js").Stage} stage @param {() => boolean} mayDraw @param {(news: string) => void} announce */
  constructor(stage, mayDraw, announce) {
    this.stage = stage;
    this.editor = stage.editor;
    this.mayDraw = mayDraw;
    this.announce = announce;
    stage.canvas.addEventListener("keydown", (event) => this.#press(event));
    stage.canvas.addEventListener("blur", () => this.#hide());
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    const { picture } = this.editor;
    if (!picture || event.ctrlKey || event.metaKey || event.altKey) return;
    const arrow = ARROWS[event.key];
    if (!arrow && event.key !== "Enter") return;
    event.preventDefault();
    if (!this.mayDraw() || this.editor.tool === "hand") {
      if (arrow) this.stage.view.pan(-arrow[0] * STEP * 3, -arrow[1] * STEP * 3);
    } else if (arrow) {
      this.#move(arrow, event.shiftKey ? 1 : STEP / this.stage.view.scale);
    } else {
      this.#toggle();
    }
    this.stage.redraw();
  }

  /** @param {[number, number]} direction @param {number} step in pixels of the picture */
  #move([right, down], step) {
    const { width, height } = this.#picture;
    const { x, y } = this.#shown;
    const point = {
      x: Math.min(width, Math.max(0, x + right * step)),
      y: Math.min(height, Math.max(0, y + down * step)),
    };
    this.stage.cursor = point;
    this.editor.move(point);
  }

  #toggle() {
    const point = this.#shown;
    this.stage.cursor = point;
    if (this.editor.isDrawing) {
      this.editor.end();
      return;
    }
    this.editor.begin(point);
    this.announce(`${this.editor.tool} down. Move with the arrows, lift it with Enter.`);
  }

  /** Where the cursor is: in the middle at first. */
  get #shown() {
    const { width, height } = this.#picture;
    return this.stage.cursor ?? { x: width / 2, y: height / 2 };
  }

  get #picture() {
    return this.editor.picture ?? { width: 0, height: 0 };
  }

  #hide() {
    if (!this.stage.cursor) return;
    if (this.editor.isDrawing) this.editor.end();
    this.stage.cursor = null;
    this.stage.redraw();
  }
}
