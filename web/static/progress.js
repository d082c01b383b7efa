/**
 * A job's progress between two polls. It moves from the last known value towards the expected end, never back, and
 * reaches 100 % only when the job is done.
 * @module
 */

import { isLive, roughly } from "./words.js";

/** @typedef {import("./jobs.js").Job} Job */

const MOST = 98; // percent that an estimate may show
const UNKNOWN = 1500; // milliseconds after which a job without progress is shown only as running

/** The progress of one job. */
export class Progress {
  #shown = 0;
  #from = 0;
  #seenAt = 0;
  /** @type {number|null} */
  #expectedAt = null;
  #known = false;

  /** Takes the result of a poll. @param {Job} job @param {number} now */
  note(job, now) {
    const expected = job.expected_at ? Date.parse(job.expected_at) : null;
    if (job.progress !== null && job.progress > this.#shown) this.#shown = job.progress;
    this.#known = job.progress !== null || expected !== null;
    this.#from = this.#shown;
    this.#seenAt = now;
    this.#expectedAt = ["fetching", "pending_download"].includes(job.status) ? null : expected;
    if (!isLive(job)) this.#shown = job.status === "succeeded" ? 100 : this.#shown;
  }

  /** Percent to show now; null if not known. @param {number} now */
  at(now) {
    if (!this.#known) return null;
    if (this.#expectedAt !== null && this.#from < MOST) {
      const whole = Math.max(this.#expectedAt - this.#seenAt, UNKNOWN);
      const part = Math.min(Math.max((now - this.#seenAt) / whole, 0), 1);
      this.#shown = Math.max(this.#shown, this.#from + (MOST - this.#from) * part);
    }
    return Math.min(this.#shown, 100);
  }

  /** The remaining time, in words; empty if not known. @param {number} now */
  left(now) {
    if (this.#expectedAt === null) return "";
    const seconds = (this.#expectedAt - now) / 1000;
    return seconds > 1 ? `${roughly(seconds)} left` : seconds > -20 ? "any moment now" : "taking longer than usual";
  }
}
