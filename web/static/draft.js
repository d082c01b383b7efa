/**
 * The text that is not sent yet, and the key that makes sending safe to repeat. Both survive a reload of the tab.
 * @module
 */

import { drop, keep, kept } from "./kept.js";

const DRAFT = "reelkeep.draft";
const ATTEMPT = "reelkeep.attempt";

/** @returns {Record<string, string>} */
export function readDraft() {
  try {
    return JSON.parse(kept(DRAFT) ?? "{}") ?? {};
  } catch {
    return {};
  }
}

/** @param {Record<string, string>} fields */
export function keepDraft(fields) {
  keep(DRAFT, JSON.stringify(fields));
}

/**
 * The idempotency key for a request. It stays the same until the request is answered, also after a reload.
 * @param {string} request what is about to be sent, in a form that two equal requests share
 */
export function attemptKey(request) {
  const [sent, key] = JSON.parse(kept(ATTEMPT) ?? "[]");
  if (sent === request) return key;
  const fresh = `studio-${randomId()}`;
  keep(ATTEMPT, JSON.stringify([request, fresh]));
  return fresh;
}

/**
 * The fields with images of a request that is still under way, or was when the page closed. The images are lost.
 * @returns {[string, string][]}
 */
export function lostImages() {
  try {
    const [sent] = JSON.parse(kept(ATTEMPT) ?? "[]");
    return JSON.parse(sent ?? "[]")[1]?.map((/** @type {string[]} */ [field, name]) => [field, name]) ?? [];
  } catch {
    return [];
  }
}

/** The request was answered. The next request gets a new key, even if it is equal. */
export function attemptAnswered() {
  drop(ATTEMPT);
}

function randomId() {
  // crypto.randomUUID is there in secure contexts only.
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
