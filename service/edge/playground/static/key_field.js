/** The field for the bearer key, shown where the service asks for one. */

import { element, input, part } from "./elements.js";

export class KeyField {
  #box = part("key-box");
  #key = input("key");

  /** @param {import("./service.js").Service} service @param {() => void} onKey called with a new key in place */
  constructor(service, onKey) {
    element("key-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      service.key = this.#key.value.trim();
      onKey();
    });
  }

  ask() {
    this.#box.hidden = false;
    this.#key.focus();
  }
}
