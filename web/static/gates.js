/**
 * The backends' gates for the operator: the state of each, the jobs that have its slots, pause and resume.
 * @module
 */

import { now } from "./api.js";
import { byId, el } from "./dom.js";
import { showTable } from "./table.js";
import { ago, counted, sentence, whenWords } from "./words.js";

/**
 * @typedef {{job_id: string, owner: string, status: string|null, since: string, free_at: string|null,
 *     unconfirmed: boolean}} Slot
 * @typedef {{name: string, running: number, running_limit: number|null, creates_per_minute: number|null,
 *     waiting: number, paused_since: string|null, state: string, slots: Slot[],
 *     closed: {why: string, reason: string, until: string|null}|null}} Gate
 */

/** @type {Record<string, [string, string]>} words and colour */
const STATES = { open: ["Open", "good"], busy: ["Busy", "calm"], on_hold: ["On hold", "warn"], paused: ["Paused", "warn"] };

/** @param {Gate[]} gates @param {(name: string, word: "pause"|"resume") => void} act */
export function showGates(gates, act) {
  const place = byId("backends");
  for (const gate of gates) {
    const id = `gate-${gate.name}`;
    const box = document.getElementById(id) ?? el("article", { id, class: "gate", "aria-label": gate.name });
    if (!box.isConnected) place.append(box);
    showGate(/** @type {HTMLElement} */ (box), gate, act);
  }
}

/** @param {HTMLElement} box @param {Gate} gate @param {(name: string, word: "pause"|"resume") => void} act */
function showGate(box, gate, act) {
  const [words, tone] = STATES[gate.state] ?? [gate.state, "calm"];
  const shut = gate.paused_since !== null || gate.closed !== null;
  const word = shut ? "resume" : "pause";
  const button = el("button", { type: "button", class: "button small", "aria-label": `${word === "resume" ? "Resume" : "Pause"} ${gate.name}`, text: word === "resume" ? "Resume" : "Pause", on: { click: () => act(gate.name, word) } });
  const facts = [
    gate.running_limit === null ? `${gate.running} running` : `${gate.running} of ${counted(gate.running_limit, "slot")} taken`,
    `${gate.waiting} waiting`,
    gate.creates_per_minute === null ? "" : `${gate.creates_per_minute} creates a minute`,
  ].filter(Boolean);
  const slots = el("div", {});
  const why = whyShut(gate);
  const hadFocus = box.contains(document.activeElement);
  box.replaceChildren(
    el("div", { class: "gate-head" }, el("h3", { text: gate.name }), el("span", { class: `badge ${tone}`, text: words }), button),
    el("p", { class: "quiet tiny", text: facts.join(" · ") }),
    ...(why ? [el("p", { class: "said", text: why })] : []),
    slots,
  );
  showTable(slots, `Slots of ${gate.name}`, ["Slot held by", "Owner", "Status", "Since", "Until"], gate.slots.map(rowOf), "No slot is taken.");
  if (hadFocus) button.focus();
}

/** @param {Gate} gate */
function whyShut(gate) {
  if (gate.paused_since) return `Paused ${ago(gate.paused_since, now())}. New jobs wait; nothing is lost.`;
  if (!gate.closed) return "";
  const next = gate.closed.until ? ` The next job tries at ${whenWords(gate.closed.until, now())}.` : "";
  return `${sentence(gate.closed.reason)}${next}`;
}

/** @param {Slot} slot */
function rowOf(slot) {
  const until = slot.free_at ? whenWords(slot.free_at, now()) : "not known";
  return [el("code", { text: slot.job_id }), slot.owner, slot.unconfirmed ? "outcome unknown" : (slot.status ?? "unreadable"), ago(slot.since, now()), until];
}
