/**
 * A table that is built again when its data has changed. If it has no rows, it says so.
 * @module
 */

import { el } from "./dom.js";

/** @typedef {Node|string} Cell */

/**
 * @param {HTMLElement} place
 * @param {string} name of the table, for who can't see it
 * @param {string[]} heads
 * @param {Cell[][]} rows
 * @param {string} nothing what to say where there are none
 */
export function showTable(place, name, heads, rows, nothing) {
  const text = JSON.stringify(rows.map((row) => row.map((cell) => (typeof cell === "string" ? cell : cell.textContent))));
  if (place.dataset.shown === text || place.contains(document.activeElement)) return; // somebody may be using a button in it
  place.dataset.shown = text;
  if (rows.length === 0) return place.replaceChildren(el("p", { class: "quiet", text: nothing }));
  const head = el("thead", {}, el("tr", {}, ...heads.map((text) => el("th", { scope: "col", text }))));
  const body = el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map((cell) => el("td", {}, cell)))));
  return place.replaceChildren(el("div", { class: "scroller", tabindex: "0", role: "group", "aria-label": name }, el("table", {}, head, body)));
}
