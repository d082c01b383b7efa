/**
 * The image of a job whose request is filled in again. It comes after the words, and only while it is still wanted.
 * @module
 */

import { Refusal, Unreachable, call } from "./api.js";

/** @typedef {import("./jobs.js").Job} Job */

export class EditedImage {
  /** @type {Partial<Job>|null} */
  #job = null;
  /** @type {Promise<boolean>|null} */
  #coming = null;
  #picture;
  #complain;

  /** @param {import("./picture.js").Picture} picture @param {(words: string) => void} complain */
  constructor(picture, complain) {
    this.#picture = picture;
    this.#complain = complain;
  }

  /** Another job is edited: the image of the one before is not wanted any more. @param {Partial<Job>} job */
  begin(job) {
    this.#job = job;
    this.#coming = job.input_image ? this.#fetch(job) : null;
  }

  /** The image that is under way, if any: false if it does not come. */
  get coming() {
    return this.#coming;
  }

  /** @param {Partial<Job>} job */
  async #fetch(job) {
    const isWanted = () => this.#job === job && this.#picture.file === null;
    try {
      const { data } = await call("GET", `jobs/${job.id}/image`, { bytes: true });
      if (isWanted()) this.#picture.take(new File([data], `image-of-${job.id?.slice(-6)}`, { type: data.type, lastModified: 0 }));
    } catch (error) {
      if (!(error instanceof Refusal) && !(error instanceof Unreachable)) throw error;
      if (!isWanted()) return true;
      const isKnown = error instanceof Refusal && error.code;
      this.#complain(isKnown ? "The job began with an image that is gone. Add it again" : "The job’s image can’t be loaded right now. Add it again, or press Edit again");
      return false;
    } finally {
      if (this.#job === job) this.#coming = null;
    }
    return true;
  }
}
