/**
 * A line above Generate if a new job would have to wait: it says why, and until when.
 * @module
 */

import { now } from "./api.js";
import { byId, el, icon } from "./dom.js";
import { isHeld, sentence, whenWords } from "./words.js";

/** @typedef {import("./options.js").Backend} Backend */

/** @param {Backend|undefined} backend */
export function showHold(backend) {
  const place = byId("hold");
  const state = backend?.now;
  const lines = state ? linesOf(state) : [];
  place.hidden = lines.length === 0;
  place.classList.toggle("warn", isHeld(state?.state ?? ""));
  const text = lines.join("\n");
  if (place.dataset.text === text) return; // a screen reader may be reading it
  place.dataset.text = text;
  place.replaceChildren(icon(isHeld(state?.state ?? "") ? "alert" : "clock"), el("div", {}, ...lines.map((line) => el("p", { text: line }))));
}

/** @param {import("./options.js").State} state */
function linesOf(state) {
  if (isHeld(state.state)) {
    const [what, until] = state.state === "paused" ? ["Paused.", "the operator resumes it"] : ["On hold.", "this is mended"];
    return [`${what} ${sentence(state.reason ?? "")}`, `A new job waits and is not billed; it goes ahead by itself once ${until}.`];
  }
  if (state.state !== "busy") return [];
  return [sentence(state.reason ?? ""), ...state.holders.map(holderWords)].filter(Boolean);
}

/** @param {import("./options.js").Holder} holder */
function holderWords(holder) {
  const free = holder.free_at && Date.parse(holder.free_at) > now() ? `, free at ${whenWords(holder.free_at, now())}` : "";
  const what = holder.unconfirmed ? "One of your jobs is being looked for: its request got no answer" : "One of your jobs has a slot";
  return free ? `${what}${free}.` : holder.unconfirmed ? `${what}.` : "";
}
