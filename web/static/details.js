/**
 * What an open card shows: facts, the history, and at the end ids and other data for programs.
 * @module
 */

import { el } from "./dom.js";
import { bytesWords, clockTime, fromOne, sentence, whenWords } from "./words.js";

/** @typedef {import("./jobs.js").Job} Job */

/** @param {Job} job with its history @param {number} now @returns {HTMLElement[]} */
export function detailsOf(job, now) {
  return [
    listOf(factsOf(job, now)),
    el("ol", { class: "history", "aria-label": "History" }, ...(job.history ?? []).map(stepOf)),
    listOf(longWordsOf(job)),
  ];
}

/** @param {[string, string][]} rows */
const listOf = (rows) => el("dl", {}, ...rows.flatMap(([name, value]) => [el("dt", { text: name }), el("dd", { text: value })]));

/** @param {import("./jobs.js").Entry} entry */
function stepOf(entry) {
  const words = sentence(entry.event.replaceAll("_", " ")).slice(0, -1);
  return el(
    "li",
    {},
    el("span", { text: `${words}${entry.times > 1 ? ` (${entry.times} times)` : ""}` }),
    el("time", { class: "quiet", datetime: entry.at, text: new Date(entry.at).toLocaleTimeString() }),
    entry.detail ? el("span", { class: "quiet detail", text: inWords(entry.detail) }) : null,
  );
}

/** @param {string} detail */
const inWords = (detail) => fromOne(detail).replace(/(\d+) bytes$/, (_, bytes) => bytesWords(Number(bytes)));

/** @param {Job} job @param {number} now @returns {[string, string][]} */
function factsOf(job, now) {
  /** @type {[string, string][]} */
  const rows = [
    ["Backend", `${job.backend.name} · ${job.backend.model}`],
    ["Created", new Date(job.created_at).toLocaleString()],
  ];
  if (job.finished_at) rows.push(["Took", clockTime((Date.parse(job.finished_at) - Date.parse(job.created_at)) / 1000)]);
  if (job.error) rows.push(["Error", [job.error.code, job.error.backend_code].filter(Boolean).join(" · ")]);
  if (job.backend_expires_at && !job.finished_at) rows.push(["Kept there until", whenWords(job.backend_expires_at, now)]);
  if (job.webhook) {
    const next = job.webhook.next_try_at ? `, next try ${whenWords(job.webhook.next_try_at, now)}` : "";
    rows.push(["Webhook", `${job.webhook.status}${next}`]);
  }
  return rows;
}

/** @param {Job} job @returns {[string, string][]} */
function longWordsOf(job) {
  const many = job.videos.length > 1;
  /** @type {[string, string][]} */
  const rows = [["Job", job.id]];
  if (job.backend_job_id) rows.push(["At the video service", job.backend_job_id]);
  if (job.error?.backend_request_id) rows.push(["Request", job.error.backend_request_id]);
  for (const video of job.videos) if (video.sha256) rows.push([many ? `SHA-256 of video ${video.index + 1}` : "SHA-256", video.sha256]);
  return rows;
}
