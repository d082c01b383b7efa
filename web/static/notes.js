/**
 * The boxes on a job's card with what the status does not say, each thing once.
 * @module
 */

import { el, icon } from "./dom.js";
import { explainJob, explainWaiting } from "./explain.js";
import { fromOne, isLive, sentence } from "./words.js";

/** @typedef {import("./jobs.js").Job} Job */

/** @param {Job} job @param {string} state of its backend @param {number} now */
export function notesOf(job, state, now) {
  /** @type {HTMLElement[]} */
  const notes = [];
  /** @type {Set<string>} */
  const said = new Set();
  const note = (/** @type {string} */ kind, /** @type {string} */ symbol, /** @type {(string|null|undefined)[]} */ ...words) => {
    const fresh = words.map((each) => sentence(fromOne(each ?? ""))).filter((each) => each && !said.has(each));
    fresh.forEach((each) => said.add(each));
    if (fresh.length) notes.push(el("div", { class: `note ${kind}` }, icon(symbol), el("div", {}, ...fresh.map((text) => el("p", { text })))));
  };
  const ended = explainJob(job);
  if (ended) note(job.error?.code === "unverified_video" ? "warn" : "bad", "alert", ended.what, ended.means, ended.todo);
  note("warn", "alert", job.alarm);
  const waiting = isLive(job) ? explainWaiting(job, state, now) : null;
  const held = job.status === "pending_download" || ["on_hold", "paused"].includes(state);
  if (waiting) note(held ? "warn" : "calm", held ? "alert" : "info", waiting.what, waiting.means, waiting.todo);
  note("calm", "info", job.warning);
  if (isLive(job) && job.cancel_requested_at && !job.cancel_refused) note("calm", "stop", "If the video finishes first, you keep it");
  if (isLive(job)) note("calm", "info", job.cancel_refused);
  if (job.retried_as) note("calm", "retry", "It was tried again: the new job has its own card");
  else if (job.retry_of) note("calm", "retry", "Another try of an earlier job");
  if (!ended && !waiting) for (const video of job.videos) note("calm", "info", video.problem);
  return notes;
}
