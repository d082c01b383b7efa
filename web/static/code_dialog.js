/**
 * Shows a job as code, in one language at a time, and copies it.
 * @module
 */

import { copy } from "./clipboard.js";
import { byId, el, setText } from "./dom.js";
import { keep, kept } from "./kept.js";
import { LANGUAGES, snippet } from "./snippets.js";

/** @typedef {import("./jobs.js").Job} Job */

const CHOICE = "reelkeep.language";

/** @param {Job} job @param {import("./options.js").Backend|undefined} backend the job's */
export function showCode(job, backend) {
  const chosen = kept(CHOICE) ?? "curl";
  let language = /** @type {keyof typeof LANGUAGES} */ (chosen in LANGUAGES ? chosen : "curl");
  const choices = Object.entries(LANGUAGES).map(([value, words]) => el("option", { value, text: words }));
  const show = () => setText(byId("code-text"), snippet(job, language, backend));
  const select = byId("code-language");
  select.replaceChildren(...choices);
  select.value = language;
  select.onchange = () => {
    language = select.value;
    keep(CHOICE, language);
    show();
  };
  byId("code-copy").onclick = () => copy(snippet(job, language, backend), "The code was");
  byId("code-close").onclick = () => byId("code").close();
  show();
  byId("code").showModal();
}
