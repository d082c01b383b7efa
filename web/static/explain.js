/**
 * What went wrong, in three parts: what happened, what it means for the video and the bill, and what to do.
 * @module
 */

import { Unreachable } from "./api.js";
import { isHeld, sentence, span, whenWords } from "./words.js";

/** @typedef {import("./jobs.js").Job} Job */
/** @typedef {{what: string, means: string, todo: string}} Explained each a sentence, or empty */

/** @type {Record<string, string>} */
const TODO = {
  model_retired: "Edit it, and choose another backend.",
  moderation_blocked: "Edit the prompt, and send it again. The same words would be refused again.",
  backend_rejected: "Edit what it objects to, and send it again.",
  submission_unconfirmed: "Retry: it looks for the video first, and pays only if there is none.",
  generation_failed: "Retry. It often works the second time.",
  no_output: "Retry. It often works the second time.",
  backend_lost_job: "Retry: it takes the video up if the service has it again.",
  backend_job_not_found: "Check the id, and import it again.",
  expired: "Retry: it looks for the video first, and pays for a new one only if it is gone.",
  input_image_missing: "Edit it, add the image, and send it again.",
  unverified_video: "Play it to see whether it is whole, then keep it or retry.",
};

/** @type {Record<string, string>} */
const MEANS = {
  submission_unconfirmed: "It may have been billed once, and was not sent again.",
  expired: "The video was generated and is billed, but it did not arrive here.",
  unverified_video: "The file is kept all the same, and is billed.",
  backend_job_not_found: "Nothing was changed, and nothing is billed.",
};

/** Why a job ended without its videos. @param {Job} job @returns {Explained|null} */
export function explainJob(job) {
  if (!job.error) return null;
  const { code, message } = job.error;
  const usual = job.backend_job_id
    ? "There is no video. Whether this attempt is billed is for the video service to say."
    : "Nothing was made, and nothing is billed.";
  return { what: sentence(message), means: MEANS[code] ?? usual, todo: TODO[code] ?? "Retry, or edit it and send it again." };
}

/**
 * Why an unfinished job does not go on.
 * @param {Job} job
 * @param {string} state of its backend
 * @param {number} now
 * @returns {Explained|null}
 */
export function explainWaiting(job, state, now) {
  if (job.status === "pending_download") return explainDelay(job, now);
  if (!job.reason) return null;
  if (job.status === "waiting") {
    const todo = isHeld(state) ? "The operator has to act; then it goes ahead by itself. Or cancel it, at no cost." : "";
    return { what: sentence(job.reason), means: isHeld(state) ? "Nothing was sent, and nothing is billed yet." : "", todo };
  }
  return { what: sentence(job.reason), means: "", todo: "" };
}

/** @param {Job} job @param {number} now @returns {Explained} */
function explainDelay(job, now) {
  const tries = job.videos.flatMap((video) => (video.next_try_at ? [video.next_try_at] : [])).sort();
  const next = tries[0] && Date.parse(tries[0]) > now ? `Next try ${whenWords(tries[0], now)}.` : "The next try is under way.";
  const kept = job.backend_expires_at ? `It is kept there until ${whenWords(job.backend_expires_at, now)}. Nothing is lost.` : "Nothing is lost.";
  const why = job.reason ? ` ${sentence(job.reason)}` : "";
  return { what: `The video is finished, but the service doesn’t hand it over yet.${why}`, means: kept, todo: next };
}

/** The meaning of a refused request, by the action. */
const UNCHANGED = {
  submit: "Nothing was sent to the video service, and nothing is billed.",
  import: "Nothing was imported, and nothing is billed.",
  change: "Nothing was changed.",
  read: "Your videos are safe; they just can’t be shown right now.",
  operate: "The jobs go on by themselves; only this page can’t show them.",
};

/** The same if the app gave no answer: it may have done it all the same. @type {Partial<Record<keyof typeof UNCHANGED, string>>} */
const PERHAPS = {
  submit: "It may have arrived: nothing is lost, and it is paid for once.",
  import: "It may have arrived: importing it again is the same import.",
  change: "It may have arrived: the card says how the job stands.",
};

/** @type {Record<string, string>} */
const MEND = {
  too_many_jobs: "Wait until one of your jobs has ended, or cancel one.",
  misconfigured: "The operator has to mend the app’s settings.",
  storage_unavailable: "Try again in a minute.",
  backend_unavailable: "Try again in a minute.",
  busy: "Try again in a minute.",
  internal_error: "Try again. If it happens again, tell the operator the time.",
  invalid_sign_in: "Sign in again.",
  idempotency_key_reused: "Change something, and send it again.",
  not_retriable: "Edit it, and send it as a new job.",
  backend_job_not_found: "Check the id, and which backend it belongs to.",
  job_not_found: "It was deleted, so its card goes.",
  backend_not_found: "Load the page again: the settings have changed.",
  invalid_cursor: "Load the page again.",
  nothing_to_send: "Name a webhook when you submit the next job.",
  body_too_large: "Send a smaller image.",
};

/** What to do if the host refused the request before the app, by status. @type {Record<number, string>} */
const MEND_BEFORE = {
  403: "Ask the operator to let you in.",
  404: "Load the page again: the app may have been moved.",
  413: "Send a smaller image.",
};

/**
 * A request that the app refused, or that did not reach it.
 * @param {any} error a Refusal or Unreachable
 * @param {keyof typeof UNCHANGED} kind
 * @returns {Explained}
 */
export function explainRefusal(error, kind) {
  const what = sentence(error.message);
  if (error instanceof Unreachable || !error.code) {
    const refused = MEND_BEFORE[error.status]; // by the host: nothing reached the app
    return { what, means: refused ? UNCHANGED[kind] : (PERHAPS[kind] ?? UNCHANGED[kind]), todo: refused ?? "Try again in a moment." };
  }
  if (error.job) return { ...(explainJob(error.job) ?? { means: "", todo: "" }), what };
  const wait = error.retryAfter && error.code === "too_many_jobs" ? ` There may be room in ${span(error.retryAfter)}.` : "";
  const isUnknown = error.status >= 500 && error.code !== "misconfigured";
  return { what, means: (isUnknown && PERHAPS[kind]) || UNCHANGED[kind], todo: `${MEND[error.code] ?? "Change what it names, and try again."}${wait}` };
}

/** What a player says whose video the storage does not hand over. */
export const CANT_PLAY = "The video can’t be played right now. The job and its files are as they were. Try again in a moment, or download it.";

/** The three parts as one text. @param {Explained} explained */
export const inOne = ({ what, means, todo }) => [what, means, todo].filter(Boolean).join(" ");
