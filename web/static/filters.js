/**
 * Which jobs are shown. What is chosen stands in the address, so that it can be kept, sent and gone back to.
 * @module
 */

import { byId } from "./dom.js";
import { FILTERS } from "./jobs.js";

const PARAMETER = "show";

/** What the address says. */
export function chosen() {
  const named = new URLSearchParams(location.search).get(PARAMETER) ?? "";
  return named in FILTERS ? named : "all";
}

/** @param {string} filter */
export function mark(filter) {
  for (const button of byId("filters").querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.value === filter));
  const url = new URL(location.href);
  if (filter === "all") url.searchParams.delete(PARAMETER);
  else url.searchParams.set(PARAMETER, filter);
  if (url.href !== location.href) history.pushState(null, "", url);
}

/** @param {(filter: string) => void} choose */
export function startFilters(choose) {
  byId("filters").addEventListener("click", (/** @type {Event} */ event) => {
    const button = /** @type {HTMLElement} */ (event.target).closest("button");
    if (button) choose(button.value);
  });
  addEventListener("popstate", () => choose(chosen()));
}
