/**
 * The form: what is asked for, what the app says against it, and sending it exactly once.
 * @module
 */

import { Refusal, Unreachable, call } from "./api.js";
import { announce } from "./announcer.js";
import { attemptAnswered, attemptKey, keepDraft, readDraft } from "./draft.js";
import { byId, el, icon, setText } from "./dom.js";
import { EXTRA_FIELDS, EXTRA_FILES, Extras, choosesByShape, sizeOfShape } from "./extras.js";
import { estimateOf, readBackends, withModel } from "./options.js";
import { Picture } from "./picture.js";
import { counted, roughly, sentence, shapeOf, sizeWords, span } from "./words.js";

/** @typedef {import("./options.js").Backend} Backend */
/** @typedef {import("./jobs.js").Job} Job */

const FIELDS = ["prompt", "backend", "model", "size", "seconds", "variants", ...EXTRA_FIELDS];
const SHAPING = ["backend", "model", "size"]; // what else may be chosen depends on these
const PATIENCE = [1, 2, 4, 8, 15]; // seconds between tries that reach nobody
const PASSES = [408, 429, 500, 502, 503, 504]; // what hosts and gateways answer while they can't reach the app
const SHORT_LIST = 5; // seconds to choose from that are shown side by side

export class Composer {
  /** @type {Backend[]} */
  #backends = [];
  #form = byId("composer");
  #sending = false;
  #picture;
  #extras = new Extras(byId("extras"));
  #submitted;

  /** @param {(job: Job) => void} submitted */
  constructor(submitted) {
    this.#submitted = submitted;
    this.#picture = new Picture((words) => this.#complain("input_image", words), this.#form);
    this.#form.addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#send();
    });
    this.#form.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      this.#send();
    });
    this.#form.addEventListener("input", (/** @type {Event} */ event) => {
      this.#complain(/** @type {any} */ (event.target).name, "");
      if (SHAPING.includes(/** @type {any} */ (event.target).name)) this.#offer();
      this.#noteChange();
    });
    byId("prompt").value = readDraft().prompt ?? "";
    this.#noteChange();
    this.load();
  }

  /** Whether it knows what may be asked for. */
  get ready() {
    return this.#backends.length > 0;
  }

  /** What may be asked for, from the app. */
  async load() {
    try {
      this.#backends = await readBackends();
      this.#offer(readDraft());
      this.#banner(null);
    } catch (error) {
      this.#banner(/** @type {Error} */ (error));
    }
    this.#noteChange();
  }

  /** Fill in what a job was asked for. @param {Partial<Job> & {prompt: string}} job */
  use(job) {
    byId("prompt").value = job.prompt;
    /** @type {Record<string, string>} */
    const wanted = { backend: job.backend?.name ?? "", model: job.backend?.model ?? "" };
    for (const name of FIELDS.slice(3)) wanted[name] = String(/** @type {any} */ (job)[name] ?? "");
    this.#offer(wanted);
    this.#noteChange();
    byId("prompt").focus();
  }

  // --- what may be chosen ---

  get #named() {
    return this.#backends.find((each) => each.name === byId("backend").value) ?? this.#backends[0];
  }

  /** With what its chosen model takes. */
  get #backend() {
    return this.#named && withModel(this.#named, byId("model").value);
  }

  /** Show what the chosen backend makes at the chosen size; keep what is chosen where it can be. @param {Record<string, string>} [wanted] */
  #offer(wanted = {}) {
    const kept = { ...this.#values(), ...Object.fromEntries(Object.entries(wanted).filter(([, value]) => value)) };
    const backends = byId("backend");
    backends.replaceChildren(...this.#backends.map((each) => el("option", { value: each.name, text: each.models.length > 1 ? each.name : `${each.name} · ${each.model}` })));
    if (this.#backends.some((each) => each.name === kept.backend)) backends.value = kept.backend;
    byId("backend-field").hidden = this.#backends.length < 2;
    offerModels(this.#named?.models ?? [], kept.model || this.#named?.model);
    const backend = this.#backend;
    byId("choices").hidden = !backend;
    if (!backend) return;
    byId("image-field").hidden = !backend.image;
    if (!backend.image) this.#picture.clear();
    this.#extras.offer(backend, kept);
    byId("size-field").hidden = choosesByShape(backend);
    if (choosesByShape(backend)) byId("size-holder").replaceChildren();
    else offerSizes(backend, kept.size);
    const size = backend.sizes?.find((each) => each.size === this.#values().size);
    offerNumbers("seconds", "Seconds", size?.seconds ?? backend.seconds, Number(kept.seconds) || backend.default_seconds, (value) => `${value} s`);
    const most = backend.sizes ? size?.variants ?? 1 : 1;
    byId("variants-field").hidden = most < 2;
    offerNumbers("variants", "Variants", Array.from({ length: most }, (_, at) => at + 1), Number(kept.variants) || 1, String);
  }

  /** @returns {Record<string, string>} */
  #values() {
    const data = new FormData(this.#form);
    return Object.fromEntries(FIELDS.map((name) => [name, String(data.get(name) ?? "")]));
  }

  #noteChange() {
    const values = this.#values();
    keepDraft(this.ready ? values : { ...readDraft(), prompt: values.prompt });
    const { length } = values.prompt;
    setText(byId("prompt-length"), length > 1000 ? `${length.toLocaleString()} of 32,000 characters` : "");
    for (const output of this.#form.querySelectorAll("output[for]")) setText(output, `${this.#form.elements[output.htmlFor.value]?.value} s`);
    setText(byId("estimate-words"), this.#estimate(values));
  }

  /** @param {Record<string, string>} values */
  #estimate(values) {
    const backend = this.#backend;
    if (!backend) return "";
    const size = choosesByShape(backend) ? sizeOfShape(backend, values) : values.size;
    const estimate = estimateOf(backend, size, Number(values.seconds));
    if (!estimate) return "No estimate yet for videos like this.";
    return `Usually ${roughly(estimate.typical_seconds)}, seldom more than ${span(estimate.late_seconds)} (${counted(estimate.jobs, "earlier job")}).`;
  }

  // --- sending ---

  async #send() {
    if (this.#sending) return;
    const values = this.#values();
    for (const name of [...FIELDS, "input_image", ...EXTRA_FILES]) this.#complain(name, "");
    this.#banner(null);
    if (!values.prompt.trim()) return this.#refuse([{ field: "prompt", message: "Say what the video should show." }]);
    this.#busy(true);
    try {
      const { data } = await this.#post(values);
      byId("prompt").value = "";
      this.#picture.clear();
      this.#extras.clear();
      this.#noteChange();
      announce("Submitted. The new job is the first in the list.");
      this.#submitted(data);
    } catch (error) {
      if (!(error instanceof Refusal) && !(error instanceof Unreachable)) throw error;
      this.#fail(error);
    } finally {
      this.#busy(false);
    }
  }

  /** Sends until there is an answer; every time under the same key, so that it is paid for once. @param {Record<string, string>} values */
  async #post(values) {
    /** @type {[string, File][]} */
    const files = [...(this.#picture.file ? [/** @type {[string, File]} */ (["input_image", this.#picture.file])] : []), ...this.#extras.files()];
    const chosen = Object.fromEntries(Object.entries(values).filter(([name, value]) => value && !(name === "variants" && byId("variants-field").hidden)));
    const numbers = Object.fromEntries(["seconds", "variants"].filter((name) => chosen[name]).map((name) => [name, Number(chosen[name])]));
    const request = JSON.stringify([chosen, files.map(([name, file]) => [name, file.name, file.size, file.lastModified])]);
    const headers = { "Idempotency-Key": attemptKey(request) };
    const body = files.length ? { form: formOf(chosen, files) } : { json: { ...chosen, ...numbers } };
    for (let attempt = 0; ; attempt += 1) {
      try {
        const answer = await call("POST", "jobs", { headers, ...body });
        attemptAnswered();
        return answer;
      } catch (error) {
        const busy = error instanceof Refusal && !error.code && PASSES.includes(error.status);
        if (error instanceof Refusal && error.code && error.status < 500) attemptAnswered();
        if (!(error instanceof Unreachable || busy) || attempt === PATIENCE.length) throw error;
        setText(byId("send-words"), busy ? "The app is busy, trying again…" : "No connection, trying again…");
        await new Promise((resolve) => setTimeout(resolve, PATIENCE[attempt] * 1000));
      }
    }
  }

  /** @param {boolean} is */
  #busy(is) {
    this.#sending = is;
    const button = byId("send");
    button.setAttribute("aria-disabled", String(is));
    button.classList.toggle("busy", is);
    setText(byId("send-words"), is ? "Submitting…" : "Generate");
  }

  // --- what the app says ---

  /** @param {Refusal|Unreachable} error */
  #fail(error) {
    if (error instanceof Refusal && error.errors.length) {
      this.#refuse(error.errors);
      return;
    }
    if (error instanceof Refusal && error.job) this.#submitted(error.job);
    this.#banner(error);
    byId("banner").focus();
  }

  /** @param {import("./api.js").FieldError[]} errors */
  #refuse(errors) {
    const elsewhere = errors.filter(({ field, message }) => !this.#complain(field, message));
    if (elsewhere.length) this.#banner(new Error(elsewhere.map(({ field, message }) => `${field}: ${sentence(message)}`).join(" ")));
    (this.#form.querySelector("[aria-invalid=true]") ?? byId("banner")).focus();
  }

  /** Words beside a field; none take them away. False where there is no such field. @param {string} field @param {string} words */
  #complain(field, words) {
    const place = document.getElementById(`${field}-error`);
    if (!place) return false;
    const wanted = sentence(words);
    if (place.textContent === wanted) return true;
    place.replaceChildren(...(wanted ? [icon("alert"), wanted] : []));
    for (const control of this.#form.querySelectorAll(`[name="${field}"], [data-for="${field}"]`)) {
      if (wanted) control.setAttribute("aria-invalid", "true");
      else control.removeAttribute("aria-invalid");
    }
    return true;
  }

  /** @param {Error|null} error */
  #banner(error) {
    const banner = byId("banner");
    banner.hidden = !error;
    if (!error) return;
    const reasons = error instanceof Refusal ? error.reasons : [];
    const unknown = error instanceof Unreachable || (error instanceof Refusal && !error.code);
    const hint = unknown ? " Nothing is lost: send it again in a while, it is paid for once." : "";
    banner.replaceChildren(
      icon("alert"),
      el("div", {}, el("p", { text: `${sentence(error.message)}${hint}` }), reasons.length ? el("ul", {}, ...reasons.map((text) => el("li", { text }))) : null),
    );
  }
}

/** @param {Record<string, string>} fields @param {[string, File][]} files */
function formOf(fields, files) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.set(name, value);
  for (const [name, file] of files) form.append(name, file, file.name || "image");
  return form;
}

/** @param {import("./options.js").Model[]} models @param {string|undefined} chosen */
function offerModels(models, chosen) {
  const select = byId("model");
  select.replaceChildren(...models.map((each) => el("option", { value: each.model, text: each.model })));
  if (models.some((each) => each.model === chosen)) select.value = chosen;
  byId("model-field").hidden = models.length < 2;
  select.disabled = models.length < 2; // then the form leaves it out
}

/** @param {Backend} backend @param {string} chosen */
function offerSizes(backend, chosen) {
  const holder = byId("size-holder");
  if (!backend.sizes) {
    const input = el("input", { id: "size", name: "size", class: "control", pattern: "[1-9][0-9]{1,4}x[1-9][0-9]{1,4}", value: chosen || backend.default_size, spellcheck: "false", "aria-describedby": "size-error" });
    return holder.replaceChildren(input);
  }
  const groups = ["Landscape", "Square", "Portrait"].map((shape) => {
    const sizes = (backend.sizes ?? []).filter((each) => shapeOf(each.size) === shape);
    return sizes.length ? el("optgroup", { label: shape }, ...sizes.map(({ size }) => el("option", { value: size, text: sizeWords(size) }))) : null;
  });
  const select = el("select", { id: "size", name: "size", class: "control", "aria-describedby": "size-error" }, ...groups);
  select.value = backend.sizes.some((each) => each.size === chosen) ? chosen : backend.default_size;
  return holder.replaceChildren(select, icon("chevron"));
}

/**
 * Few numbers side by side, many on a slider, any in a box.
 * @param {string} name @param {string} label @param {number[]|null} numbers @param {number} chosen
 * @param {(value: number) => string} words
 */
function offerNumbers(name, label, numbers, chosen, words) {
  const holder = byId(`${name}-holder`);
  const describedBy = `${name}-error`;
  if (!numbers) {
    holder.replaceChildren(el("input", { type: "number", name, class: "control", min: 1, max: 3600, step: 1, value: chosen, "aria-label": label, "aria-describedby": describedBy }));
    return;
  }
  const value = numbers.includes(chosen) ? chosen : numbers.reduce((best, each) => (Math.abs(each - chosen) < Math.abs(best - chosen) ? each : best));
  const gapless = numbers.every((each, at) => each === numbers[0] + at);
  if (numbers.length > SHORT_LIST && gapless) {
    const slider = el("input", { type: "range", id: `${name}-slider`, name, min: numbers[0], max: numbers.at(-1), step: 1, value, "aria-label": label, "aria-describedby": describedBy });
    holder.replaceChildren(el("div", { class: "slider" }, slider, el("output", { for: name })));
    return;
  }
  const choice = (/** @type {number} */ each) =>
    el("label", { class: "choice-label" }, el("input", { type: "radio", name, value: each, checked: each === value, "aria-describedby": describedBy }), el("span", { text: words(each) }));
  holder.replaceChildren(el("div", { class: "segments", role: "radiogroup", "aria-label": label }, ...numbers.map(choice)));
}
