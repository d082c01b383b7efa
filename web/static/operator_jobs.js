/**
 * The operator's view of jobs: those that need attention, those that wait, and their webhooks.
 * @module
 */

import { now } from "./api.js";
import { el } from "./dom.js";
import { showTable } from "./table.js";
import { ago, sentence, whenWords } from "./words.js";

/**
 * @typedef {{id: string, owner: string, backend: string, status: string, created_at: string, status_since: string|null,
 *     next_poll_at: string|null, reason: string|null, alarm: string|null, last_error: string|null,
 *     poisoned_at: string|null, webhook: import("./jobs.js").Webhook|null}} OperatorJob
 * @typedef {(job: OperatorJob, deed: "repair"|"webhook") => void} Act
 */

/** @param {HTMLElement} place @param {OperatorJob[]} jobs @param {Act} act */
export function showAttention(place, jobs, act) {
  const rows = jobs.map((job) => [named(job), job.owner, job.status, whyOf(job), nextOf(job), el("span", { class: "mend" }, repair(job, act), job.webhook && ended(job) ? resend(job, act) : null)]);
  showTable(place, "Jobs that need attention", ["Job", "Owner", "Status", "Why", "Next try", "Mend"], rows, "Nothing. All is well.");
}

/** @param {HTMLElement} place @param {OperatorJob[]} jobs @param {Act} act */
export function showWaiting(place, jobs, act) {
  const rows = jobs.map((job) => [named(job), job.owner, job.backend, ago(job.created_at, now()), sentence(job.reason ?? ""), repair(job, act)]);
  showTable(place, "Jobs that wait for longest", ["Job", "Owner", "Backend", "Came", "Why", "Mend"], rows, "No job waits.");
}

/** @param {HTMLElement} place @param {OperatorJob[]} jobs @param {Act} act */
export function showGivenUp(place, jobs, act) {
  const rows = jobs.map((job) => [named(job), job.owner, toWhom(job), lastOf(job), resend(job, act)]);
  showTable(place, "Webhooks that were given up", ["Job", "Owner", "To", "Last delivery", "Mend"], rows, "None.");
}

/** @param {HTMLElement} place @param {OperatorJob[]} jobs @param {Act} act */
export function showWebhooks(place, jobs, act) {
  const rows = jobs.map((job) => [named(job), toWhom(job), job.webhook?.status ?? "", lastOf(job), nextOf(job), ended(job) ? resend(job, act) : "not ended"]);
  showTable(place, "Webhooks", ["Job", "To", "Status", "Last delivery", "Next try", "Mend"], rows, "No job among these has a webhook.");
}

const ended = (/** @type {OperatorJob} */ job) => ["succeeded", "failed", "cancelled", "expired"].includes(job.status);

/** @param {OperatorJob} job */
const toWhom = (job) => job.webhook?.url ?? "the app’s own";

/** @param {OperatorJob} job */
const named = (job) => el("code", { text: job.id });

/** @param {OperatorJob} job @param {Act} act */
const repair = (job, act) => el("button", { type: "button", class: "button small", "aria-label": `Repair ${job.id}`, text: "Repair", on: { click: () => act(job, "repair") } });

/** @param {OperatorJob} job @param {Act} act */
const resend = (job, act) => el("button", { type: "button", class: "button small", "aria-label": `Resend the webhook of ${job.id}`, text: "Resend", on: { click: () => act(job, "webhook") } });

/** @param {OperatorJob} job */
function whyOf(job) {
  const poisoned = job.poisoned_at ? `A message failed too often ${ago(job.poisoned_at, now())}` : "";
  const hook = ended(job) && job.webhook?.status === "pending" ? "The webhook is not told yet" : "";
  return [job.alarm, poisoned, job.last_error, hook, job.reason].flatMap((each) => (each ? [sentence(each)] : [])).join(" ");
}

/** @param {OperatorJob} job */
function nextOf(job) {
  const next = job.next_poll_at ?? job.webhook?.next_try_at;
  return next ? (Date.parse(next) < now() ? "now" : whenWords(next, now())) : "none";
}

/** @param {OperatorJob} job */
function lastOf(job) {
  const last = job.webhook?.deliveries.at(-1);
  return last ? `${ago(last.at, now())}: ${last.problem ?? `answered ${last.status_code}`}` : "none yet";
}
