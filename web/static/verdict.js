/**
 * The verdict at the top of the operator's page: what is wrong, with a link to where it is mended, or that nothing is wrong.
 * @module
 */

import { el, icon } from "./dom.js";
import { counted, whenWords } from "./words.js";
import { now } from "./api.js";

/** @typedef {{count: number, more: boolean}} Found in one read; `more`: the list has other pages */
/**
 * @typedef {{gates: import("./gates.js").Gate[], poisoned: number, attention: Found, givenUp: Found}} Findings
 */

/** @param {HTMLElement} place @param {Findings|null} findings null if they could not be read */
export function showVerdict(place, findings) {
  /** @type {[string, string][]} */
  const unread = [["Not everything could be read. What is shown below may be old.", "backends"]];
  const lines = findings ? linesOf(findings) : unread;
  const text = lines.map(([words]) => words).join("\n");
  if (place.dataset.text === text) return; // a screen reader may be reading it
  place.dataset.text = text;
  place.classList.toggle("well", lines.length === 0);
  if (lines.length === 0) return place.replaceChildren(icon("check"), el("p", { text: "All is well: every backend is open, and nothing needs you." }));
  const rows = lines.map(([words, part]) => el("li", {}, el("a", { href: `#${part}-heading`, text: words })));
  return place.replaceChildren(icon("alert"), el("ul", {}, ...rows));
}

/** @param {Findings} findings @returns {[string, string][]} words, and the part of the page */
function linesOf({ gates, poisoned, attention, givenUp }) {
  /** @type {[string, string][]} */
  const lines = gates.flatMap((gate) => (wordsOfGate(gate) ? [[wordsOfGate(gate), "backends"]] : []));
  if (poisoned) lines.push([`${counted(poisoned, "message")} failed too often. The sweeper takes them within a minute.`, "queues"]);
  if (attention.count) lines.push([`${found(attention, "job needs", "jobs need")} attention.`, "attention"]);
  else if (attention.more) lines.push(["No job in this part of the list needs attention. Read on to see the others.", "attention"]);
  if (givenUp.count) lines.push([`${found(givenUp, "webhook was", "webhooks were")} given up.`, "webhooks"]);
  return lines;
}

/** @param {import("./gates.js").Gate} gate */
function wordsOfGate(gate) {
  const waiting = gate.waiting ? ` ${counted(gate.waiting, "job waits", "jobs wait")}.` : "";
  if (gate.paused_since) return `${gate.name} is paused.${waiting}`;
  if (!gate.closed) return "";
  const until = gate.closed.until ? ` The next try is at ${whenWords(gate.closed.until, now())}.` : "";
  return `${gate.name} is on hold.${waiting}${until}`;
}

/** @param {Found} found @param {string} one @param {string} many */
const found = ({ count, more }, one, many) => (more ? `${count}+ ${many}` : counted(count, one, many));
