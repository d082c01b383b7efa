/**
 * Jobs that were created elsewhere while somebody reads the list. They wait behind a button, so that nothing moves.
 * @module
 */

import { byId, setText } from "./dom.js";

/** @typedef {import("./jobs.js").Job} Job */

export class Newcomers {
  /** @type {Map<string, Job>} */
  #waiting = new Map();
  #pill = byId("newcomers");

  /** @param {(jobs: Job[]) => void} letIn */
  constructor(letIn) {
    this.#pill.addEventListener("click", () => {
      const jobs = [...this.#waiting.values()];
      this.clear();
      letIn(jobs);
    });
  }

  /** @param {Job} job */
  add(job) {
    this.#waiting.set(job.id, job);
    this.#show();
  }

  /** @param {string} id */
  forget(id) {
    if (this.#waiting.delete(id)) this.#show();
  }

  clear() {
    this.#waiting.clear();
    this.#show();
  }

  #show() {
    const { size } = this.#waiting;
    this.#pill.hidden = size === 0;
    setText(this.#pill, size ? `${size} new` : "");
  }
}
