/**
 * The list of cards. Only cards near the window have contents. The others are empty boxes of the same height, so that
 * ten thousand jobs scroll as fast as ten.
 * @module
 */

import { byId, el, setText } from "./dom.js";
import { Card } from "./card.js";
import { explainRefusal, inOne } from "./explain.js";
import { announce } from "./announcer.js";
import { hasWords } from "./search.js";
import { Newcomers } from "./newcomers.js";
import { isLive, nameOf, statusWords } from "./words.js";

/** @typedef {import("./jobs.js").Job} Job */

const NEAR = "1200px 0px"; // around the window: cards within it have contents
const FURTHER = "1600px 0px"; // when the list's end is within it, the next page is read
const AT_ONCE = 12; // cards that are made before the observer has reported which are near
const TICK = 1000; // milliseconds

export class Feed {
  #jobs;
  #watcher;
  #deeds;
  /** @type {Map<string, HTMLElement>} */
  #slots = new Map();
  /** @type {Map<string, Card>} */
  #cards = new Map();
  /** @type {string[]} ids, newest first: a job's id says when it was made */
  #order = [];
  #words = ""; // search words for prompts
  #near;
  #list = byId("list");
  #newcomers = new Newcomers((jobs) => this.#letIn(jobs));

  /**
   * @param {import("./jobs.js").Jobs} jobs
   * @param {import("./watcher.js").Watcher} watcher
   * @param {import("./card.js").Deeds} deeds
   */
  constructor(jobs, watcher, deeds) {
    this.#jobs = jobs;
    this.#watcher = watcher;
    this.#deeds = deeds;
    this.#near = new IntersectionObserver((seen) => seen.forEach((each) => this.#seen(each)), { rootMargin: NEAR });
    new IntersectionObserver((seen) => seen.some((each) => each.isIntersecting) && this.#atEnd(), { rootMargin: FURTHER }).observe(byId("list-end"));
    jobs.addEventListener("add", (/** @type {any} */ event) => this.#arrive(event.job, event.unasked));
    jobs.addEventListener("change", (/** @type {any} */ event) => this.#change(event.job, event.before));
    jobs.addEventListener("remove", (/** @type {any} */ event) => this.#remove(event.id));
    jobs.addEventListener("reset", () => this.#reset());
    jobs.addEventListener("state", () => this.#showState());
    byId("list-more").addEventListener("click", () => this.#more());
    setInterval(() => document.hidden || this.#cards.forEach((card) => card.tick()), TICK);
  }

  /** @param {string} id */
  reveal(id) {
    const job = this.#jobs.get(id);
    if (job && !this.#slots.has(id)) {
      this.#newcomers.forget(id); // the list told of it before the answer to its submit
      this.#add(job);
    }
    this.#slots.get(id)?.scrollIntoView({ block: "nearest", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  }

  /** Show only jobs whose prompts have the words. It loads no further jobs. @param {string} words */
  search(words) {
    this.#words = words;
    for (const [id, slot] of this.#slots) this.#sift(id, slot);
    this.#showState();
  }

  /** @param {string} id @param {HTMLElement} slot */
  #sift(id, slot) {
    const job = this.#jobs.get(id);
    slot.hidden = this.#words !== "" && job !== undefined && !hasWords(job, this.#words);
  }

  /** Other data was read again, such as the backends' states. */
  refresh() {
    for (const card of this.#cards.values()) card.update(card.job);
  }

  /** The job before or after another one on the page, or undefined. @param {string} id @param {number} step */
  neighbour(id, step) {
    return this.#jobs.get(this.#order[this.#order.indexOf(id) + step] ?? "");
  }

  /** @param {Job} job @param {boolean} unasked */
  #arrive(job, unasked) {
    const isNewest = this.#order.length > 0 && job.id < this.#order[0];
    if (unasked && isNewest && this.#someoneReads()) this.#newcomers.add(job);
    else this.#add(job);
  }

  /** Whether a new card at the top would move what somebody is reading. */
  #someoneReads() {
    return this.#list.getBoundingClientRect().top < 0 || [...this.#cards.values()].some((card) => card.busy);
  }

  /** @param {Job[]} jobs */
  #letIn(jobs) {
    for (const job of jobs) this.#add(this.#jobs.get(job.id) ?? job);
    byId("list-heading").scrollIntoView({ block: "start" });
    byId("list-heading").focus({ preventScroll: true });
  }

  /** @param {Job} job */
  #add(job) {
    if (this.#slots.has(job.id)) return;
    const slot = el("li", { class: "slot", "data-id": job.id });
    const at = this.#placeOf(job.id);
    const after = this.#slots.get(this.#order[at]);
    this.#order.splice(at, 0, job.id);
    this.#slots.set(job.id, slot);
    this.#sift(job.id, slot);
    this.#list.insertBefore(slot, after ?? null);
    // Filled at once, so that nothing moves when the box gets its height. Cards that are not near are emptied later.
    if (this.#cards.size < AT_ONCE) this.#mount(job.id, slot);
    this.#near.observe(slot);
  }

  /** The index of an id in the order, by binary search. @param {string} id */
  #placeOf(id) {
    let [low, high] = [0, this.#order.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#order[middle] < id) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** @param {Job} job @param {Job} before */
  #change(job, before) {
    this.#cards.get(job.id)?.update(job);
    if (job.status !== before.status) announce(`${nameOf(job)}: ${statusWords(job, this.#deeds.backend(job.backend.name)?.now?.state)}`);
    if (isLive(before) && !isLive(job)) this.#watcher.pollNow(job.id);
  }

  /** @param {string} id */
  #remove(id) {
    this.#newcomers.forget(id);
    const slot = this.#slots.get(id);
    if (!slot) return;
    const hadFocus = slot.contains(document.activeElement);
    const at = this.#order.indexOf(id);
    this.#order.splice(at, 1);
    this.#unmount(id);
    this.#near.unobserve(slot);
    this.#slots.delete(id);
    slot.remove();
    // Keyboard focus moves to the next card, not to the top of the page.
    if (hadFocus) {
      const next = this.#slots.get(this.#order[Math.min(at, this.#order.length - 1)] ?? "");
      (next?.querySelector("button, a") ?? byId("list-heading")).focus();
    }
  }

  #reset() {
    for (const id of this.#cards.keys()) this.#unmount(id);
    this.#near.disconnect();
    this.#slots.clear();
    this.#order = [];
    this.#newcomers.clear();
    this.#list.replaceChildren();
    this.#showState();
  }

  // --- what is near ---

  /** @param {IntersectionObserverEntry} entry */
  #seen(entry) {
    const slot = /** @type {HTMLElement} */ (entry.target);
    const id = slot.dataset.id ?? "";
    if (entry.isIntersecting) this.#mount(id, slot);
    else if (!this.#cards.get(id)?.busy) {
      if (this.#cards.has(id)) slot.style.minHeight = `${entry.boundingClientRect.height}px`;
      this.#unmount(id);
    }
  }

  /** @param {string} id @param {HTMLElement} slot */
  #mount(id, slot) {
    const job = this.#jobs.get(id);
    if (!job || this.#cards.has(id)) return;
    const card = new Card(job, this.#deeds);
    this.#cards.set(id, card);
    slot.replaceChildren(card.element);
    slot.style.minHeight = "";
    this.#watcher.watch(id);
  }

  /** @param {string} id */
  #unmount(id) {
    this.#watcher.unwatch(id);
    this.#cards.delete(id);
    this.#slots.get(id)?.replaceChildren();
  }

  // --- the list as a whole ---

  #atEnd() {
    if (this.#jobs.began && !this.#jobs.complete && !this.#jobs.error && !this.#words) this.#more();
  }

  async #more() {
    await this.#jobs.more();
    // After a short page the list's end may still be visible, and the observer reports only changes.
    requestAnimationFrame(() => {
      if (byId("list-end").getBoundingClientRect().top < innerHeight + 1600) this.#atEnd();
    });
  }

  #showState() {
    const { began, complete, error, loading, size } = this.#jobs;
    byId("skeletons").hidden = began || Boolean(error);
    const isNarrowed = this.#jobs.filter !== "all" || Boolean(this.#jobs.where.backend || this.#jobs.where.day);
    byId("empty").hidden = !(complete && size === 0 && !isNarrowed);
    byId("nothing-here").hidden = !(complete && size === 0 && isNarrowed);
    this.#showFound(complete);
    byId("list-error").hidden = !error;
    const reasons = /** @type {any} */ (error)?.reasons ?? [];
    setText(byId("list-error-words"), error ? [...reasons, inOne(explainRefusal(error, "read"))].join(" ") : "");
    byId("list-more").hidden = complete || (!began && !error);
    setText(byId("list-more"), loading ? "Loading more…" : error ? "Try again" : "Show more");
    setText(byId("list-count"), began && size ? (complete ? `${size}` : `${size}+`) : "");
    this.#list.setAttribute("aria-busy", String(loading));
  }

  /** @param {boolean} complete */
  #showFound(complete) {
    const found = [...this.#slots.values()].filter((slot) => !slot.hidden).length;
    const rest = complete ? "" : " “Show more” loads older ones.";
    setText(byId("search-note"), this.#words ? `${found} of the ${this.#slots.size} that are loaded.${rest}` : "");
  }
}
