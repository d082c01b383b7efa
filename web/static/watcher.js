/**
 * Keeps the visible jobs up to date: it polls live jobs, requests new URLs before the old ones end, and reads the top of
 * the list. While the tab is hidden, it reads only the list, seldom, and only as long as a job is unfinished.
 * @module
 */

import { Refusal, Unreachable, call, isGone, now } from "./api.js";
import { isLive } from "./words.js";

/** @typedef {import("./jobs.js").Jobs} Jobs */
/** @typedef {import("./jobs.js").Job} Job */

const LONG_POLLS = 2; // polls that wait at the server at once: a browser has six connections for one host
const WAIT = 20; // seconds that such a poll waits
const SOONEST = 1000; // milliseconds, all of these
const USUAL = 5000;
const SLOWEST = 30_000;
const LIST = 8000; // while a job is unfinished
const QUIET_LIST = 30_000; // while no job is unfinished
const HIDDEN_LIST = 45_000; // while the tab is hidden
const BEFORE_END = 5 * 60_000; // URLs are renewed this long before they end
const LONGEST_TIMER = 2 ** 31 - 1;

/** One visible job. */
class Watch {
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  timer;
  /** @type {AbortController|undefined} */
  request;
  /** @type {string|null} */
  etag = null;
  failures = 0;
}

export class Watcher {
  #jobs;
  /** @type {Map<string, Watch>} */
  #watches = new Map();
  #longPolls = 0;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #listTimer;

  /** @param {Jobs} jobs */
  constructor(jobs) {
    this.#jobs = jobs;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#pause() : this.#resume()));
    this.#listTimer = setTimeout(() => this.#readList(), LIST);
  }

  /** The job became visible. @param {string} id */
  watch(id) {
    if (this.#watches.has(id)) return;
    const watch = new Watch();
    this.#watches.set(id, watch);
    const job = this.#jobs.get(id);
    if (job && !document.hidden) this.#plan(id, watch, isLive(job) ? 0 : untilRenewal(job));
  }

  /** The job is no longer visible, or no longer exists. @param {string} id */
  unwatch(id) {
    const watch = this.#watches.get(id);
    if (watch) stop(watch);
    this.#watches.delete(id);
  }

  /** Request it at once, for instance after an action on the job. @param {string} id */
  pollNow(id) {
    const watch = this.#watches.get(id);
    if (watch && !document.hidden) {
      stop(watch);
      watch.etag = null;
      this.#plan(id, watch, SOONEST);
    }
  }

  /** @param {string} id @param {Watch} watch @param {number} delay */
  #plan(id, watch, delay) {
    clearTimeout(watch.timer);
    if (delay < LONGEST_TIMER) watch.timer = setTimeout(() => this.#poll(id, watch), delay);
  }

  /** @param {string} id @param {Watch} watch */
  async #poll(id, watch) {
    const job = this.#jobs.get(id);
    if (!job) return;
    const waits = isLive(job) && watch.etag !== null && this.#longPolls < LONG_POLLS;
    const began = performance.now();
    const request = (watch.request = new AbortController());
    if (waits) this.#longPolls += 1;
    let delay = USUAL;
    try {
      const answer = await call("GET", `jobs/${id}`, {
        query: { wait: waits ? WAIT : null },
        headers: watch.etag ? { "If-None-Match": watch.etag } : {},
        signal: request.signal,
      });
      watch.failures = 0;
      watch.etag = answer.etag;
      if (answer.data) this.#jobs.put(answer.data);
      const seen = this.#jobs.get(id) ?? job;
      const waited = waits && performance.now() - began > SOONEST;
      if (!isLive(seen)) delay = untilRenewal(seen);
      else if (waited || (waits && answer.status === 200)) delay = SOONEST / 4;
      else delay = Math.min(Math.max((answer.retryAfter ?? USUAL / 1000) * 1000, SOONEST), SLOWEST);
      if (this.#longPolls < LONG_POLLS && answer.etag && isLive(seen)) delay = Math.min(delay, SOONEST);
    } catch (error) {
      if (request.signal.aborted) return;
      if (isGone(error)) return this.#jobs.remove(id);
      if (!(error instanceof Refusal) && !(error instanceof Unreachable)) throw error;
      watch.failures += 1;
      delay = Math.min(USUAL * 2 ** (watch.failures - 1), SLOWEST);
    } finally {
      if (waits) this.#longPolls -= 1;
    }
    if (this.#watches.get(id) === watch && !document.hidden) this.#plan(id, watch, delay);
  }

  async #readList() {
    clearTimeout(this.#listTimer);
    try {
      await this.#jobs.refresh();
    } catch {
      // The line at the top says that the app is out of reach. The next request may succeed.
    }
    this.#renewEnded();
    this.#planList();
  }

  #planList() {
    clearTimeout(this.#listTimer);
    const live = this.#jobs.someLive;
    if (document.hidden && !live) return;
    const soon = live || !this.#jobs.began;
    this.#listTimer = setTimeout(() => this.#readList(), document.hidden ? HIDDEN_LIST : soon ? LIST : QUIET_LIST);
  }

  /** URLs also end while the computer sleeps, and its timers with it. */
  #renewEnded() {
    if (document.hidden) return;
    for (const [id, watch] of this.#watches) {
      const job = this.#jobs.get(id);
      if (job && !isLive(job) && untilRenewal(job) <= SOONEST) this.#plan(id, watch, SOONEST);
    }
  }

  #pause() {
    this.#planList();
    for (const watch of this.#watches.values()) stop(watch);
  }

  #resume() {
    this.#readList();
    for (const [id, watch] of this.#watches) {
      const job = this.#jobs.get(id);
      if (job) this.#plan(id, watch, isLive(job) ? 0 : untilRenewal(job));
    }
  }
}

/** @param {Watch} watch */
function stop(watch) {
  clearTimeout(watch.timer);
  watch.request?.abort();
}

/** Milliseconds until the page should request new URLs of a job. @param {Job} job */
function untilRenewal(job) {
  if (job.videos.some((video) => video.status === "stored" && !video.url)) return SOONEST / 4;
  const ends = job.videos.flatMap((video) => (video.url_expires_at ? [Date.parse(video.url_expires_at)] : []));
  return ends.length ? Math.max(Math.min(...ends) - BEFORE_END - now(), SOONEST) : Infinity;
}
