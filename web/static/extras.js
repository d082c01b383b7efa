/**
 * The fields for what a model takes besides prompt, size and length. Only these are shown and sent.
 * @module
 */

import { el } from "./dom.js";
import { shapeWords } from "./words.js";

/** @typedef {import("./options.js").Model} Model */

/** The names of the fields that may be shown. */
export const EXTRA_FIELDS = ["aspect_ratio", "resolution", "audio", "seed", "negative_prompt"];

/** The names of the files that may be picked. */
export const EXTRA_FILES = ["last_image", "reference_images"];

const AUDIO = [["", "Default"], ["true", "On"], ["false", "Off"]];
const KINDS = "image/png,image/jpeg,image/webp";

/** Whether an aspect ratio replaces the size. @param {Model} model */
export const choosesByShape = (model) => (model.aspect_ratios ?? []).length > 0;

/** The estimate for such videos has this name. @param {Model} model @param {Record<string, string>} values */
export function sizeOfShape(model, values) {
  const { aspect_ratio: ratio, resolution } = values;
  const sizes = (model.sizes ?? []).map((each) => each.size);
  return sizes.find((size) => isOf(size, ratio, resolution)) ?? [ratio, resolution].filter(Boolean).join(" ");
}

export class Extras {
  #holder;
  #shown = "";

  /** @param {HTMLElement} holder */
  constructor(holder) {
    this.#holder = holder;
  }

  /** Show what the model takes. Keep each choice that is still possible. @param {Model} model @param {Record<string, string>} kept */
  offer(model, kept) {
    const takes = [model.model, model.aspect_ratios, model.resolutions, model.last_image, model.reference_images, model.audio, model.seed, model.negative_prompt];
    const shown = JSON.stringify([takes, EXTRA_FIELDS.map((name) => kept[name] ?? "")]);
    if (shown === this.#shown) return; // keeps a picked file
    const files = this.files();
    this.#shown = shown;
    const ratios = choosesByShape(model) ? model.aspect_ratios ?? [] : [];
    const resolutions = ratios.length ? model.resolutions ?? [] : [];
    const ratio = chosen(ratios, kept.aspect_ratio, (each) => isOf(model.default_size, each, ""));
    const resolution = chosen(resolutions, kept.resolution, (each) => isOf(model.default_size, "", each));
    this.#holder.replaceChildren(
      ...[
        ratios.length > 0 && field("aspect_ratio", "Shape", radios("aspect_ratio", "Shape", ratios.map((each) => [each, each]), ratio, glyph)),
        resolutions.length > 1 && field("resolution", "Resolution", radios("resolution", "Resolution", resolutions.map((each) => [each, each]), resolution)),
        model.audio && field("audio", "Sound", radios("audio", "Sound", AUDIO, kept.audio ?? "")),
        model.last_image && field("last_image", "Last image", fileInput("last_image", "Last image", false)),
        model.reference_images > 0 && field("reference_images", "Reference images", fileInput("reference_images", "Reference images", model.reference_images > 1)),
        model.negative_prompt && field("negative_prompt", "Not in the video", el("input", { name: "negative_prompt", class: "control", maxlength: 4000, value: kept.negative_prompt, "aria-label": "Not in the video", "aria-describedby": "negative_prompt-error" })),
        model.seed && field("seed", "Seed", el("input", { name: "seed", class: "control", inputmode: "numeric", pattern: "[0-9]{1,10}", placeholder: "Another one each time", value: kept.seed, "aria-label": "Seed", "aria-describedby": "seed-error" })),
      ].filter(Boolean),
    );
    this.#holder.hidden = this.#holder.childElementCount === 0;
    for (const [name, picked] of files) this.#put(name, picked);
  }

  /** @returns {[string, File][]} what was picked, by its name; one name may come several times */
  files() {
    return [...this.#holder.querySelectorAll("input[type=file]")].flatMap((input) =>
      [.../** @type {HTMLInputElement} */ (input).files ?? []].map((file) => /** @type {[string, File]} */ ([/** @type {HTMLInputElement} */ (input).name, file])),
    );
  }

  /** Clears what was sent, so that the next request does not send it again. */
  clear() {
    for (const input of this.#holder.querySelectorAll("input[type=file]")) /** @type {HTMLInputElement} */ (input).value = "";
  }

  /** @param {string} name @param {File} file */
  #put(name, file) {
    const input = /** @type {HTMLInputElement|null} */ (this.#holder.querySelector(`input[type=file][name="${name}"]`));
    if (!input) return;
    const all = new DataTransfer();
    for (const each of [...(input.multiple ? input.files ?? [] : []), file]) all.items.add(each);
    input.files = all.files;
  }
}

/** @param {string[]} values @param {string|undefined} wanted @param {(each: string) => boolean} usual */
const chosen = (values, wanted, usual) => (wanted && values.includes(wanted) ? wanted : values.find(usual) ?? values[0] ?? "");

/** @param {string} name @param {string} label @param {HTMLElement} control */
function field(name, label, control) {
  return el("div", { class: "field" }, el("p", { class: "label", "aria-hidden": "true", text: label }), control, el("p", { id: `${name}-error`, class: "field-error" }));
}

/** @param {string} name @param {string} label @param {string[][]} choices @param {string} value @param {(each: string) => Node} [picture] */
function radios(name, label, choices, value, picture) {
  const one = (/** @type {string[]} */ [each, words]) => {
    const input = el("input", { type: "radio", name, value: each, checked: each === value, "aria-label": picture ? `${shapeWords(each)}, ${each}` : words, "aria-describedby": `${name}-error` });
    return el("label", { class: "choice-label" }, input, el("span", {}, picture ? picture(each) : null, words));
  };
  return el("div", { class: picture ? "segments shapes" : "segments", role: "radiogroup", "aria-label": label }, ...choices.map(one));
}

/** @param {string} name @param {string} label @param {boolean} multiple */
function fileInput(name, label, multiple) {
  return el("input", { type: "file", name, class: "control file", accept: KINDS, multiple, "aria-label": label, "aria-describedby": `${name}-error` });
}

/** A frame with that aspect ratio. @param {string} ratio */
export function glyph(ratio) {
  const frame = el("i", { class: "shape", "aria-hidden": "true" });
  const [width, height] = ratio.split(":").map(Number);
  if (width > 0 && height > 0) {
    frame.style.aspectRatio = `${width} / ${height}`;
    frame.classList.toggle("tall", height > width);
  } else frame.classList.add("any");
  return frame;
}

/** Whether a size has that aspect ratio and resolution, where they are given. @param {string} size @param {string} ratio @param {string} resolution */
function isOf(size, ratio, resolution) {
  const [width, height] = size.split("x").map(Number);
  const [across, down] = (ratio || `${width}:${height}`).split(":").map(Number);
  const lines = /^\d+p$/i.test(resolution) ? parseInt(resolution, 10) : resolution ? parseInt(resolution, 10) * 540 : 0;
  return Math.abs(width / height / (across / down) - 1) < 0.03 && (!lines || Math.min(width, height) === lines);
}
