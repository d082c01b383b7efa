/**
 * Sizes as people choose them: first the shape, which is drawn, then the resolution.
 * @module
 */

import { byId, el, icon } from "./dom.js";
import { glyph } from "./extras.js";
import { shapeOf, sizeWords } from "./words.js";

/** @typedef {import("./options.js").Backend} Backend */

/** @type {Record<string, string>} */
const SHAPES = { Landscape: "16:9", Square: "1:1", Portrait: "9:16" };

/** @param {Backend} backend @param {string} chosen a size, like 1280x720 */
export function offerSizes(backend, chosen) {
  const holder = byId("size-holder");
  const { sizes } = backend;
  byId("shape-field").hidden = !sizes;
  if (!sizes) {
    const box = { id: "size", name: "size", class: "control", pattern: "[1-9][0-9]{1,4}x[1-9][0-9]{1,4}", value: chosen || backend.default_size, spellcheck: "false", "aria-describedby": "size-error" };
    return holder.replaceChildren(el("input", box));
  }
  const known = sizes.map(({ size }) => size);
  const size = known.includes(chosen) ? chosen : backend.default_size;
  const there = Object.keys(SHAPES).filter((shape) => known.some((each) => shapeOf(each) === shape));
  byId("shape-field").hidden = there.length < 2;
  byId("shape-holder").replaceChildren(shapeChoice(there, shapeOf(size), known));
  return showSizes(known, size);
}

/** For a model that takes an aspect ratio instead. */
export function offerNoSizes() {
  byId("shape-field").hidden = true;
  for (const name of ["shape", "size"]) byId(`${name}-holder`).replaceChildren();
}

/** The sizes of one shape. @param {string[]} known @param {string} size the one that is chosen */
function showSizes(known, size) {
  const alike = known.filter((each) => shapeOf(each) === shapeOf(size));
  const options = alike.map((each) => el("option", { value: each, text: `${quality(each)} · ${sizeWords(each)}` }));
  const select = el("select", { id: "size", name: "size", class: "control", "aria-describedby": "size-error size-note" }, ...options);
  select.value = size;
  byId("size-holder").replaceChildren(select, icon("chevron"));
}

/** @param {string[]} shapes @param {string} chosen @param {string[]} known */
function shapeChoice(shapes, chosen, known) {
  const choices = shapes.map((shape) => {
    const radio = el("input", { type: "radio", name: "shape", value: shape, checked: shape === chosen });
    // The same resolution in the other shape, if there is one.
    radio.addEventListener("change", () => showSizes(known, nearest(known, shape, byId("size").value)));
    return el("label", { class: "choice-label" }, radio, el("span", {}, glyph(SHAPES[shape]), shape));
  });
  return el("div", { class: "segments shapes", role: "radiogroup", "aria-label": "Shape" }, ...choices);
}

/** @param {string[]} known @param {string} shape @param {string} size */
function nearest(known, shape, size) {
  const alike = known.filter((each) => shapeOf(each) === shape);
  return alike.reduce((best, each) => (Math.abs(shorter(each) - shorter(size)) < Math.abs(shorter(best) - shorter(size)) ? each : best));
}

const shorter = (/** @type {string} */ size) => Math.min(...size.split("x").map(Number));

/** @param {string} size */
const quality = (size) => `${shorter(size)}p`;

/**
 * Why a job has fewer videos at this size than at others; empty if it has not.
 * @param {Backend} backend @param {string} size
 */
export function variantsNote(backend, size) {
  const most = Math.max(...(backend.sizes ?? []).map((each) => each.variants), 1);
  const here = backend.sizes?.find((each) => each.size === size)?.variants ?? 1;
  if (here >= most) return "";
  return `At ${quality(size)} this model makes ${here === 1 ? "one video" : `at most ${here} videos`} a job.`;
}
