/**
 * A job as code that makes the same request, in four languages. The code has a placeholder for the key.
 * @module
 */

import { addressOf } from "./api.js";
import { EXTRA_FIELDS } from "./extras.js";

/** @typedef {import("./jobs.js").Job} Job */

export const LANGUAGES = { curl: "curl", python: "Python", typescript: "TypeScript", openai: "OpenAI package" };

/** @param {Job} job @param {keyof typeof LANGUAGES} language @param {import("./options.js").Backend|undefined} backend the job's */
export function snippet(job, language, backend) {
  return { curl, python, typescript, openai }[language](job, bodyOf(job), backend);
}

/** @typedef {Record<string, any>} Body JSON */

/** @param {Job} job @returns {Body} */
function bodyOf(job) {
  /** @type {Body} */
  const body = { prompt: job.prompt, backend: job.backend.name, model: job.backend.model };
  if (job.size) body.size = job.size;
  if (job.seconds) body.seconds = job.seconds;
  if (job.variants > 1) body.variants = job.variants;
  for (const name of [...EXTRA_FIELDS, "options"]) {
    const value = /** @type {any} */ (job)[name];
    if (value !== null && value !== undefined) body[name] = value;
  }
  if (body.aspect_ratio || body.resolution) delete body.size;
  return body;
}

/** The names of the job's image fields; a field with several images appears once for each. @param {Job} job */
function imagesOf(job) {
  const references = (job.reference_images ?? []).map(() => "reference_images");
  return [...(job.input_image ? ["input_image"] : []), ...(job.last_image ? ["last_image"] : []), ...references];
}

/** The request's form fields. @param {Body} body @returns {[string, string][]} */
const formFields = (body) => Object.entries(body).map(([name, value]) => [name, typeof value === "object" ? JSON.stringify(value) : String(value)]);

const quoted = (/** @type {string} */ text) => `'${text.replaceAll("'", String.raw`'\''`)}'`;

/** @param {Job} job @param {Body} body */
function curl(job, body) {
  const head = `curl ${quoted(addressOf("jobs"))} \\\n  -H "x-functions-key: $REELKEEP_KEY"`;
  const images = imagesOf(job);
  if (!images.length) return `${head} \\\n  -H 'Content-Type: application/json' \\\n  --data-raw ${quoted(JSON.stringify(body))}`;
  const fields = formFields(body).map(([name, value]) => ` \\\n  --form-string ${quoted(`${name}=${value}`)}`);
  return `${head}${fields.join("")} \\\n  ${images.map((name) => `-F ${name}=@YOUR_IMAGE`).join(" \\\n  ")}`;
}

const PYTHONS = new Map([[null, "None"], [true, "True"], [false, "False"]]);

/** A JSON value, as Python writes it. @param {any} value @param {string} [indent] @returns {string} */
function literal(value, indent = "") {
  if (typeof value !== "object" || value === null) return PYTHONS.get(value) ?? JSON.stringify(value);
  const inner = `${indent}    `;
  const many = Array.isArray(value)
    ? value.map((each) => literal(each, inner))
    : Object.entries(value).map(([name, each]) => `${JSON.stringify(name)}: ${literal(each, inner)}`);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  return many.length ? `${open}\n${many.map((each) => `${inner}${each},\n`).join("")}${indent}${close}` : open + close;
}

/** @param {Job} job @param {Body} body */
function python(job, body) {
  const images = imagesOf(job).map((name) => `("${name}", open("YOUR_IMAGE", "rb"))`);
  const sent = images.length ? `data=${literal(Object.fromEntries(formFields(body)))}, files=[${images.join(", ")}]` : `json=${literal(body)}`;
  return `${["import os", "import time", "", "import requests"].join("\n")}

API = ${JSON.stringify(addressOf(""))}
KEY = {"x-functions-key": os.environ["REELKEEP_KEY"]}

job = requests.post(API + "jobs", headers=KEY, ${sent}).json()
while job["status"] not in ("succeeded", "failed", "cancelled", "expired"):
    time.sleep(5)
    job = requests.get(API + "jobs/" + job["id"], headers=KEY).json()
for video in job["videos"]:
    print(video["url"])
`;
}

/** @param {Job} job @param {Body} body */
function typescript(job, body) {
  const images = imagesOf(job);
  const form = [
    ...formFields(body).map(([name, value]) => `form.set(${JSON.stringify(name)}, ${JSON.stringify(value)});`),
    ...images.map((name) => `form.append("${name}", await openAsBlob("YOUR_IMAGE"), "YOUR_IMAGE");`),
  ];
  const made = images.length
    ? `const form = new FormData();\n${form.join("\n")}\n`
    : `const body = JSON.stringify(${JSON.stringify(body, null, 2)});\n`;
  const sent = images.length ? "headers, body: form" : `headers: { ...headers, "Content-Type": "application/json" }, body`;
  return `${images.length ? 'import { openAsBlob } from "node:fs";\n\n' : ""}const API = ${JSON.stringify(addressOf(""))};
const headers = { "x-functions-key": process.env.REELKEEP_KEY ?? "" };

${made}let job = await (await fetch(API + "jobs", { method: "POST", ${sent} })).json();
while (!["succeeded", "failed", "cancelled", "expired"].includes(job.status)) {
  await new Promise((resolve) => setTimeout(resolve, 5000));
  job = await (await fetch(API + "jobs/" + job.id, { headers })).json();
}
for (const video of job.videos) console.log(video.url);
`;
}

/** @param {Job} job @param {Body} body @param {import("./options.js").Backend|undefined} backend */
function openai(job, body, backend) {
  // In this API `model` names a backend (the job then uses its default model), or a model.
  const model = backend && backend.model !== body.model ? body.model : body.backend;
  const lines = [`    model=${JSON.stringify(model)},`, `    prompt=${JSON.stringify(body.prompt)},`];
  if (body.size) lines.push(`    size=${JSON.stringify(body.size)},`);
  if (body.seconds) lines.push(`    seconds=${JSON.stringify(String(body.seconds))},`);
  if (job.input_image) lines.push(`    input_reference=open("YOUR_IMAGE", "rb"),`);
  const extra = ["aspect_ratio", "resolution", "seed", "negative_prompt"].flatMap((name) => (name in body ? [[name, body[name]]] : []));
  if ("audio" in body) extra.push(["generate_audio", body.audio]);
  if (extra.length) lines.push(`    extra_body=${literal(Object.fromEntries(extra), "    ")},`);
  const notes = [
    job.variants > 1 ? "# This protocol makes one video a job.\n" : "",
    body.options ? "# It takes no options.\n" : "",
    job.last_image || job.reference_images?.length ? "# Other images than the first go into extra_body as data URLs: last_frame, reference_images.\n" : "",
  ];
  return `${["import os", "", "from openai import OpenAI"].join("\n")}

client = OpenAI(base_url=${JSON.stringify(addressOf("v1"))}, api_key=os.environ["REELKEEP_OPENAI_KEY"])

${notes.join("")}video = client.videos.create_and_poll(
${lines.join("\n")}
)
if video.status == "completed":
    client.videos.download_content(video.id).write_to_file("video.mp4")
`;
}
