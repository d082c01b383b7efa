/**
 * The tab's title: the progress of a job and, if the tab is hidden, how the job ended.
 * @module
 */

import { isLive } from "./words.js";

/** @typedef {import("./jobs.js").Job} Job */

const NAME = document.title;
const TICK = 2000; // milliseconds

export class Tab {
  #ready = 0;
  #failed = 0;
  #jobs;

  /** @param {import("./jobs.js").Jobs} jobs */
  constructor(jobs) {
    this.#jobs = jobs;
    jobs.addEventListener("change", (/** @type {any} */ event) => this.#change(event.job, event.before));
    document.addEventListener("visibilitychange", () => document.hidden || this.#seen());
    setInterval(() => this.#show(), TICK);
  }

  /** @param {Job} job @param {Job} before */
  #change(job, before) {
    if (document.hidden && isLive(before) && !isLive(job)) {
      if (job.status === "succeeded") this.#ready += 1;
      else this.#failed += 1;
    }
    this.#show();
  }

  #seen() {
    this.#ready = this.#failed = 0;
    this.#show();
  }

  #show() {
    const parts = [];
    if (this.#ready) parts.push(`✓ ${this.#ready} ready`);
    if (this.#failed) parts.push(`✕ ${this.#failed} failed`);
    const percents = parts.length ? [] : this.#jobs.all.flatMap((job) => (isLive(job) && job.progress !== null ? [job.progress] : []));
    if (percents.length) parts.push(`${Math.max(...percents)}%`);
    const title = [...parts, NAME].join(" · ");
    if (document.title !== title) document.title = title;
  }
}
