/**
 * The errors of a submit: a message beside a field, and a banner in three parts above the form.
 * @module
 */

import { Refusal, Unreachable } from "./api.js";
import { byId, el, icon } from "./dom.js";
import { explainRefusal } from "./explain.js";
import { sentence } from "./words.js";

/** Shows a message beside a field; an empty one removes it. False if no such field is shown. @param {string} field @param {string} words */
export function complain(field, words) {
  const place = document.getElementById(`${field}-error`);
  const wanted = sentence(words);
  if (!place || (wanted && place.closest(".field[hidden], .extras[hidden]"))) return false;
  if (place.textContent === wanted) return true;
  place.replaceChildren(...(wanted ? [icon("alert"), wanted] : []));
  for (const control of byId("composer").querySelectorAll(`[name="${field}"], [data-for="${field}"]`)) {
    if (wanted) control.setAttribute("aria-invalid", "true");
    else control.removeAttribute("aria-invalid");
  }
  return true;
}

/** @param {Error|null} error null hides the banner @param {"submit"|"read"} [kind] */
export function showBanner(error, kind = "submit") {
  const banner = byId("banner");
  banner.hidden = !error;
  if (!error) return;
  const reasons = error instanceof Refusal ? error.reasons : [];
  const isOurs = error instanceof Refusal || error instanceof Unreachable;
  const { what, means, todo } = isOurs ? explainRefusal(error, kind) : { what: sentence(error.message), means: "", todo: "" };
  const listed = reasons.length ? el("ul", {}, ...reasons.map((text) => el("li", { text }))) : null;
  banner.replaceChildren(icon("alert"), el("div", {}, el("p", { text: what }), listed, el("p", { text: [means, todo].filter(Boolean).join(" ") })));
}
