/**
 * Imports a video that was made elsewhere, by its id at the video service.
 * @module
 */

import { Refusal, Unreachable, call } from "./api.js";
import { byId, el, icon, setText } from "./dom.js";
import { explainRefusal, inOne } from "./explain.js";

/** @typedef {import("./jobs.js").Job} Job */

/** @param {import("./backends.js").Backends} backends @param {(job: Job) => void} show */
export function startImporting(backends, show) {
  const [dialog, input, send] = ["import", "import-id", "import-send"].map(byId);
  byId("import-open").addEventListener("click", () => {
    const choices = backends.list.map(({ name }) => el("option", { value: name, text: name }));
    byId("import-backend").replaceChildren(...choices);
    byId("import-backend-field").hidden = backends.list.length < 2;
    complain("");
    dialog.showModal();
    input.focus();
  });
  byId("import-close").addEventListener("click", () => dialog.close());
  byId("import-form").addEventListener("submit", async (/** @type {Event} */ event) => {
    event.preventDefault();
    const named = namedIn(input.value);
    if (!named) return complain("This is no id. Nothing was sent. Paste an id like task_… or video_…, or an address at the video service.");
    send.disabled = true;
    complain("");
    try {
      const backend = byId("import-backend").value;
      const { data } = await call("POST", "jobs/import", { json: backend ? { ...named, backend } : named });
      input.value = "";
      dialog.close();
      show(data);
    } catch (error) {
      if (!(error instanceof Refusal) && !(error instanceof Unreachable)) throw error;
      complain(inOne(explainRefusal(error, "import")));
    } finally {
      send.disabled = false;
    }
  });
}

/**
 * What the pasted text names: an id, an address at the video service, or its answer as JSON.
 * @param {string} text
 * @returns {Record<string, string> | null}
 */
function namedIn(text) {
  const known = /(?:gen|task|video)_[\w-]+/.exec(text)?.[0];
  if (known) return known.startsWith("gen_") ? { generation_id: known } : { backend_job_id: known };
  // fal finds a job only under its model, which its addresses name.
  const fal = /fal\.run\/([\w.-]+(?:\/[\w.-]+){1,2})\/requests\/([\w-]+)/.exec(text);
  if (fal) return { backend_job_id: fal[2], model: fal[1] };
  const inPath = /\/(?:tasks|predictions|videos|interactions)\/([\w.-]+)/.exec(text)?.[1];
  const inJson = /"(?:request_)?id"\s*:\s*"([^"\s]+)"/.exec(text)?.[1];
  const id = inPath ?? inJson ?? /^\s*([^\s/{}"]+)\s*$/.exec(text)?.[1];
  return id ? { backend_job_id: id } : null;
}

/** @param {string} words */
function complain(words) {
  const place = byId("import-error");
  if (words) place.replaceChildren(icon("alert"), words);
  else setText(place, "");
  byId("import-id").setAttribute("aria-invalid", String(Boolean(words)));
}
