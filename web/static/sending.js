/**
 * Sends a job until there is an answer, each time with the same key, so that it is paid for once.
 * @module
 */

import { Refusal, Unreachable, call } from "./api.js";
import { attemptAnswered } from "./draft.js";

const PATIENCE = [1, 2, 4, 8, 15]; // seconds between tries that get no answer
const PASSES = [408, 429, 500, 502, 503, 504]; // hosts and gateways answer these while they can't reach the app

/**
 * @param {Record<string, string>} chosen the fields
 * @param {[string, File][]} files by the names of their fields
 * @param {string} key the idempotency key
 * @param {(words: string) => void} say shows why it takes long
 * @returns {Promise<import("./api.js").Answer>}
 * @throws {Refusal|Unreachable}
 */
export async function sendOnce(chosen, files, key, say) {
  const numbers = Object.fromEntries(["seconds", "variants"].filter((name) => chosen[name]).map((name) => [name, Number(chosen[name])]));
  const body = files.length ? { form: formOf(chosen, files) } : { json: { ...chosen, ...numbers } };
  for (let attempt = 0; ; attempt += 1) {
    try {
      const answer = await call("POST", "jobs", { headers: { "Idempotency-Key": key }, ...body });
      attemptAnswered(key);
      return answer;
    } catch (error) {
      const busy = error instanceof Refusal && !error.code && PASSES.includes(error.status);
      if (error instanceof Refusal && error.code && error.status < 500) attemptAnswered(key);
      if (!(error instanceof Unreachable || busy) || attempt === PATIENCE.length) throw error;
      say(busy ? "The app is busy, trying again…" : "No connection, trying again…");
      await new Promise((resolve) => setTimeout(resolve, PATIENCE[attempt] * 1000));
    }
  }
}

/** The fields whose files can't be read any more: nobody would answer such a request. @param {[string, File][]} files */
export async function unreadable(files) {
  const bad = [];
  for (const [name, file] of files) {
    const isThere = await file.slice(0, 1).arrayBuffer().then(() => true, () => false);
    if (!isThere) bad.push(name);
  }
  return bad;
}

/** @param {Record<string, string>} fields @param {[string, File][]} files */
function formOf(fields, files) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.set(name, value);
  for (const [name, file] of files) form.append(name, file, file.name || "image");
  return form;
}
