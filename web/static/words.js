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
 */
export function statusWords(job) {
  if (job.cancel_requested_at && isLive(job) && !job.cancel_refused) return "Stopping";
  switch (job.status) {
    case "waiting":
      if (job.queue_position === 1) return "Next in line";
      return job.queue_position ? `Number ${job.queue_position} in line` : "Waiting in line";
    case "submitting":
      return "Handing over";
    case "queued":
      // Polled seldom, so it may be generating by now.
      return "At the video API";
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

/** How a status is coloured: `live`, `good`, `bad`, `calm` or `warn`. */
export function tone(/** @type {Job} */ job) {
  if (job.alarm || job.status === "pending_download") return "warn";
  if (job.status === "succeeded") return "good";
  if (job.status === "failed" || job.status === "expired") return "bad";
  return job.status === "cancelled" || job.status === "waiting" ? "calm" : "live";
}

const ADVICE = {
  model_retired: "Choose another backend.",
  moderation_blocked: "Try other words.",
  submission_unconfirmed: "It may have been billed and was not sent again. A retry looks for it once more before it pays.",
  generation_failed: "A retry often works.",
  no_output: "A retry often works.",
  backend_lost_job: "A retry takes the video up if it is back.",
  expired: "A retry makes a new attempt.",
  input_image_missing: "Submit it again, with the image.",
  unverified_video: "It is stored all the same: look whether it plays.",
};

/** What to do about an error, if there is something. */
export const adviceFor = (/** @type {string} */ code) => ADVICE[/** @type {keyof typeof ADVICE} */ (code)] ?? "";

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

/** A length of time, as one says it. @param {number} seconds */
export function span(seconds) {
  if (seconds < 8) return "a few seconds";
  if (seconds < 55) return `${Math.round(seconds / 5) * 5} seconds`;
  if (seconds < 100) return seconds < 75 ? "a minute" : "a minute and a half";
  if (seconds < 55 * 60) return `${Math.round(seconds / 60)} minutes`;
  const hours = Math.round(seconds / 3600);
  return hours === 1 ? "an hour" : `${hours} hours`;
}

/** The same, as a guess. @param {number} seconds */
export const roughly = (seconds) => (seconds < 8 ? span(seconds) : `about ${span(seconds)}`);

/** A moment, as one says it. @param {string} time RFC 3339 @param {number} now */
export function ago(time, now) {
  const seconds = (now - Date.parse(time)) / 1000;
  if (seconds < 45) return "just now";
  if (seconds < 90) return "a minute ago";
  if (seconds < 3600) return `${Math.round(seconds / 60)} minutes ago`;
  if (seconds < 5400) return "an hour ago";
  if (seconds < 79_200) return `${Math.round(seconds / 3600)} hours ago`;
  return new Date(time).toLocaleDateString(undefined, { day: "numeric", month: "short", year: "numeric" });
}

/** @param {number} seconds */
export function clockTime(seconds) {
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** @param {string} text @param {number} most */
export const shortened = (text, most = 60) => (text.length > most ? `${text.slice(0, most - 1).trimEnd()}…` : text);

/** @param {string} text */
export const sentence = (text) => (text ? text[0].toUpperCase() + text.slice(1) + (/[.!?…)]$/.test(text) ? "" : ".") : "");

/** What a job is called where there is no room for it. @param {Job} job */
export const nameOf = (job) => (job.prompt ? `“${shortened(job.prompt, 48)}”` : "The imported job");
