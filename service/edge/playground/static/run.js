/** One run: the picture and the mask become a job, which is watched to its end, and its pictures are fetched. */

import { Problem } from "./problem.js";

/** @typedef {import("./service.js").Job} Job */
/** @typedef {import("./service.js").JobEvent} JobEvent */
/** @typedef {import("./service.js").Answer} Answer */

export class Run {
  /** @type {Job | null} */
  #job = null;
  #isCancelled = false;
  #hasEnded = false;

  /** @param {import("./service.js").Service} service @param {(event: JobEvent) => void} onEvent */
  constructor(service, onEvent) {
    this.service = service;
    this.onEvent = onEvent;
  }

  get isCancelled() {
    return this.#isCancelled;
  }

  /**
   * @param {FormData} form @param {number} candidates
   * @returns {Promise<Answer[]>} one a candidate, none if it was cancelled; a Problem if it failed
   */
  async finish(form, candidates) {
    try {
      const job = await this.service.submit(form);
      this.#job = job;
      if (this.#isCancelled) await this.service.cancel(job);
      const end = await this.#watched(job);
      if (end === "cancelled") return [];
      return await Promise.all(Array.from({ length: candidates }, (_, index) => this.service.result(job, index)));
    } finally {
      this.#hasEnded = true;
    }
  }

  /** The job stops at its next step; one that is still being sent is cancelled as soon as the service has it. */
  async cancel() {
    this.#isCancelled = true;
    if (this.#job) await this.service.cancel(this.#job);
  }

  /** The page is being left: nobody will look at the picture. */
  abandon() {
    if (this.#job && !this.#hasEnded) this.service.abandon(this.#job);
  }

  /** @param {Job} job @returns {Promise<string>} how it ended: succeeded or cancelled */
  async #watched(job) {
    for await (const event of this.service.watch(job)) {
      this.onEvent(event);
      if (event.failure && event.kind !== "cancelled") throw new Problem(event.failure);
      if (event.kind === "cancelled") return event.kind;
    }
    return "succeeded";
  }
}
