/**
 * Finds jobs. Words of the prompt search the loaded jobs; backend and day ask the app.
 * @module
 */

import { byId, el } from "./dom.js";

/** @typedef {import("./jobs.js").Job} Job */

const PAUSE = 250; // milliseconds after the last key, when the search starts

/** Whether a prompt has all of the words, in any order and case. @param {Job} job @param {string} words */
export function hasWords(job, words) {
  const prompt = job.prompt.toLowerCase();
  return words.toLowerCase().split(/\s+/).every((word) => prompt.includes(word));
}

/** The filters besides the status. @returns {{backend: string, day: string}} */
export const chosenWhere = () => ({ backend: byId("where-backend").value, day: byId("where-day").value });

/**
 * @param {(words: string) => void} search among those that are loaded
 * @param {() => void} read the list anew
 */
export function startSearch(search, read) {
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  let timer;
  byId("search").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => search(byId("search").value.trim()), PAUSE);
  });
  for (const id of ["where-backend", "where-day"]) byId(id).addEventListener("change", read);
}

/** @param {import("./options.js").Backend[]} backends */
export function offerWhere(backends) {
  const select = byId("where-backend");
  const chosen = select.value || new URLSearchParams(location.search).get("backend") || "";
  select.replaceChildren(el("option", { value: "", text: "All backends" }), ...backends.map(({ name }) => el("option", { value: name, text: name })));
  select.value = backends.some(({ name }) => name === chosen) ? chosen : "";
}
