/**
 * The API's function key: asked for once, when the API wants one; kept for this tab only; sent as a header only.
 * @module
 */

import { byId, setText } from "./dom.js";

const PLACE = document.body.dataset.keyPlace ?? "reelkeep.key"; // the operator’s page has another key

/** @type {string|null} */
let key = sessionStorage.getItem(PLACE);
/** @type {Promise<string>|null} */
let asking = null;
/** @type {((key: string) => void)|null} */
let answer = null;

/** The key to send, or null while the API wants none. */
export const current = () => key;

/**
 * The API answered 401 to a request that bore `sent`. Resolves with the key to try next.
 * @param {string|null} sent
 * @returns {Promise<string>}
 */
export function nextKey(sent) {
  if (key !== null && key !== sent) return Promise.resolve(key); // entered meanwhile
  const wrong = sent !== null;
  if (wrong) forgetQuietly();
  asking ??= new Promise((resolve) => {
    answer = resolve;
  });
  show(wrong);
  return asking;
}

/** The API took what was sent. */
export function accepted() {
  if (!byId("key-panel").hidden && asking === null) hide();
}

/** Forget the key, here and now; the next request asks for it. */
export function forget() {
  forgetQuietly();
  location.reload();
}

/** Wires the panel up; once. */
export function start() {
  byId("key-form").addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    const entered = byId("key-input").value.trim();
    if (!/^[\x21-\x7e]+$/.test(entered)) {
      complain(entered ? "That contains characters a key can’t have. Nothing was sent. Copy it again." : "Enter the key.");
      return;
    }
    key = entered;
    sessionStorage.setItem(PLACE, entered);
    setText(byId("key-send"), "Checking…");
    complain("");
    const resolve = answer;
    asking = answer = null;
    resolve?.(entered);
    showForget();
  });
  byId("forget-key").addEventListener("click", forget);
  showForget();
}

function forgetQuietly() {
  key = null;
  sessionStorage.removeItem(PLACE);
  showForget();
}

function showForget() {
  byId("forget-key").hidden = key === null;
}

/** @param {boolean} wrong */
function show(wrong) {
  setText(byId("key-send"), "Continue");
  const panel = byId("key-panel");
  if (panel.hidden) {
    panel.hidden = false;
    byId("studio").hidden = true;
    byId("key-input").focus();
  }
  if (wrong) {
    complain("The app did not take this key. Nothing was changed. Check that it is whole, and this app’s.");
    byId("key-input").select();
  }
}

function hide() {
  byId("key-input").value = "";
  byId("key-panel").hidden = true;
  byId("studio").hidden = false;
}

/** @param {string} words */
function complain(words) {
  const input = byId("key-input");
  setText(byId("key-error"), words);
  input.toggleAttribute("aria-invalid", Boolean(words));
  if (words) input.setAttribute("aria-invalid", "true");
  if (words) input.focus();
}
