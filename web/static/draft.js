/**
 * The text that is not sent yet, and the keys that make sending safe to repeat. Both survive a reload of the tab.
 * @module
 */

import { keep, kept } from "./kept.js";

const DRAFT = "reelkeep.draft";
const ATTEMPTS = "reelkeep.attempts";
const MOST_ATTEMPTS = 10;

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

/** The requests without an answer and their keys, the newest last. @returns {[string, string][]} */
function unanswered() {
  try {
    return JSON.parse(kept(ATTEMPTS) ?? "[]");
  } catch {
    return [];
  }
}

/**
 * The idempotency key for a request. It stays the same until the request is answered, also after a reload, and after others were sent.
 * @param {string} request what is about to be sent, in a form that two equal requests share
 */
export function attemptKey(request) {
  const known = unanswered().find(([sent]) => sent === request);
  if (known) return known[1];
  const fresh = `studio-${randomId()}`;
  keep(ATTEMPTS, JSON.stringify([...unanswered().slice(1 - MOST_ATTEMPTS), [request, fresh]]));
  return fresh;
}

/**
 * The fields with images of a request that is still under way, or was when the page closed. The images are lost.
 * @returns {[string, string][]}
 */
export function lostImages() {
  try {
    const [sent] = unanswered().at(-1) ?? [];
    return JSON.parse(sent ?? "[]")[1]?.map((/** @type {string[]} */ [field, name]) => [field, name]) ?? [];
  } catch {
    return [];
  }
}

/** The request with this key was answered. The next one gets a new key, even if it is equal. @param {string} key */
export function attemptAnswered(key) {
  keep(ATTEMPTS, JSON.stringify(unanswered().filter(([, each]) => each !== key)));
}

function randomId() {
  // crypto.randomUUID is there in secure contexts only.
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
