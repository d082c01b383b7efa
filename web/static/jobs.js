/**
 * The jobs that the page knows, newest first, and the cursor for the rest of the list.
 * @module
 */

import { Refusal, call, isGone } from "./api.js";
import { isLive } from "./words.js";

/**
 * @typedef {{index: number, status: string, problem: string|null, length: number|null, sha256: string|null,
 *     verified: boolean|null, width: number|null, height: number|null, duration_seconds: number|null,
 *     next_try_at?: string|null, url: string|null, url_expires_at: string|null, download_url: string|null, thumbnail_url: string|null}} Video
 * @typedef {{at: string, event: string, detail: string|null, times: number}} Entry
 * @typedef {{code: string, message: string, backend_code: string|null, backend_message: string|null,
 *     backend_request_id: string|null, candidates: string[]}} JobError
 * @typedef {{url: string|null, status: string, next_try_at: string|null, deliveries: any[]}} Webhook
 * @typedef {{id: string, status: string, created_at: string, updated_at: string, finished_at: string|null,
 *     prompt: string, size: string|null, seconds: number|null, variants: number, input_image: any,
 *     last_image: any, reference_images: any[], aspect_ratio: string|null, resolution: string|null,
 *     backend: {name: string, dialect: string, model: string}, backend_job_id: string|null,
 *     retry_of: string|null, retried_as: string|null, imported: boolean,
 *     cancel_requested_at: string|null, cancel_refused: string|null, backend_expires_at: string|null,
 *     cost?: {amount: number, currency: string}|null,
 *     progress: number|null, expected_at?: string|null, queue_position: number|null, reason: string|null,
 *     warning: string|null, alarm: string|null, error: JobError|null, webhook?: Webhook|null, videos: Video[],
 *     history?: Entry[]}} Job
 */

export const FILTERS = {
  all: "",
  working: "waiting,submitting,queued,running,fetching,pending_download",
  ready: "succeeded",
  ended: "failed,cancelled,expired",
};

const PAGE = 24;
const MOST_PAGES_BACK = 5; // pages that a refresh reads at most, until it reaches known jobs

/**
 * Sends the events `add` and `change` (with `job` and `before`), `remove` (with `id`), `reset`, and `state`.
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
  /** @type {string|null} of the top of the list, as it was read last */
  #etag = null;
  filter = "all";
  /** Further filters of the list. */
  where = { backend: "", day: "" };
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

  /** @param {string} filter a key of FILTERS @param {{backend: string, day: string}} [where] @returns {Promise<void>} */
  show(filter, where = this.where) {
    this.filter = filter;
    this.where = where;
    this.#run += 1;
    this.#byId.clear();
    this.#cursor = this.#etag = null;
    this.#began = this.loading = false;
    this.error = null;
    this.dispatchEvent(new Event("reset"));
    return this.more();
  }

  /** The next page of the list. @returns {Promise<void>} */
  async more() {
    if (this.loading || this.complete) return;
    const run = this.#run;
    this.loading = true;
    this.#tell();
    try {
      const { data: page } = await this.#page(this.#cursor);
      if (run !== this.#run) return;
      this.error = null;
      this.#cursor = page.next_cursor;
      this.#began = true;
      for (const job of page.jobs) this.put(job);
    } catch (error) {
      if (run !== this.#run) return;
      // A deployment can make a cursor invalid. Then the list is read from the start.
      if (error instanceof Refusal && error.code === "invalid_cursor" && this.#cursor !== null) {
        this.#cursor = null;
        this.#began = this.loading = false;
        return this.more();
      }
      this.error = /** @type {Error} */ (error);
    }
    this.loading = false;
    this.#tell();
  }

  /** Whether a known job is unfinished. */
  get someLive() {
    return [...this.#byId.values()].some(isLive);
  }

  /** All known jobs, newest first. @returns {Job[]} */
  get all() {
    return [...this.#byId.values()].sort((one, other) => (one.id < other.id ? -1 : 1));
  }

  /** Reads new and removed jobs at the top of the list. The answer has no URLs, and is empty if nothing has changed. */
  async refresh() {
    if (this.loading) return;
    if (!this.#began) return this.more(); // the list could not be read yet
    const run = this.#run;
    const before = new Set(this.#byId.keys());
    /** @type {string|null} */
    let cursor = null;
    /** @type {string|null} */
    let etag = null;
    /** @type {Map<string, Job>} stored only when all are read, so that no job between them and the known ones is missing */
    const found = new Map();
    for (let page = 0; ; page += 1) {
      if (page === MOST_PAGES_BACK && found.size) return this.show(this.filter);
      if (page === MOST_PAGES_BACK) break; // the filter leaves out very many jobs; none is new
      const answer = await this.#page(cursor, page === 0 ? (this.#etag ?? "none") : "");
      if (run !== this.#run || answer.status === 304) return;
      if (page === 0) etag = answer.etag;
      const { jobs, next_cursor } = answer.data;
      for (const job of jobs) found.set(job.id, job);
      cursor = next_cursor;
      if (cursor === null || jobs.some((/** @type {Job} */ job) => before.has(job.id))) break;
    }
    for (const job of found.values()) this.put(job, true);
    const last = cursor === null ? "~" : [...found.keys()].sort().at(-1) ?? "";
    for (const id of before) if (id <= last && !found.has(id)) await this.#miss(id);
    if (run === this.#run) this.#etag = etag; // else the next read would find nothing new
  }

  /** The list does not have a known job any more. @param {string} id */
  async #miss(id) {
    const job = this.#byId.get(id);
    const statuses = FILTERS[/** @type {keyof typeof FILTERS} */ (this.filter)];
    // A job that does not fit the filters stays visible: it was submitted here, or has gone on.
    if (!job || (statuses && !statuses.split(",").includes(job.status))) return;
    if (this.where.backend && job.backend.name !== this.where.backend) return;
    if (this.where.day && !job.created_at.startsWith(this.where.day)) return;
    if (statuses) await this.reread(id);
    else this.remove(id);
  }

  /** The job as it is now, or undefined when it is gone. @param {string} id */
  async reread(id) {
    try {
      const { data } = await call("GET", `jobs/${id}`);
      this.put(data);
      return /** @type {Job} */ (data);
    } catch (error) {
      if (!isGone(error)) throw error;
      this.remove(id);
      return undefined;
    }
  }

  /**
   * Stores a job from an answer, unless the page has a newer version.
   * @param {Job} job
   * @param {boolean} [unasked] whether it may be a job that nobody here has asked for
   */
  put(job, unasked = false) {
    const before = this.#byId.get(job.id);
    if (this.#gone.has(job.id) || (before && job.updated_at < before.updated_at)) return;
    const merged = before ? withKnownUrls(job, before) : job;
    // The list's jobs have no history.
    if (before && !job.history && before.status === job.status) merged.history = before.history;
    this.#byId.set(job.id, merged);
    this.dispatchEvent(Object.assign(new Event(before ? "change" : "add"), { job: merged, before, unasked }));
    if (!before) this.#tell();
  }

  /** @param {string} id */
  remove(id) {
    this.#gone.add(id);
    if (this.#byId.delete(id)) this.dispatchEvent(Object.assign(new Event("remove"), { id }));
    this.#tell();
  }

  /** @param {string|null} cursor @param {string} [known] the tag of a page that needs no URLs; empty: with URLs */
  #page(cursor, known = "") {
    const status = FILTERS[/** @type {keyof typeof FILTERS} */ (this.filter)];
    const headers = /** @type {Record<string, string>} */ (known.includes('"') ? { "If-None-Match": known } : {});
    return call("GET", "jobs", { query: { limit: PAGE, status, ...this.where, cursor, urls: known ? "false" : null }, headers });
  }

  #tell() {
    this.dispatchEvent(new Event("state"));
  }
}

/** The job, with the known URLs of its videos if the answer has none. @param {Job} job @param {Job} before @returns {Job} */
function withKnownUrls(job, before) {
  const videos = job.videos.map((video) => {
    const known = video.url === null && video.sha256 ? before.videos.find((each) => each.index === video.index && each.sha256 === video.sha256) : undefined;
    if (!known) return video;
    const { url, url_expires_at, download_url, thumbnail_url } = known;
    return { ...video, url, url_expires_at, download_url, thumbnail_url };
  });
  return { ...job, videos };
}
