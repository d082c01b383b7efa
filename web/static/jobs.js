/**
 * The jobs that the page knows, newest first, and where the rest of the list goes on.
 * @module
 */

import { Refusal, call } from "./api.js";

/**
 * @typedef {{index: number, status: string, problem: string|null, length: number|null, sha256: string|null,
 *     verified: boolean|null, width: number|null, height: number|null, duration_seconds: number|null,
 *     url: string|null, url_expires_at: string|null, download_url: string|null, thumbnail_url: string|null}} Video
 * @typedef {{at: string, event: string, detail: string|null, times: number}} Entry
 * @typedef {{code: string, message: string, backend_message: string|null}} JobError
 * @typedef {{id: string, status: string, created_at: string, updated_at: string, finished_at: string|null,
 *     prompt: string, size: string|null, seconds: number|null, variants: number, input_image: any,
 *     last_image: any, reference_images: any[], aspect_ratio: string|null, resolution: string|null,
 *     backend: {name: string, dialect: string, model: string}, backend_job_id: string|null,
 *     retry_of: string|null, retried_as: string|null, imported: boolean,
 *     cancel_requested_at: string|null, cancel_refused: string|null, backend_expires_at: string|null,
 *     cost?: {amount: number, currency: string}|null,
 *     progress: number|null, expected_at?: string|null, queue_position: number|null, reason: string|null,
 *     warning: string|null, alarm: string|null, error: JobError|null, videos: Video[], history?: Entry[]}} Job
 */

export const FILTERS = {
  all: "",
  working: "waiting,submitting,queued,running,fetching,pending_download",
  ready: "succeeded",
  ended: "failed,cancelled,expired",
};

const PAGE = 24;
const MOST_PAGES_BACK = 5; // that a refresh reads to reach what is known already

/**
 * Tells of `add` and `change` (with `job` and `before`), `remove` (with `id`), `reset`, and `state`.
 */
export class Jobs extends EventTarget {
  /** @type {Map<string, Job>} */
  #byId = new Map();
  /** @type {Set<string>} */
  #gone = new Set();
  /** @type {string|null} */
  #cursor = null;
  #began = false;
  #run = 0;
  filter = "all";
  loading = false;
  /** @type {Error|null} */
  error = null;

  /** Whether the list has been read to its end. */
  get complete() {
    return this.#began && this.#cursor === null;
  }

  get began() {
    return this.#began;
  }

  get size() {
    return this.#byId.size;
  }

  /** @param {string} id */
  get(id) {
    return this.#byId.get(id);
  }

  /** @param {string} filter a key of FILTERS */
  show(filter) {
    this.filter = filter;
    this.#run += 1;
    this.#byId.clear();
    this.#cursor = null;
    this.#began = this.loading = false;
    this.error = null;
    this.dispatchEvent(new Event("reset"));
    return this.more();
  }

  /** The next page of the list. */
  async more() {
    if (this.loading || this.complete) return;
    const run = this.#run;
    this.loading = true;
    this.error = null;
    this.#tell();
    try {
      const page = await this.#page(this.#cursor);
      if (run !== this.#run) return;
      this.#cursor = page.next_cursor;
      this.#began = true;
      for (const job of page.jobs) this.put(job);
    } catch (error) {
      if (run !== this.#run) return;
      // A cursor can end with a deployment: the list begins anew then.
      if (error instanceof Refusal && error.code === "invalid_cursor") this.#cursor = null;
      this.error = /** @type {Error} */ (error);
    }
    this.loading = false;
    this.#tell();
  }

  /** What is new, and what is gone, at the top of the list. */
  async refresh() {
    if (!this.#began || this.loading) return;
    const run = this.#run;
    const before = new Set(this.#byId.keys());
    /** @type {string|null} */
    let cursor = null;
    const seen = new Set();
    for (let page = 0; page < MOST_PAGES_BACK; page += 1) {
      const { jobs, next_cursor } = await this.#page(cursor);
      if (run !== this.#run) return;
      for (const job of jobs) {
        seen.add(job.id);
        this.put(job);
      }
      cursor = next_cursor;
      if (cursor === null || before.size === 0 || jobs.some((/** @type {Job} */ job) => before.has(job.id))) break;
    }
    // Under a filter a job leaves the list by going on, and stays in sight.
    if (this.filter !== "all") return;
    const last = cursor === null ? "~" : [...seen].sort().at(-1) ?? "";
    for (const id of before) if (id <= last && !seen.has(id)) this.remove(id);
  }

  /** The job as it is now, or undefined when it is gone. @param {string} id */
  async reread(id) {
    try {
      const { data } = await call("GET", `jobs/${id}`);
      this.put(data);
      return /** @type {Job} */ (data);
    } catch (error) {
      if (!(error instanceof Refusal) || error.status !== 404) throw error;
      this.remove(id);
      return undefined;
    }
  }

  /** Takes over what an answer says of a job, unless something newer is known. @param {Job} job */
  put(job) {
    const before = this.#byId.get(job.id);
    if (this.#gone.has(job.id) || (before && job.updated_at < before.updated_at)) return;
    // The list leaves out what costs a read of its own.
    const fuller = before && !job.history && before.status === job.status;
    const merged = fuller
      ? { ...job, history: before.history, queue_position: before.queue_position, reason: job.reason ?? before.reason }
      : job;
    this.#byId.set(job.id, merged);
    this.dispatchEvent(Object.assign(new Event(before ? "change" : "add"), { job: merged, before }));
    if (!before) this.#tell();
  }

  /** @param {string} id */
  remove(id) {
    this.#gone.add(id);
    if (this.#byId.delete(id)) this.dispatchEvent(Object.assign(new Event("remove"), { id }));
    this.#tell();
  }

  /** @param {string|null} cursor */
  async #page(cursor) {
    const status = FILTERS[/** @type {keyof typeof FILTERS} */ (this.filter)];
    return (await call("GET", "jobs", { query: { limit: PAGE, status, cursor } })).data;
  }

  #tell() {
    this.dispatchEvent(new Event("state"));
  }
}
