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
  if (place.dataset.shown === text) return;
  place.dataset.shown = text;
  const at = place.contains(document.activeElement) ? (document.activeElement?.getAttribute("aria-label") ?? "") : null;
  fill(place, name, heads, rows, nothing);
  if (at === null) return; // nothing in the table had the focus
  const same = [...place.querySelectorAll("button")].find((button) => button.getAttribute("aria-label") === at);
  place.tabIndex = -1;
  (same ?? place).focus();
}

/** @param {HTMLElement} place @param {string} name @param {string[]} heads @param {Cell[][]} rows @param {string} nothing */
function fill(place, name, heads, rows, nothing) {
  if (rows.length === 0) return place.replaceChildren(el("p", { class: "quiet", text: nothing }));
  // A narrow window shows each row as a box; without the roles it would no longer be announced as a table.
  const head = el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, ...heads.map((text) => el("th", { scope: "col", role: "columnheader", text }))));
  const row = (/** @type {Cell[]} */ cells) => el("tr", { role: "row" }, ...cells.map((cell, at) => el("td", { role: "cell", "data-head": heads[at] }, cell)));
  const table = el("table", { role: "table", "aria-label": name }, head, el("tbody", { role: "rowgroup" }, ...rows.map(row)));
  return place.replaceChildren(el("div", { class: "scroller", tabindex: "0", role: "group", "aria-label": name }, table));
}
