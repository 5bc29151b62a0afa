/** The buttons that choose a tool and change the mask, the brush's size, and what the mask covers. */

import { button, input, part } from "./elements.js";
import { download } from "./download.js";
import { readMask } from "./mask_file.js";
import { maskPng } from "./png.js";

/** @type {import("./editor.js").Tool[]} */
export const TOOLS = ["brush", "eraser", "rectangle", "lasso", "hand"];

export class ToolBar {
  #size = input("size");
  #sizeText = part("size-text");
  #coverage = part("coverage");

  /** @param {import("./editor.js").Editor} editor @param {import("./notices.js").Notices} notices */
  constructor(editor, notices) {
    this.editor = editor;
    this.notices = notices;
    for (const tool of TOOLS) button(`tool-${tool}`).addEventListener("click", () => editor.take(tool));
    button("undo").addEventListener("click", () => editor.undo());
    button("redo").addEventListener("click", () => editor.redo());
    button("invert").addEventListener("click", () => editor.invert());
    button("clear").addEventListener("click", () => editor.clear());
    this.#size.addEventListener("input", () => editor.resize(Number(this.#size.value)));
    this.#connectFiles();
    editor.addEventListener("change", () => this.#show());
    editor.addEventListener("mask", () => notices.announce(`The mask covers ${this.#covered()}.`));
    this.#show();
  }

  #connectFiles() {
    const chooser = input("mask-file");
    button("mask-upload").addEventListener("click", () => chooser.click());
    button("mask-download").addEventListener("click", () => this.saveMask());
    chooser.addEventListener("change", () => {
      const file = chooser.files?.[0];
      if (file) this.#loadMask(file);
      chooser.value = "";
    });
  }

  async saveMask() {
    const { mask, picture } = this.editor;
    if (mask && picture) download(await maskPng(mask), `${picture.stem}-mask.png`);
  }

  /** @param {File} file */
  async #loadMask(file) {
    const { picture } = this.editor;
    if (!picture) return;
    try {
      this.editor.replace(await readMask(file, file.name, picture.width, picture.height));
      this.notices.clear();
    } catch (error) {
      this.notices.tell(error);
    }
  }

  #show() {
    const { editor } = this;
    for (const tool of TOOLS) button(`tool-${tool}`).setAttribute("aria-pressed", String(tool === editor.tool));
    button("undo").disabled = !editor.canUndo;
    button("redo").disabled = !editor.canRedo;
    for (const id of ["invert", "clear", "mask-upload", "mask-download"]) button(id).disabled = !editor.mask;
    this.#size.max = String(editor.picture ? editor.largestSize : this.#size.max);
    this.#size.value = String(editor.size);
    this.#sizeText.textContent = `${editor.size} px`;
    this.#coverage.textContent = editor.mask ? this.#covered() : "–";
  }

  /** In per cent; what is a little is not told as nothing. */
  #covered() {
    const percent = (this.editor.mask?.coverage ?? 0) * 100;
    if (percent > 0 && percent < 0.1) return "less than 0.1 %";
    return `${percent.toFixed(percent === 0 || percent === 100 ? 0 : 1)} %`;
  }
}
