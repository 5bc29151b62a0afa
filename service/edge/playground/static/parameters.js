/** The form with the parameters: what is sent, and what the chosen model leaves open. */

import { button, element, input } from "./elements.js";

/** @typedef {import("./service.js").Model} Model */

const LARGEST_SEED = 2 ** 32 - 1;
const OF_THE_MODEL = ["steps", "guidance_scale", "sampler"]; // a few-step model takes none but its own

export class Parameters {
  #form = element("parameters", HTMLFormElement);
  #model = element("model", HTMLSelectElement);
  #seed = input("seed");
  #lock = button("seed-lock");
  /** @type {Model[]} */
  #models = [];

  constructor() {
    this.#lock.addEventListener("click", () => this.#setLock(!this.seedIsLocked));
    this.#seed.addEventListener("input", () => this.#setLock(this.#seed.value !== ""));
    this.#model.addEventListener("change", () => this.#showModel());
    this.#form.addEventListener("submit", (event) => event.preventDefault());
    button("defaults").addEventListener("click", () => this.reset());
  }

  get seedIsLocked() {
    return this.#lock.getAttribute("aria-pressed") === "true";
  }

  /** How many pictures are asked for. */
  get candidates() {
    return Number(this.fields().get("n") ?? 1);
  }

  /** Whether every field is in its range; if not, the browser tells the user which is not. */
  check() {
    const wrong = this.#controls().find((control) => !control.checkValidity());
    wrong?.closest("details")?.setAttribute("open", "");
    return this.#form.reportValidity();
  }

  /** What is not left to the service, by the interface's names. @returns {Map<string, string>} */
  fields() {
    const fields = new Map();
    for (const control of this.#controls()) {
      const value = valueOf(control);
      const isLeft = control.disabled || value === "" || value === (control.dataset.default ?? "");
      if (!isLeft && (control !== this.#seed || this.seedIsLocked)) fields.set(control.name, value);
    }
    return fields;
  }

  /** @param {Model[]} models the default first */
  offer(models) {
    const chosen = this.#model.value;
    this.#models = models;
    this.#model.replaceChildren(...models.map(({ name }) => new Option(name, name)));
    if (models.some(({ name }) => name === chosen)) this.#model.value = chosen;
    this.#model.dataset.default = models[0]?.name ?? "";
    this.#showModel();
  }

  /** @param {number} seed that was used; it stays in the field, to be locked */
  showSeed(seed) {
    this.#seed.value = String(seed);
  }

  reset() {
    this.#form.reset();
    this.#setLock(false);
    this.#showModel();
  }

  /** @param {boolean} isLocked */
  #setLock(isLocked) {
    if (isLocked && this.#seed.value === "") {
      const most = LARGEST_SEED - Number(this.fields().get("n") ?? 1) + 1;
      this.#seed.value = String(Math.floor(Math.random() * most));
    }
    this.#lock.setAttribute("aria-pressed", String(isLocked));
  }

  #showModel() {
    const model = this.#models.find(({ name }) => name === this.#model.value);
    const isFixed = Boolean(model?.allowed_steps);
    element("model-note", HTMLElement).textContent =
      model && isFixed ? `Made for ${model.default_steps} steps; steps, guidance and sampler are its own.` : "";
    for (const control of this.#controls()) {
      if (OF_THE_MODEL.includes(control.name)) control.disabled = isFixed;
    }
    if (model) {
      input("steps").placeholder = String(model.default_steps);
      input("guidance_scale").placeholder = String(model.guidance_scale);
    }
  }

  /** @returns {(HTMLInputElement | HTMLSelectElement)[]} */
  #controls() {
    const named = [];
    for (const control of this.#form.elements) {
      if ((control instanceof HTMLInputElement || control instanceof HTMLSelectElement) && control.name) {
        named.push(control);
      }
    }
    return named;
  }
}

/** @param {HTMLInputElement | HTMLSelectElement} control */
function valueOf(control) {
  const isBox = control instanceof HTMLInputElement && control.type === "checkbox";
  if (!isBox) return control.value.trim();
  return control.checked ? (control.dataset.on ?? "true") : (control.dataset.off ?? "false");
}
