/**
 * The backends as they stand: what they make, and whether they let anybody in. Read again when that may have changed.
 * @module
 */

import { Refusal, Unreachable } from "./api.js";
import { readBackends } from "./options.js";

/** @typedef {import("./options.js").Backend} Backend */
/** @typedef {import("./options.js").State} State */

const SOON = 400; // milliseconds in which several wishes to read are one

/** Tells of `change`. */
export class Backends extends EventTarget {
  /** @type {Backend[]} */
  list = [];
  /** Whether the app has said what there is. */
  loaded = false;
  /** @type {Promise<void>|null} */
  #reading = null;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #timer;

  /** @param {string} name @returns {State|null} */
  now(name) {
    return this.list.find((each) => each.name === name)?.now ?? null;
  }

  /** The state's one word, or nothing. @param {string} name */
  stateOf(name) {
    return this.now(name)?.state ?? "";
  }

  /** Reads them; a second call while one is under way is the same. @throws {Refusal|Unreachable} */
  load() {
    this.#reading ??= this.#read().finally(() => (this.#reading = null));
    return this.#reading;
  }

  /** Reads them soon, and leaves it at what is known where that fails. */
  refresh() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.load().catch((error) => {
        if (!(error instanceof Refusal) && !(error instanceof Unreachable)) throw error;
      });
    }, SOON);
  }

  async #read() {
    this.list = await readBackends();
    this.loaded = true;
    this.dispatchEvent(new Event("change"));
  }
}
