/** Shows a run as code, to be copied; the files that the code reads can be saved from here. */

import { button, element, part } from "./elements.js";
import { suffixOf } from "./download.js";
import { curlCommand, pythonProgram } from "./snippets.js";

export class CopyDialog {
  #dialog = element("code-dialog", HTMLDialogElement);
  #code = element("code", HTMLTextAreaElement);
  #done = part("code-done");

  /**
   * @param {import("./editor.js").Editor} editor @param {import("./parameters.js").Parameters} parameters
   * @param {import("./service.js").Service} service @param {() => void} saveMask
   */
  constructor(editor, parameters, service, saveMask) {
    this.editor = editor;
    this.parameters = parameters;
    this.service = service;
    button("copy-curl").addEventListener("click", () => this.#open("The same as a curl command", curlCommand));
    button("copy-python").addEventListener("click", () => this.#open("The same in Python", pythonProgram));
    button("code-copy").addEventListener("click", () => this.#copy());
    button("code-mask").addEventListener("click", saveMask);
    button("code-close").addEventListener("click", () => this.#dialog.close());
  }

  /** @param {string} title @param {(recipe: import("./snippets.js").Recipe) => string} write */
  #open(title, write) {
    part("code-title").textContent = title;
    this.#done.textContent = "";
    this.#code.value = write(this.#recipe());
    this.#code.rows = Math.min(20, this.#code.value.split("\n").length);
    this.#dialog.showModal();
  }

  /** @returns {import("./snippets.js").Recipe} */
  #recipe() {
    const { picture } = this.editor;
    const fields = new Map(this.parameters.fields());
    fields.delete("preview"); // for who watches
    const stem = picture?.stem ?? "photo";
    const suffix = { jpeg: "jpg", png: "png", webp: "webp" }[fields.get("output_format") ?? ""];
    return {
      origin: new URL(".", document.baseURI).href.replace(/\/$/, ""),
      image: picture?.name ?? "photo.jpg",
      mask: `${stem}-mask.png`,
      output: `${stem}-filled.${suffix ?? (picture ? suffixOf(picture.file) : "jpg")}`,
      fields,
      needsKey: this.service.key !== "",
    };
  }

  async #copy() {
    this.#code.select();
    try {
      await navigator.clipboard.writeText(this.#code.value);
      this.#done.textContent = "Copied.";
    } catch {
      // Pages that came without TLS, or were denied it, have no clipboard.
      this.#done.textContent = "This browser does not let the page copy: the text is selected, press Ctrl + C.";
    }
  }
}
