/**
 * A job as the command that asks for it again. The key stays here: a placeholder stands for it.
 * @module
 */

import { addressOf } from "./api.js";

/** @typedef {import("./jobs.js").Job} Job */

const quoted = (/** @type {string} */ text) => `'${text.replaceAll("'", String.raw`'\''`)}'`;

/** @param {Job} job */
export function asCurl(job) {
  /** @type {Record<string, any>} */
  const body = { prompt: job.prompt, backend: job.backend.name };
  if (job.size) body.size = job.size;
  if (job.seconds) body.seconds = job.seconds;
  if (job.variants > 1) body.variants = job.variants;
  const head = `curl ${quoted(addressOf("jobs"))} \\\n  -H "x-functions-key: $REELKEEP_KEY"`;
  if (!job.input_image) return `${head} \\\n  -H 'Content-Type: application/json' \\\n  --data-raw ${quoted(JSON.stringify(body))}`;
  const fields = Object.entries(body).map(([name, value]) => ` \\\n  --form-string ${quoted(`${name}=${value}`)}`);
  return `${head}${fields.join("")} \\\n  -F input_image=@YOUR_IMAGE`;
}
