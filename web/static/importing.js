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
    const id = idIn(input.value);
    if (!id) return complain("This is no id. Nothing was sent. Paste one that begins with gen_, task_ or video_.");
    send.disabled = true;
    complain("");
    try {
      const named = id.startsWith("gen_") ? { generation_id: id } : { backend_job_id: id };
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

/** The id in the pasted text, which may be an address or a line of JSON. @param {string} text */
function idIn(text) {
  return /(?:gen|task|video)_[\w-]+/.exec(text)?.[0] ?? (/^\s*[^\s/]+\s*$/.test(text) ? text.trim() : "");
}

/** @param {string} words */
function complain(words) {
  const place = byId("import-error");
  if (words) place.replaceChildren(icon("alert"), words);
  else setText(place, "");
  byId("import-id").setAttribute("aria-invalid", String(Boolean(words)));
}
