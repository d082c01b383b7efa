/**
 * Says what happened: to screen readers politely, to everybody else in a note that goes by itself.
 * @module
 */

import { byId, el, icon, setText } from "./dom.js";

const STAYS = 6000; // milliseconds

/** Only for who does not see it: what others see on the card itself. @param {string} words */
export function announce(words) {
  const region = byId("live-region");
  // The same words twice are said twice only when the region was empty in between.
  setText(region, "");
  requestAnimationFrame(() => setText(region, words));
}

/** @param {string} words @param {"good"|"bad"} [tone] */
export function toast(words, tone = "good") {
  const note = el("p", { class: `toast ${tone}` }, icon(tone === "good" ? "check" : "alert"), el("span", { text: words }));
  byId("toasts").append(note);
  setTimeout(() => note.remove(), STAYS);
}
