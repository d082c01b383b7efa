/**
 * Says what happened: politely to screen readers, and to others in a note that disappears by itself.
 * @module
 */

import { byId, el, icon, setText } from "./dom.js";

const STAYS = 6000; // milliseconds

/** Only for screen readers: others see it on the card itself. @param {string} words */
export function announce(words) {
  const region = byId("live-region");
  // A screen reader repeats the same words only if the region was empty in between.
  setText(region, "");
  requestAnimationFrame(() => setText(region, words));
}

/** @param {string} words @param {"good"|"bad"} [tone] */
export function toast(words, tone = "good") {
  const note = el("p", { class: `toast ${tone}` }, icon(tone === "good" ? "check" : "alert"), el("span", { text: words }));
  byId("toasts").append(note);
  setTimeout(() => note.remove(), STAYS);
}
