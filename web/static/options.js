/**
 * What a request may ask for, and how long a job usually takes.
 * @module
 */

import { call } from "./api.js";

/**
 * @typedef {{size: string, seconds: number[]|null, variants: number}} SizeOption
 * @typedef {{size: string, seconds: number, typical_seconds: number, late_seconds: number, jobs: number}} Estimate
 * @typedef {{job_id: string, status: string|null, unconfirmed: boolean, since: string, free_at: string|null}} Holder
 * @typedef {{state: string, reason: string|null, until: string|null, running: number, running_limit: number|null,
 *     waiting: number, holders: Holder[]}} State
 * @typedef {{model: string, default_size: string, default_seconds: number, sizes: SizeOption[]|null,
 *     seconds: number[]|null, aspect_ratios: string[]|null, resolutions: string[]|null, image: boolean,
 *     last_image: boolean, reference_images: number, audio: boolean, seed: boolean, negative_prompt: boolean,
 *     estimates: Estimate[]}} Model
 * @typedef {Model & {name: string, dialect: string, models: Model[], now?: State}} Backend
 */

/** @returns {Promise<Backend[]>} */
export const readBackends = async () => (await call("GET", "options")).data.backends;

/** A backend, with what its chosen model takes. @param {Backend} backend @param {string} model @returns {Backend} */
export function withModel(backend, model) {
  const found = model === backend.model ? undefined : backend.models.find((each) => each.model === model);
  return found ? { ...backend, ...found } : backend;
}

/** @param {Backend|undefined} backend @param {string} size @param {number} seconds @returns {Estimate|undefined} */
export const estimateOf = (backend, size, seconds) => backend?.estimates.find((each) => each.size === size && each.seconds === seconds);
