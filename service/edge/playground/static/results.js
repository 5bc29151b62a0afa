/** The filled pictures: which one is looked at, saved, or worked on further. */

import { button, part } from "./elements.js";
import { download, suffixOf } from "./download.js";
import { openPicture } from "./picture.js";

/** @typedef {import("./service.js").Answer} Answer */

export class Results {
  /** @type {{answer: Answer, bitmap: ImageBitmap, url: string}[]} */
  #filled = [];
  #chosen = 0;
  #box = part("results");
  #strip = part("candidates");
  #facts = part("facts");

  /**
   * @param {import("./stage.js").Stage} stage @param {import("./opening.js").Opening} opening
   * @param {import("./notices.js").Notices} notices
   */
  constructor(stage, opening, notices) {
    this.stage = stage;
    this.opening = opening;
    this.notices = notices;
    button("show-mask").addEventListener("click", () => this.show("mask"));
    button("show-compare").addEventListener("click", () => this.show("compare"));
    button("result-download").addEventListener("click", () => this.save());
    button("result-edit").addEventListener("click", () => this.#editFurther());
    stage.editor.addEventListener("picture", () => this.#forget());
  }

  get isThere() {
    return this.#filled.length > 0;
  }

  /** Whether the mask is seen, to be changed. */
  get showsMask() {
    return this.stage.mode === "mask";
  }

  /** @param {Answer[]} answers one or more @param {number} seconds that they took */
  async take(answers, seconds) {
    const { picture } = this.stage.editor;
    if (!picture) return;
    const opened = await Promise.all(answers.map(({ file }) => openPicture(file, picture.name)));
    this.#forget();
    this.#filled = answers.map((answer, index) => ({
      answer,
      bitmap: opened[index].bitmap,
      url: URL.createObjectURL(answer.file),
    }));
    this.#strip.replaceChildren(...(answers.length > 1 ? this.#filled.map((_, index) => this.#thumbnail(index)) : []));
    this.#box.hidden = false;
    this.#choose(0);
    part("took").textContent = `${seconds.toFixed(1)} s`;
    this.show("compare");
  }

  /** @param {"mask" | "compare"} mode */
  show(mode) {
    this.stage.mode = this.isThere ? mode : "mask";
    part("views").hidden = !this.isThere;
    button("show-mask").setAttribute("aria-pressed", String(this.stage.mode === "mask"));
    button("show-compare").setAttribute("aria-pressed", String(this.stage.mode === "compare"));
    part("stage").classList.toggle("comparing", this.stage.mode === "compare");
    this.stage.redraw();
  }

  save() {
    const { answer } = this.#filled[this.#chosen];
    const stem = this.stage.editor.picture?.stem ?? "picture";
    const number = this.#filled.length > 1 ? `-${this.#chosen + 1}` : "";
    download(answer.file, `${stem}-filled${number}.${suffixOf(answer.file)}`);
  }

  #editFurther() {
    const { answer } = this.#filled[this.#chosen];
    const stem = this.stage.editor.picture?.stem ?? "picture";
    this.opening.open(answer.file, `${stem.replace(/-filled$/, "")}-filled.${suffixOf(answer.file)}`);
  }

  /** @param {number} index */
  #thumbnail(index) {
    const choice = document.createElement("button");
    choice.type = "button";
    choice.className = "candidate";
    const image = new Image();
    image.src = this.#filled[index].url;
    image.alt = `Candidate ${index + 1} of ${this.#filled.length}`;
    choice.append(image);
    choice.addEventListener("click", () => {
      this.#choose(index);
      this.show("compare");
    });
    return choice;
  }

  /** @param {number} index */
  #choose(index) {
    const { answer, bitmap } = this.#filled[index];
    this.#chosen = index;
    this.stage.after = bitmap;
    [...this.#strip.children].forEach((each, at) => each.setAttribute("aria-pressed", String(at === index)));
    this.#facts.textContent = `Seed ${answer.seed}, ${answer.model}`;
    part("notes").textContent = answer.notes;
    this.stage.redraw();
  }

  #forget() {
    for (const { bitmap, url } of this.#filled) {
      bitmap.close();
      URL.revokeObjectURL(url);
    }
    this.#filled = [];
    this.stage.after = null;
    this.#box.hidden = true;
    this.show("mask");
  }
}
