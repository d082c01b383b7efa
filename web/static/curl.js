/**
 * A job as the command that asks for it again. The key stays here: a placeholder stands for it.
 * @module
 */

import { addressOf } from "./api.js";
import { EXTRA_FIELDS } from "./extras.js";

/** @typedef {import("./jobs.js").Job} Job */

const quoted = (/** @type {string} */ text) => `'${text.replaceAll("'", String.raw`'\''`)}'`;

/** @param {Job} job */
export function asCurl(job) {
  /** @type {Record<string, any>} */
  const body = { prompt: job.prompt, backend: job.backend.name, model: job.backend.model };
  if (job.size) body.size = job.size;
  if (job.seconds) body.seconds = job.seconds;
  if (job.variants > 1) body.variants = job.variants;
  for (const name of [...EXTRA_FIELDS, "options"]) {
    const value = /** @type {any} */ (job)[name];
    if (value !== null && value !== undefined) body[name] = value;
  }
  if (body.aspect_ratio || body.resolution) delete body.size;
  const images = [job.input_image && "input_image", job.last_image && "last_image", ...(job.reference_images ?? []).map(() => "reference_images")].filter(Boolean);
  const head = `curl ${quoted(addressOf("jobs"))} \\\n  -H "x-functions-key: $REELKEEP_KEY"`;
  if (!images.length) return `${head} \\\n  -H 'Content-Type: application/json' \\\n  --data-raw ${quoted(JSON.stringify(body))}`;
  const fields = Object.entries(body).map(([name, value]) => ` \\\n  --form-string ${quoted(`${name}=${typeof value === "object" ? JSON.stringify(value) : value}`)}`);
  return `${head}${fields.join("")} \\\n  ${images.map((name) => `-F ${name}=@YOUR_IMAGE`).join(" \\\n  ")}`;
}
