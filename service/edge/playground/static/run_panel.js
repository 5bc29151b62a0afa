/** Run and Cancel: what is sent, how far it is, and what comes of it. */

import { button, element, part } from "./elements.js";
import { Problem } from "./problem.js";
import { maskPng } from "./png.js";
import { Run } from "./run.js";

/** @typedef {import("./service.js").JobEvent} JobEvent */

export class RunPanel {
  /** @type {Run | null} */
  #run = null;
  #start = button("run");
  #cancel = button("cancel");
  #progress = element("progress", HTMLProgressElement);
  #text = part("progress-text");

  /**
   * @param {import("./service.js").Service} service @param {import("./stage.js").Stage} stage
   * @param {import("./parameters.js").Parameters} parameters @param {import("./results.js").Results} results
   * @param {import("./notices.js").Notices} notices
   */
  constructor(service, stage, parameters, results, notices) {
    this.service = service;
    this.stage = stage;
    this.parameters = parameters;
    this.results = results;
    this.notices = notices;
    /** Called where the service asks for a key. */
    this.onKeyNeeded = () => {};
    this.#start.addEventListener("click", () => this.start());
    this.#cancel.addEventListener("click", () => this.cancel());
    window.addEventListener("pagehide", () => this.#run?.abandon());
    stage.editor.addEventListener("picture", () => this.cancel()); // what runs is of another picture
  }

  get isRunning() {
    return this.#run !== null;
  }

  async start() {
    const { picture, mask } = this.stage.editor;
    if (this.#run || !this.#isReady()) return;
    if (!picture || !mask || !this.parameters.check()) return;
    const run = new Run(this.service, (event) => this.#show(event));
    this.#run = run;
    this.#begin();
    try {
      const began = performance.now();
      const form = new FormData();
      form.set("image", picture.file, picture.name);
      form.set("mask", await maskPng(mask), "mask.png");
      for (const [name, value] of this.parameters.fields()) form.set(name, value);
      const answers = await run.finish(form, this.parameters.candidates);
      if (run.isCancelled) this.notices.announce("Cancelled.");
      else await this.#succeed(answers, (performance.now() - began) / 1000);
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#run = null;
      this.#end();
    }
  }

  async cancel() {
    if (!this.#run || this.#run.isCancelled) return;
    this.#text.textContent = "Cancelling…";
    this.#cancel.disabled = true;
    try {
      await this.#run.cancel();
    } catch (error) {
      this.notices.tell(error);
    }
  }

  /** Whether there is something to run; if not, the user is told what to do. */
  #isReady() {
    const { picture, mask } = this.stage.editor;
    if (picture && mask && mask.count > 0) return true;
    this.notices.tell(
      new Error(picture ? "Mark what shall go first: draw over it with the brush." : "Open a picture first."),
    );
    return false;
  }

  #begin() {
    this.notices.clear();
    this.results.show("mask");
    this.#start.hidden = true;
    this.#cancel.hidden = false;
    this.#cancel.disabled = false;
    this.#cancel.focus();
    part("running").hidden = false;
    part("stage").classList.add("running");
    part("toolbar").inert = true;
    this.#progress.removeAttribute("value"); // how far it is can't be known yet
    this.#text.textContent = "Sending…";
    this.notices.announce("Sending.");
  }

  #end() {
    const hadFocus = document.activeElement === this.#cancel;
    this.#start.hidden = false;
    this.#cancel.hidden = true;
    if (hadFocus) this.#start.focus();
    part("running").hidden = true;
    part("stage").classList.remove("running", "previewing");
    part("toolbar").inert = false;
    this.stage.preview?.close();
    this.stage.preview = null;
    this.stage.redraw();
  }

  /** @param {JobEvent} event */
  #show(event) {
    if (this.#run?.isCancelled) return;
    if (event.kind === "queued" || (event.kind === "snapshot" && event.position !== null)) {
      this.#text.textContent = waiting(event.position);
    } else if (event.steps > 0) {
      this.#progress.max = event.steps;
      this.#progress.value = event.step;
      this.#text.textContent =
        event.step < event.steps ? `Step ${event.step} of ${event.steps}` : "All steps done, finishing…";
      this.#announceQuarters(event);
    } else if (event.kind === "running") {
      this.#text.textContent = "Preparing…";
    }
    if (event.preview) this.#preview(event.preview);
  }

  /** @param {JobEvent} event */
  #announceQuarters({ step, steps }) {
    if (step > 0 && (step * 4) % steps === 0) this.notices.announce(`Step ${step} of ${steps}.`);
  }

  /** @param {import("./service.js").Preview} preview */
  async #preview(preview) {
    const run = this.#run;
    const bytes = Uint8Array.from(atob(preview.data), (letter) => letter.charCodeAt(0));
    const bitmap = await createImageBitmap(new Blob([bytes], { type: preview.content_type }));
    if (run !== this.#run || !run) {
      bitmap.close(); // it came too late
      return;
    }
    this.stage.preview?.close();
    this.stage.preview = bitmap;
    part("stage").classList.add("previewing");
    this.stage.redraw();
  }

  /** @param {import("./service.js").Answer[]} answers @param {number} seconds */
  async #succeed(answers, seconds) {
    this.parameters.showSeed(answers[0].seed);
    await this.results.take(answers, seconds);
    this.notices.announce(`Done after ${Math.round(seconds)} seconds. Compare before and after with the divider.`);
  }

  /** @param {unknown} error */
  #fail(error) {
    this.notices.tell(error);
    if (error instanceof Problem && error.asksForKey) this.onKeyNeeded();
  }
}

/** @param {number | null} position */
function waiting(position) {
  if (!position) return "Waiting for a worker…";
  return position === 1 ? "Waiting: one job before this one" : `Waiting: ${position} jobs before this one`;
}
