/**
 * The form: it shows the fields and the choices, and makes exactly one job from each submit.
 * @module
 */

import { Refusal, Unreachable } from "./api.js";
import { announce } from "./announcer.js";
import { attemptKey, keepDraft, lostImages, readDraft } from "./draft.js";
import { complain, showBanner } from "./complaints.js";
import { byId, el, setText } from "./dom.js";
import { EditedImage } from "./edited.js";
import { EXTRA_FIELDS, EXTRA_FILES, Extras, choosesByShape, sizeOfShape } from "./extras.js";
import { showHold } from "./hold.js";
import { aheadWords } from "./line.js";
import { offerNumbers } from "./numbers.js";
import { estimateOf, withModel } from "./options.js";
import { Picture } from "./picture.js";
import { sendOnce, unreadable } from "./sending.js";
import { offerNoSizes, offerSizes, variantsNote } from "./sizes.js";
import { counted, isHeld, roughly, sentence, span } from "./words.js";

/** @typedef {import("./options.js").Backend} Backend */
/** @typedef {import("./jobs.js").Job} Job */

const FIELDS = ["prompt", "backend", "model", "size", "seconds", "variants", ...EXTRA_FIELDS];
const SHAPING = ["backend", "model", "shape", "size"]; // the choices of the other fields depend on these
const AGAIN = 8000; // milliseconds until the options are read again that could not be read
const CLICKS = 1000; // milliseconds after a submit in which another click is the same one

export class Composer {
  #store;
  #form = byId("composer");
  #sending = false;
  #sentAt = -CLICKS;
  #sent = ""; // what was submitted last
  #offered = ""; // the options from which the fields were made
  #lost = lostImages();
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #again;
  #picture;
  #edited;
  #extras = new Extras(byId("extras"));
  #submitted;

  /** @param {(job: Job) => void} submitted @param {import("./backends.js").Backends} backends */
  constructor(submitted, backends) {
    this.#submitted = submitted;
    this.#store = backends;
    backends.addEventListener("change", () => this.#refresh());
    const complainOfImage = (/** @type {string} */ words) => void complain("input_image", words);
    this.#picture = new Picture(complainOfImage, this.#form);
    this.#edited = new EditedImage(this.#picture, complainOfImage);
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
      complain(/** @type {any} */ (event.target).name, "");
      if (SHAPING.includes(/** @type {any} */ (event.target).name)) this.#offer();
      this.#noteChange();
    });
    const fold = byId("fold");
    fold.addEventListener("click", () => fold.setAttribute("aria-expanded", String(fold.getAttribute("aria-expanded") !== "true")));
    byId("prompt").value = readDraft().prompt ?? "";
    this.#sayLost("Add it again, and the same request is sent");
    this.#noteChange();
    this.load();
  }

  /** Whether the form knows the options. */
  get ready() {
    return this.#store.loaded;
  }

  get #backends() {
    return this.#store.list;
  }

  /** The options that the app offers. */
  async load() {
    try {
      await this.#store.load();
      showBanner(null);
    } catch (error) {
      showBanner(/** @type {Error} */ (error), "read");
      clearTimeout(this.#again);
      this.#again = setTimeout(() => this.ready || this.load(), AGAIN);
    }
    this.#noteChange();
  }

  /** The app has answered again what the backends offer and how they stand. Only fields that differ change. */
  #refresh() {
    const what = JSON.stringify(this.#backends.map(({ now, estimates, models, ...rest }) => [rest, models.map(({ estimates: learned, ...model }) => model)]));
    if (what !== this.#offered) this.#offer(this.#offered ? {} : readDraft());
    if (!this.#offered) this.#sayLost("Add it again, and the same request is sent");
    this.#offered = what;
    this.#noteChange();
  }

  /** A message beside each field whose image was lost with a reload and not picked again. @param {string} todo @returns {boolean} whether there is one */
  #sayLost(todo) {
    const here = this.#files().map(([field]) => field);
    const lost = this.#lost.filter(([field]) => !here.includes(field));
    for (const [field, name] of lost) complain(field, `Before the reload there was an image, ${name}. ${todo}`);
    return lost.length > 0;
  }

  /** Fill in the request of a job, with its image. @param {Partial<Job> & {prompt: string}} job */
  use(job) {
    this.#picture.clear();
    this.#extras.clear();
    this.#edited.begin(job);
    byId("prompt").value = job.prompt;
    /** @type {Record<string, string>} */
    const wanted = { backend: job.backend?.name ?? "", model: job.backend?.model ?? "" };
    for (const name of FIELDS.slice(3)) wanted[name] = String(/** @type {any} */ (job)[name] ?? "");
    this.#offer(wanted);
    complain("last_image", job.last_image ? "The job had an image here. Add it again" : "");
    const count = job.reference_images?.length ?? 0;
    complain("reference_images", count ? `The job had ${counted(count, "image")} here. Add ${count > 1 ? "them" : "it"} again` : "");
    this.#noteChange();
    byId("prompt").focus();
  }

  // --- what may be chosen ---

  get #named() {
    return this.#backends.find((each) => each.name === byId("backend").value) ?? this.#backends[0];
  }

  /** The backend, with what its chosen model takes. */
  get #backend() {
    return this.#named && withModel(this.#named, byId("model").value);
  }

  /** Show what the chosen backend makes at the chosen size. Keep each choice that is still possible. @param {Record<string, string>} [wanted] */
  #offer(wanted = {}) {
    const kept = { ...this.#values(), ...Object.fromEntries(Object.entries(wanted).filter(([name, value]) => value || EXTRA_FIELDS.includes(name))) };
    const backends = byId("backend");
    backends.replaceChildren(...this.#backends.map((each) => el("option", { value: each.name, text: each.models.length > 1 ? each.name : `${each.name} · ${each.model}` })));
    if (this.#backends.some((each) => each.name === kept.backend)) backends.value = kept.backend;
    byId("backend-field").hidden = this.#backends.length < 2;
    offerModels(this.#named?.models ?? [], kept.model || this.#named?.model);
    const backend = this.#backend;
    byId("choices").hidden = !backend;
    byId("choices-wait").hidden = true;
    if (!backend) return;
    byId("image-field").hidden = !backend.image;
    this.#extras.offer(backend, kept);
    byId("size-field").hidden = choosesByShape(backend);
    if (choosesByShape(backend)) offerNoSizes();
    else offerSizes(backend, kept.size);
    const size = backend.sizes?.find((each) => each.size === this.#values().size);
    offerNumbers("seconds", "Seconds", size?.seconds ?? backend.seconds, Number(kept.seconds) || backend.default_seconds, (value) => `${value} s`);
    const most = backend.sizes ? size?.variants ?? 1 : 1;
    byId("variants-field").hidden = most < 2;
    setText(byId("size-note"), variantsNote(backend, this.#values().size));
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
    showHold(this.#backend);
    if (!this.#sending) setText(byId("send-words"), this.#isSent(values) ? "Generate another" : "Generate");
  }

  /** Whether the same request was just submitted. @param {Record<string, string>} values */
  #isSent(values) {
    return this.#sent === this.#request(values);
  }

  /** The images that were picked, by the names of their fields. */
  #files() {
    const first = byId("image-field").hidden ? null : this.#picture.file;
    return [...(first ? [/** @type {[string, File]} */ (["input_image", first])] : []), ...this.#extras.files()];
  }

  /** The request as text, so that equal requests give the same text. @param {Record<string, string>} values */
  #request(values) {
    return JSON.stringify([values, this.#files().map(([name, file]) => [name, file.name, file.size, file.lastModified])]);
  }

  /** @param {Record<string, string>} values */
  #estimate(values) {
    const backend = this.#backend;
    if (!backend || isHeld(backend.now?.state ?? "")) return "";
    const ahead = aheadWords(backend);
    const size = choosesByShape(backend) ? sizeOfShape(backend, values) : values.size;
    const estimate = estimateOf(backend, size, Number(values.seconds));
    if (!estimate) return ahead || "No estimate yet for videos like this.";
    const [typical, late] = [span(estimate.typical_seconds), span(estimate.late_seconds)];
    const seldom = late === typical ? "" : `, seldom more than ${late}`;
    const usual = `Usually ${roughly(estimate.typical_seconds)}${seldom} (${counted(estimate.jobs, "earlier job")}).`;
    return [ahead, usual].filter(Boolean).join(" ");
  }

  // --- sending ---

  async #send() {
    if (this.#sending || performance.now() - this.#sentAt < CLICKS) return;
    if (!this.ready) {
      // Without the fields that are not loaded yet, the request would differ from the one before a reload.
      this.#busy(true, "Loading…");
      await this.load();
      this.#busy(false);
      if (!this.ready) return;
    }
    if (this.#edited.coming) {
      this.#busy(true, "Loading…");
      const isHere = await this.#edited.coming;
      this.#busy(false);
      if (!isHere) return this.#refuse([]);
    }
    const isLost = this.#sayLost("Nothing was sent. Add it again, or press Generate once more to go on without it");
    this.#lost = []; // the warning comes once: a second submit is meant
    if (isLost) return this.#refuse([]);
    const values = this.#values();
    for (const name of [...FIELDS, "input_image", ...EXTRA_FILES]) complain(name, "");
    showBanner(null);
    if (!values.prompt.trim()) return this.#refuse([{ field: "prompt", message: "Say what the video should show." }]);
    this.#busy(true);
    try {
      for (const name of await unreadable(this.#files())) complain(name, "This file was changed or removed after it was picked. Nothing was sent. Pick it again");
      if (this.#form.querySelector("[aria-invalid=true]")) return this.#refuse([]);
      const chosen = Object.fromEntries(Object.entries(values).filter(([name, value]) => value && !(name === "variants" && byId("variants-field").hidden)));
      const { data } = await sendOnce(chosen, this.#files(), attemptKey(this.#request(chosen)), (words) => setText(byId("send-words"), words));
      this.#sent = this.#request(values);
      this.#sentAt = performance.now();
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

  /** @param {boolean} is @param {string} [words] */
  #busy(is, words = "Submitting…") {
    this.#sending = is;
    const button = byId("send");
    button.setAttribute("aria-disabled", String(is));
    button.classList.toggle("busy", is);
    setText(byId("send-words"), is ? words : this.#isSent(this.#values()) ? "Generate another" : "Generate");
  }

  // --- what the app says ---

  /** @param {Refusal|Unreachable} error */
  #fail(error) {
    if (error instanceof Refusal && error.errors.length) {
      this.#refuse(error.errors);
      return;
    }
    if (error instanceof Refusal && error.job) this.#submitted(error.job);
    showBanner(error, "submit");
    byId("banner").focus();
  }

  /** @param {import("./api.js").FieldError[]} errors */
  #refuse(errors) {
    const elsewhere = errors.filter(({ field, message }) => !complain(field, message));
    const said = elsewhere.map(({ field, message }) => `${field}: ${sentence(message)}`).join(" ");
    if (errors.length) showBanner(new Error(`${said} Nothing was sent, and nothing is billed. Change what is named, and press Generate again.`.trim()));
    const wrong = this.#form.querySelector("[aria-invalid=true]");
    if (wrong?.closest("#choices, #extras")) byId("fold").setAttribute("aria-expanded", "true");
    (wrong ?? byId("banner")).focus();
  }
}

/** @param {import("./options.js").Model[]} models @param {string|undefined} chosen */
function offerModels(models, chosen) {
  const select = byId("model");
  select.replaceChildren(...models.map((each) => el("option", { value: each.model, text: each.model })));
  if (models.some((each) => each.model === chosen)) select.value = chosen;
  byId("model-field").hidden = models.length < 2;
  select.disabled = models.length < 2; // the form does not send a disabled field
}
