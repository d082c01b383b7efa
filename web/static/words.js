/**
 * Jobs in words: statuses, sizes, times, and what to do about an error.
 * @module
 */

/** @typedef {import("./jobs.js").Job} Job */

export const TERMINAL = new Set(["succeeded", "failed", "cancelled", "expired"]);

/** @param {Job} job */
export const isLive = (job) => !TERMINAL.has(job.status);

/**
 * What a job is doing, for people.
 * @param {Job} job
 * @param {string} [state] of its backend: `open`, `busy`, `on_hold` or `paused`
 */
export function statusWords(job, state = "") {
  if (job.cancel_requested_at && isLive(job) && !job.cancel_refused) return "Stopping";
  switch (job.status) {
    case "waiting":
      if (state === "on_hold") return "On hold";
      if (state === "paused") return "Paused";
      if (job.queue_position === 1) return "Next in line";
      return job.queue_position ? `${job.queue_position - 1} ahead of you` : "Waiting in line";
    case "submitting":
      return "Sending";
    case "queued":
      // It is polled seldom, so it may already be generating.
      return "Waiting at the video service";
    case "running":
      return "Generating";
    case "fetching":
      return "Saving to your storage";
    case "pending_download":
      return "Generated, download delayed";
    case "succeeded":
      return "Ready";
    case "failed":
      return "Failed";
    case "cancelled":
      return "Cancelled";
    case "expired":
      return "Expired";
    default:
      return job.status;
  }
}

/**
 * How a status is coloured: `live`, `good`, `bad`, `calm` or `warn`.
 * @param {Job} job
 * @param {string} [state] of its backend
 */
export function tone(job, state = "") {
  if (job.alarm || job.status === "pending_download") return "warn";
  if (job.status === "waiting" && isHeld(state)) return "warn";
  if (job.status === "succeeded") return "good";
  if (job.status === "failed" || job.status === "expired") return "bad";
  return job.status === "cancelled" || job.status === "waiting" ? "calm" : "live";
}

/** Whether a backend in this state takes no jobs until somebody acts. */
export const isHeld = (/** @type {string} */ state) => state === "on_hold" || state === "paused";

/** Whether the signed URLs of a video have ended. @param {import("./jobs.js").Video} video @param {number} now */
export const hasEnded = (video, now) => video.url_expires_at !== null && Date.parse(video.url_expires_at) <= now;

/** Whether the content filter refused it: other words help, a repeat does not. */
export const isRefused = (/** @type {Job} */ job) => job.error?.code === "moderation_blocked";

/** @param {string|null} size like 1280x720 */
export const sizeWords = (size) => (size ? size.replace("x", " × ") : "");

/** @param {string} size */
export function shapeOf(size) {
  const [width, height] = size.split("x").map(Number);
  return width > height ? "Landscape" : width < height ? "Portrait" : "Square";
}

/** @param {string} ratio like 16:9 */
export const shapeWords = (ratio) => (ratio.includes(":") ? shapeOf(ratio.replace(":", "x")) : "Any shape");

/** @param {number} count @param {string} one @param {string} [many] */
export const counted = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

/** @param {number} bytes */
export function bytesWords(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  const [value, unit] = bytes < 1e6 ? [bytes / 1e3, "kB"] : bytes < 1e9 ? [bytes / 1e6, "MB"] : [bytes / 1e9, "GB"];
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}

/** A duration in words. @param {number} seconds */
export function span(seconds) {
  if (seconds < 8) return "a few seconds";
  if (seconds < 55) return `${Math.round(seconds / 5) * 5} seconds`;
  if (seconds < 100) return seconds < 75 ? "a minute" : "a minute and a half";
  if (seconds < 55 * 60) return `${Math.round(seconds / 60)} minutes`;
  const hours = Math.round(seconds / 3600);
  return hours === 1 ? "an hour" : `${hours} hours`;
}

/** The same, as an estimate. @param {number} seconds */
export const roughly = (seconds) => (seconds < 8 ? span(seconds) : `about ${span(seconds)}`);

/** A time in words. @param {string} time RFC 3339 @param {number} now */
export function ago(time, now) {
  const seconds = (now - Date.parse(time)) / 1000;
  if (seconds < 45) return "just now";
  if (seconds < 90) return "a minute ago";
  if (seconds < 3600) return `${Math.round(seconds / 60)} minutes ago`;
  if (seconds < 5400) return "an hour ago";
  if (seconds < 79_200) return `${Math.round(seconds / 3600)} hours ago`;
  return new Date(time).toLocaleDateString(undefined, { day: "numeric", month: "short", year: "numeric" });
}

/** A time in the future: the time, and the day if it is not today. @param {string} time RFC 3339 @param {number} now */
export function whenWords(time, now) {
  const [then, today] = [new Date(time), new Date(now)];
  const days = Math.round((new Date(then).setHours(0, 0, 0, 0) - new Date(today).setHours(0, 0, 0, 0)) / 86_400_000);
  const hour = then.toLocaleTimeString(undefined, { hour: "numeric", minute: "2-digit" });
  if (days === 0) return hour;
  return `${days === 1 ? "tomorrow" : then.toLocaleDateString(undefined, { day: "numeric", month: "short" })} ${hour}`;
}

/** @param {number} seconds */
export function clockTime(seconds) {
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** @param {string} text @param {number} most */
export function shortened(text, most = 60) {
  const signs = [...text.slice(0, 2 * most)]; // no emoji is cut in two
  return signs.length > most ? `${signs.slice(0, most - 1).join("").trimEnd()}…` : text;
}

/** @param {string} text */
export const sentence = (text) => (text ? text[0].toUpperCase() + text.slice(1) + (/[.!?…)]$/.test(text) ? "" : ".") : "");

const INDEX = /\b(video) (\d+(?:, \d+)*(?=\))|\d+(?=[:,]| could not be fetched))/gi;

/** The app's texts name videos by index, from 0; the page counts from 1. @param {string} text */
export const fromOne = (text) => text.replace(INDEX, (_, video, indexes) => `${video} ${indexes.replace(/\d+/g, (/** @type {string} */ index) => String(Number(index) + 1))}`);

/** A short name of a job, for places with little room. @param {Job} job */
export const nameOf = (job) => (job.prompt ? `“${shortened(job.prompt, 48)}”` : "The imported job");
