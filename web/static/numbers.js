/**
 * A field for a number: few choices side by side, many on a slider, any number in a box.
 * @module
 */

import { byId, el } from "./dom.js";

const SHORT_LIST = 5; // numbers that are shown side by side

/**
 * @param {string} name @param {string} label @param {number[]|null} numbers @param {number} chosen
 * @param {(value: number) => string} words
 */
export function offerNumbers(name, label, numbers, chosen, words) {
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
