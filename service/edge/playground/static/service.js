/** The service's public interface, as far as the page uses it. Addresses are relative to where the page is. */

import { readEvents } from "./event_stream.js";
import { Problem, problemOf, unreachable } from "./problem.js";

/**
 * @typedef {{name: string, default_steps: number, allowed_steps: number[] | null, guidance_scale: number}} Model
 * @typedef {{self: string, result: string, events: string}} Links
 * @typedef {{id: string, status: string, model: string, links: Links,
 *   failure: import("./problem.js").ProblemDocument | null}} Job
 * @typedef {{candidate: number, content_type: string, data: string}} Preview
 * @typedef {{kind: string, position: number | null, step: number, steps: number,
 *   failure: import("./problem.js").ProblemDocument | null, preview?: Preview | null}} JobEvent
 * @typedef {{file: Blob, seed: number, model: string, notes: string}} Answer
 */

export const ENDS = ["succeeded", "failed", "cancelled", "expired", "dead_lettered"];
const MOST_RETURNS = 6; // to a stream that broke off, without any news in between
const FIRST_PAUSE = 500; // milliseconds before the first of them; each next one is twice as long

export class Service {
  /** The bearer key, if the service asks for one. Kept by the page alone, and forgotten with it. */
  key = "";

  /** @returns {Promise<Model[]>} the default first */
  async models() {
    const { models } = await (await this.#ask("v1/models")).json();
    return models;
  }

  /** @param {FormData} form @returns {Promise<Job>} just queued */
  async submit(form) {
    return (await this.#ask("v1/jobs", { method: "POST", body: form })).json();
  }

  /** @param {Job} job @returns {Promise<Job>} where it stands now */
  async look(job) {
    return (await this.#ask(job.links.self)).json();
  }

  /** @param {Job} job @returns {Promise<Job>} */
  async cancel(job) {
    return (await this.#ask(job.links.self, { method: "DELETE" })).json();
  }

  /** Cancels without waiting for an answer: the page is being left. @param {Job} job */
  abandon(job) {
    this.#ask(job.links.self, { method: "DELETE", keepalive: true }).catch(() => undefined);
  }

  /** @param {Job} job @param {number} candidate from 0 @returns {Promise<Answer>} */
  async result(job, candidate) {
    const response = await this.#ask(`${job.links.result}?candidate=${candidate}`, { headers: { Accept: "image/*" } });
    const { headers } = response;
    return {
      file: await response.blob(),
      seed: Number(headers.get("X-Seed")),
      model: headers.get("X-Model") ?? "",
      notes: headers.get("X-Notes") ?? "",
    };
  }

  /**
   * A job's events to its terminal one, also across connections that break off.
   * @param {Job} job @returns {AsyncGenerator<JobEvent, void, void>}
   */
  async *watch(job) {
    let last = "";
    for (let returns = 0; returns <= MOST_RETURNS; returns += 1) {
      if (returns > 0) await pause(FIRST_PAUSE * 2 ** (returns - 1));
      try {
        for await (const { kind, id, data } of this.#events(job, last)) {
          if (kind === "problem") throw new Problem(JSON.parse(data));
          last = id || last;
          returns = 0;
          yield JSON.parse(data);
          if (ENDS.includes(kind)) return;
        }
      } catch (error) {
        if (!mayPass(error)) throw error;
      }
    }
    throw unreachable();
  }

  /** @param {Job} job @param {string} last the id of the last event seen */
  async *#events(job, last) {
    /** @type {Record<string, string>} */
    const headers = last ? { "Last-Event-ID": last } : {};
    const response = await this.#ask(job.links.events, { headers });
    if (response.body) yield* readEvents(response.body);
  }

  /**
   * @param {string} path @param {RequestInit & {headers?: Record<string, string>}} [options]
   * @returns {Promise<Response>} a Problem if it is no success
   */
  async #ask(path, options = {}) {
    const url = new URL(path.replace(/^\//, ""), document.baseURI);
    const headers = { ...options.headers, ...(this.key ? { Authorization: `Bearer ${this.key}` } : {}) };
    const response = await fetch(url, { ...options, headers, cache: "no-store" }).catch(() => {
      throw unreachable();
    });
    if (!response.ok) throw await problemOf(response);
    return response;
  }
}

/** Whether to come back to a stream that ended this way: a cut connection, an edge that starts again. @param {unknown} error */
function mayPass(error) {
  return !(error instanceof Problem) || error.status === 0 || error.status >= 500;
}

/** @param {number} milliseconds */
function pause(milliseconds) {
  return new Promise((resume) => setTimeout(resume, milliseconds));
}
