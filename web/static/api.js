/**
 * All requests to the job API: the kinds of errors, the key, and the server's clock.
 * @module
 */

import * as keyring from "./keyring.js";

const ROOT = new URL("../", import.meta.url); // …/api/
const PATIENCE = 60_000; // milliseconds
const LONGEST_SUBMIT = 240_000; // HTTP answers are cut off at 230 s

/**
 * @typedef {{field: string, message: string}} FieldError
 * @typedef {{status: number, data: any, etag: string|null, retryAfter: number|null}} Answer `retryAfter` in seconds
 */

/** The API answered with a refusal. `message` is for people. */
export class Refusal extends Error {
  /**
   * @param {number} status
   * @param {any} body problem details, where it sent some
   * @param {number|null} retryAfter seconds
   */
  constructor(status, body, retryAfter) {
    super(body?.detail || body?.title || wordsFor(status));
    this.status = status;
    /** Empty if something before the app answered. Then nobody knows whether the app got the request. */
    this.code = /** @type {string} */ (body?.code ?? "");
    /** @type {FieldError[]} */
    this.errors = Array.isArray(body?.errors) ? body.errors : [];
    /** @type {string[]} */
    this.reasons = Array.isArray(body?.reasons) ? body.reasons : [];
    this.job = body?.job ?? null;
    this.retryAfter = retryAfter;
  }
}

/** Whether the app says that a job is gone. A host that starts answers 404, too, to every path. @param {unknown} error */
export const isGone = (error) => error instanceof Refusal && error.code === "job_not_found";

/** No answer came. Nobody knows whether the request arrived. */
export class Unreachable extends Error {
  constructor() {
    super("The app can’t be reached right now.");
  }
}

/** Sends the events `reachable` and `unreachable`, at each change. */
export const connection = new EventTarget();
let reachable = true;
let clockOffset = 0;

/** Milliseconds since 1970 by the server's clock, to the second. */
export const now = () => Date.now() + clockOffset;

/**
 * @param {string} method
 * @param {string} path below `/api/`
 * @param {{query?: Record<string, string|number|null|undefined>, headers?: Record<string, string>, json?: any,
 *     form?: FormData, signal?: AbortSignal, bytes?: boolean}} [options] `bytes`: the answer's data is a Blob
 * @returns {Promise<Answer>} with 2xx or 304
 * @throws {Refusal|Unreachable|DOMException} the last is an AbortError: the caller's own `signal`
 */
export async function call(method, path, options = {}) {
  for (let key = keyring.current(); ; ) {
    const response = await send(method, path, options, key);
    if (response.status === 401) {
      key = await keyring.nextKey(key);
      continue;
    }
    if (response.status !== 429) keyring.accepted();
    return read(response, options.bytes ?? false);
  }
}

/** The full address of a path below `/api/`. */
export const addressOf = (/** @type {string} */ path) => new URL(path, ROOT).href;

/**
 * @param {string} method
 * @param {string} path
 * @param {any} options
 * @param {string|null} key
 */
async function send(method, path, { query = {}, headers = {}, json, form, signal }, key) {
  const url = new URL(path, ROOT);
  for (const [name, value] of Object.entries(query)) if (value || value === 0) url.searchParams.set(name, String(value));
  const patience = AbortSignal.timeout(form || path === "jobs" ? LONGEST_SUBMIT : PATIENCE);
  try {
    const response = await fetch(url, {
      method,
      headers: {
        Accept: "application/json",
        ...(json === undefined ? {} : { "Content-Type": "application/json" }),
        ...(key === null ? {} : { "x-functions-key": key }),
        ...headers,
      },
      body: json === undefined ? form : JSON.stringify(json),
      cache: "no-store",
      redirect: "error",
      referrerPolicy: "no-referrer",
      signal: signal ? AbortSignal.any([signal, patience]) : patience,
    });
    noteReachable(response.status < 500 || isProblem(response)); // a gateway answers for an app that it can't reach
    return response;
  } catch (error) {
    if (signal?.aborted) throw error;
    noteReachable(false);
    throw new Unreachable();
  }
}

/** @param {Response} response @param {boolean} bytes */
async function read(response, bytes) {
  const date = Date.parse(response.headers.get("date") ?? "");
  if (date) clockOffset = Math.abs(date - Date.now()) > 2000 ? date - Date.now() : 0;
  const after = Number(response.headers.get("retry-after") ?? NaN);
  const retryAfter = Number.isFinite(after) ? after : null;
  let data = null;
  if (response.ok || isProblem(response)) {
    try {
      data = bytes && response.ok ? await response.blob() : await response.json();
    } catch {
      if (response.ok) throw new Unreachable(); // the body was cut off
    }
  }
  if (!response.ok && response.status !== 304) throw new Refusal(response.status, data, retryAfter);
  return { status: response.status, data, etag: response.headers.get("etag"), retryAfter };
}

/** Whether the app itself refused. @param {Response} response */
const isProblem = (response) => response.headers.get("content-type")?.startsWith("application/problem+json") ?? false;

/** @param {boolean} is */
function noteReachable(is) {
  if (is === reachable) return;
  reachable = is;
  connection.dispatchEvent(new Event(is ? "reachable" : "unreachable"));
}

/** @param {number} status */
function wordsFor(status) {
  if (status === 403) return "The app does not let this request through.";
  if (status === 404) return "The app does not know this any more.";
  if (status === 413) return "This is more than the app takes in one request.";
  if (status === 429) return "Too many requests at once.";
  return status >= 500 ? `The app has a problem (${status}).` : `The app refused this (${status}).`;
}
