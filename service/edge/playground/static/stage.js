/** Draws what is seen: picture, mask, brush, previews, and the filled picture beside the one before. */

import { OPAQUE, Overlay, TINT } from "./overlay.js";

/** @typedef {import("./shapes.js").Point} Point */

const MOST_RATIO = 2; // device pixels of a CSS pixel; more can't be told apart, and take long
const CROSSHAIR = 9; // CSS pixels
const CHECKER = 8;

export class Stage {
  /** @type {"mask" | "compare"} */
  mode = "mask";
  /** @type {ImageBitmap | null} the filled picture */
  after = null;
  /** @type {ImageBitmap | null} what the hole looks like so far */
  preview = null;
  /** Where the divider stands in what is seen of the picture, 0 to 1. */
  divider = 0.5;
  /** @type {Point | null} where the pointer is, on the stage */
  hover = null;
  /** @type {Point | null} where the keyboard's cursor is, in the picture */
  cursor = null;
  /** Called after each drawing, for what lies over the canvas. */
  onDraw = () => {};

  #overlay = new Overlay();
  #asked = false;
  #checker;

  /**
   * @param {HTMLCanvasElement} canvas @param {import("./view.js").View} view @param {import("./editor.js").Editor} editor
   */
  constructor(canvas, view, editor) {
    const context = canvas.getContext("2d");
    if (!context) throw new Error("This browser gives the page no canvas to draw on.");
    this.canvas = canvas;
    this.context = context;
    this.view = view;
    this.editor = editor;
    this.#checker = checkered(context);
    new ResizeObserver(() => this.#resize()).observe(canvas);
    editor.addEventListener("change", () => this.redraw());
  }

  /** Draws before the next frame. */
  redraw() {
    if (this.#asked) return;
    this.#asked = true;
    requestAnimationFrame(() => {
      this.#asked = false;
      this.#draw();
      this.onDraw();
    });
  }

  /** What is seen of the picture: left, right, top and bottom on the stage. */
  get visible() {
    const { left, top, width, height } = this.view.box;
    const { stage } = this.view;
    return {
      left: Math.max(0, left),
      right: Math.min(stage.width, left + width),
      top: Math.max(0, top),
      bottom: Math.min(stage.height, top + height),
    };
  }

  /** Where the divider stands on the stage. */
  get dividerAt() {
    const { left, right } = this.visible;
    return left + this.divider * (right - left);
  }

  get #ratio() {
    return Math.min(MOST_RATIO, devicePixelRatio);
  }

  #resize() {
    const { width, height } = this.canvas.getBoundingClientRect();
    this.view.resize(width, height);
    this.canvas.width = Math.round(width * this.#ratio);
    this.canvas.height = Math.round(height * this.#ratio);
    this.#draw(); // at once: a canvas of another size is empty
    this.onDraw();
  }

  #draw() {
    const { context, editor } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (!editor.picture || !editor.mask) return;
    context.scale(this.#ratio, this.#ratio);
    this.#drawPicture(editor.picture.bitmap);
    if (this.mode === "compare" && this.after) {
      this.#drawAfter(this.after);
    } else {
      this.#drawMask(editor.mask);
      this.#drawOutline(editor.outline);
      this.#drawBrush();
    }
  }

  /** @param {ImageBitmap} bitmap */
  #drawPicture(bitmap) {
    const { left, top, width, height } = this.view.box;
    this.context.fillStyle = this.#checker;
    this.context.fillRect(left, top, width, height);
    this.context.imageSmoothingEnabled = this.view.scale < 3;
    this.context.imageSmoothingQuality = "high";
    this.context.drawImage(bitmap, left, top, width, height);
  }

  /** @param {ImageBitmap} after */
  #drawAfter(after) {
    const { top, bottom, right } = this.visible;
    this.context.save();
    this.context.beginPath();
    this.context.rect(this.dividerAt, top, right - this.dividerAt, bottom - top);
    this.context.clip();
    this.#drawPicture(after);
    this.context.restore();
  }

  /** @param {import("./mask.js").Mask} mask */
  #drawMask(mask) {
    this.#overlay.render(mask, this.view, this.#ratio, this.preview ? OPAQUE : TINT);
    if (this.preview) this.#fillWith(this.preview);
    const { width, height } = this.#overlay.canvas;
    this.context.drawImage(this.#overlay.canvas, 0, 0, width / this.#ratio, height / this.#ratio);
  }

  /** The hole of the overlay shows the preview. @param {ImageBitmap} preview */
  #fillWith(preview) {
    const { left, top, width, height } = this.view.box;
    const { context } = this.#overlay;
    context.save();
    context.scale(this.#ratio, this.#ratio);
    context.globalCompositeOperation = "source-in";
    context.drawImage(preview, left, top, width, height);
    context.restore();
  }

  /** @param {Point[]} outline in pixels of the picture */
  #drawOutline(outline) {
    if (outline.length < 2) return;
    this.context.beginPath();
    for (const point of outline) {
      const { x, y } = this.view.toStage(point);
      this.context.lineTo(x, y);
    }
    this.context.closePath();
    this.#stroke();
  }

  #drawBrush() {
    const at = this.cursor ? this.view.toStage(this.cursor) : this.hover;
    if (!at || this.preview) return;
    this.context.beginPath();
    if (this.editor.tool === "brush" || this.editor.tool === "eraser") {
      this.context.arc(at.x, at.y, Math.max(2, (this.editor.size / 2) * this.view.scale), 0, 2 * Math.PI);
    }
    if (this.cursor) {
      this.context.moveTo(at.x - CROSSHAIR, at.y);
      this.context.lineTo(at.x + CROSSHAIR, at.y);
      this.context.moveTo(at.x, at.y - CROSSHAIR);
      this.context.lineTo(at.x, at.y + CROSSHAIR);
    }
    this.#stroke();
  }

  /** Dark under light: seen on any picture. */
  #stroke() {
    this.context.lineJoin = "round";
    this.context.lineWidth = 3;
    this.context.strokeStyle = "rgb(0 0 0 / 55%)";
    this.context.stroke();
    this.context.lineWidth = 1.5;
    this.context.strokeStyle = "white";
    this.context.stroke();
  }
}

/** What shows through transparent pixels. @param {CanvasRenderingContext2D} context */
function checkered(context) {
  const tile = new OffscreenCanvas(2 * CHECKER, 2 * CHECKER);
  const pen = tile.getContext("2d");
  if (pen) {
    pen.fillStyle = "#ffffff";
    pen.fillRect(0, 0, 2 * CHECKER, 2 * CHECKER);
    pen.fillStyle = "#d5d5d2";
    pen.fillRect(0, 0, CHECKER, CHECKER);
    pen.fillRect(CHECKER, CHECKER, CHECKER, CHECKER);
  }
  return context.createPattern(tile, "repeat") ?? "#ffffff";
}
