/** How a picture comes in: dropped, pasted, chosen, or the sample. */

import { button, input, part } from "./elements.js";
import { readMask } from "./mask_file.js";
import { openPicture } from "./picture.js";

const SAMPLE = { picture: "playground/sample.jpg", mask: "playground/sample-mask.png", name: "seabed.jpg" };

export class Opening {
  #isOpening = false;

  /** @param {import("./editor.js").Editor} editor @param {import("./notices.js").Notices} notices */
  constructor(editor, notices) {
    this.editor = editor;
    this.notices = notices;
    const chooser = input("picture-file");
    for (const id of ["open", "open-empty"]) button(id).addEventListener("click", () => chooser.click());
    for (const id of ["sample", "sample-empty"]) button(id).addEventListener("click", () => this.openSample());
    chooser.addEventListener("change", () => {
      this.#openFirst(chooser.files);
      chooser.value = ""; // so that the same file can be chosen again
    });
    document.addEventListener("paste", (event) => this.#paste(event));
    this.#listenToDrops();
  }

  /** @param {Blob} file @param {string} name */
  async open(file, name) {
    if (this.#isOpening) return;
    this.#isOpening = true;
    part("stage").classList.add("opening");
    try {
      const picture = await openPicture(file, name);
      this.editor.open(picture);
      this.notices.clear();
      this.notices.announce(`${name} is open, ${picture.width} by ${picture.height} pixels.`);
    } catch (error) {
      this.notices.tell(error);
    } finally {
      this.#isOpening = false;
      part("stage").classList.remove("opening");
    }
  }

  async openSample() {
    try {
      const [picture, mask] = await Promise.all([SAMPLE.picture, SAMPLE.mask].map(fetched));
      await this.open(picture, SAMPLE.name);
      const { width = 0, height = 0 } = this.editor.picture ?? {};
      this.editor.replace(await readMask(mask, SAMPLE.mask, width, height));
    } catch (error) {
      this.notices.tell(error);
    }
  }

  /** @param {FileList | null | undefined} files */
  #openFirst(files) {
    const file = [...(files ?? [])].find(({ type }) => type.startsWith("image/")) ?? files?.[0];
    if (file) this.open(file, file.name);
  }

  /** @param {ClipboardEvent} event */
  #paste(event) {
    if (!event.clipboardData?.files.length) return; // text, for a field
    event.preventDefault();
    this.#openFirst(event.clipboardData.files);
  }

  #listenToDrops() {
    const stage = part("stage");
    /** @param {DragEvent} event @param {boolean} isOver */
    const show = (event, isOver) => {
      event.preventDefault(); // a browser would leave the page for the file
      stage.classList.toggle("dropping", isOver);
    };
    document.addEventListener("dragover", (event) => show(event, true));
    document.addEventListener("dragleave", (event) => show(event, event.relatedTarget !== null));
    document.addEventListener("drop", (event) => {
      show(event, false);
      this.#openFirst(event.dataTransfer?.files);
    });
  }
}

/** @param {string} path @returns {Promise<Blob>} */
async function fetched(path) {
  const response = await fetch(new URL(path, document.baseURI));
  if (!response.ok) throw new Error("The sample picture can't be loaded. Load the page again.");
  return response.blob();
}
