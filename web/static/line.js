/**
 * A waiting job's times: how long until it begins, and how long it takes then.
 * @module
 */

import { estimateOf, withModel } from "./options.js";
import { roughly } from "./words.js";

/** @typedef {import("./jobs.js").Job} Job */
/** @typedef {import("./options.js").Backend} Backend */

/**
 * Empty if not known.
 * @param {Job} job
 * @param {Backend|undefined} backend
 */
export function lineWords(job, backend) {
  if (job.status !== "waiting" || !backend || !job.size) return "";
  const usual = estimateOf(withModel(backend, job.backend.model), job.size, job.seconds ?? 0)?.typical_seconds;
  const limit = backend.now?.running_limit;
  if (!usual || !limit || !job.queue_position || !["open", "busy"].includes(backend.now?.state ?? "")) return "";
  return `${roughly((usual * job.queue_position) / limit)}, then ${roughly(usual)}`;
}

/** How many jobs are in line before a new job, in words; empty if none. @param {Backend|undefined} backend */
export function aheadWords(backend) {
  const waiting = backend?.now?.waiting ?? 0;
  return waiting ? `${waiting} ahead of it in line.` : "";
}
