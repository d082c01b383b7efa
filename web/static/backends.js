/**
 * The backends: what they make, and whether they take jobs. They are read again when this may have changed.
 * @module
 */

import { Refusal, Unreachable } from "./api.js";
import { readBackends } from "./options.js";

/** @typedef {import("./options.js").Backend} Backend */
/** @typedef {import("./options.js").State} State */

const SOON = 400; // milliseconds in which several calls make one read

/** Sends the event `change`. */
export class Backends extends EventTarget {
  /** @type {Backend[]} */
  list = [];
  /** Whether the app has answered which backends there are. */
  loaded = false;
  /** @type {Promise<void>|null} */
  #reading = null;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #timer;

  /** @param {string} name @returns {State|null} */
  now(name) {
    return this.list.find((each) => each.name === name)?.now ?? null;
  }

  /** The backend's state in one word, or nothing. @param {string} name */
  stateOf(name) {
    return this.now(name)?.state ?? "";
  }

  /** Reads the backends. A call during a read waits for that read. @throws {Refusal|Unreachable} */
  load() {
    this.#reading ??= this.#read().finally(() => (this.#reading = null));
    return this.#reading;
  }

  /** Reads the backends soon. If that fails, the known states stay. */
  refresh() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      // A read that is under way may answer with states from before.
      const before = this.#reading?.catch(() => {}) ?? Promise.resolve();
      before.then(() => this.load()).catch((error) => {
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
