/** What the user is told: a problem in words on the page, and news for screen readers. */

import { button, part } from "./elements.js";
import { Problem } from "./problem.js";

export class Notices {
  #box = part("notice");
  #title = part("notice-title");
  #detail = part("notice-detail");
  #code = part("notice-code");
  #announcer = part("announcer");

  constructor() {
    button("notice-close").addEventListener("click", () => this.clear());
  }

  /** @param {unknown} error of the service, or of the page itself */
  tell(error) {
    const problem = error instanceof Problem ? error : null;
    this.#title.textContent = problem?.title ?? "That did not work";
    this.#detail.textContent = error instanceof Error ? error.message : String(error);
    this.#code.textContent = problem ? problem.code : "";
    this.#box.hidden = false;
  }

  clear() {
    this.#box.hidden = true;
  }

  /** @param {string} news a short sentence */
  announce(news) {
    this.#announcer.textContent = news;
  }
}
