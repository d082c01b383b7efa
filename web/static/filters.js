/**
 * Which jobs are shown. The address contains the choice, so that people can keep it, send it and go back to it.
 * @module
 */

import { byId } from "./dom.js";
import { FILTERS } from "./jobs.js";
import { chosenWhere } from "./search.js";

const PARAMETER = "show";

/** The filter in the address. */
export function chosen() {
  const named = new URLSearchParams(location.search).get(PARAMETER) ?? "";
  return named in FILTERS ? named : "all";
}

/** Fills in backend and day from the address. */
export function takeFromAddress() {
  const said = new URLSearchParams(location.search);
  const backend = said.get("backend") ?? "";
  const select = byId("where-backend");
  // The backends may not be known yet. The filter in the address is valid anyway.
  if (backend && ![...select.options].some((each) => each.value === backend)) select.append(new Option(backend, backend));
  select.value = backend;
  byId("where-day").value = said.get("day") ?? "";
}

/** @param {string} filter */
export function mark(filter) {
  for (const button of byId("filters").querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.value === filter));
  const url = new URL(location.href);
  const wanted = { [PARAMETER]: filter === "all" ? "" : filter, ...chosenWhere() };
  for (const [name, value] of Object.entries(wanted)) {
    if (value) url.searchParams.set(name, value);
    else url.searchParams.delete(name);
  }
  if (url.href !== location.href) history.pushState(null, "", url);
}

/** @param {(filter: string) => void} choose */
export function startFilters(choose) {
  byId("filters").addEventListener("click", (/** @type {Event} */ event) => {
    const button = /** @type {HTMLElement} */ (event.target).closest("button");
    if (button) choose(button.value);
  });
  addEventListener("popstate", () => {
    takeFromAddress();
    choose(chosen());
  });
}
