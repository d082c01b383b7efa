/**
 * The API's function key. The page asks for it once, if the API wants one. It keeps the key only for this tab, and sends
 * it only as a header.
 * @module
 */

import { byId, setText } from "./dom.js";
import { drop, keep, kept } from "./kept.js";

const PLACE = document.body.dataset.keyPlace ?? "reelkeep.key"; // the operator’s page uses another key

/** @type {string|null} */
let key = kept(PLACE);
/** @type {Promise<string>|null} */
let asking = null;
/** @type {((key: string) => void)|null} */
let answer = null;

/** The key to send, or null while the API wants none. */
export const current = () => key;

/**
 * The API answered 401 to a request with the key `sent`. Resolves with the key to try next.
 * @param {string|null} sent
 * @returns {Promise<string>}
 */
export function nextKey(sent) {
  if (key !== null && key !== sent) return Promise.resolve(key); // somebody entered it in the meantime
  const wrong = sent !== null;
  if (wrong) forgetQuietly();
  asking ??= new Promise((resolve) => {
    answer = resolve;
  });
  show(wrong);
  return asking;
}

/** The API accepted the key. */
export function accepted() {
  if (!byId("key-panel").hidden && asking === null) hide();
}

/** Forget the key. The next request asks for it. */
export function forget() {
  forgetQuietly();
  location.reload();
}

/** Connects the panel's events. Call it once. */
export function start() {
  byId("key-form").addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    const entered = byId("key-input").value.trim();
    if (!/^[\x21-\x7e]+$/.test(entered)) {
      complain(entered ? "That contains characters a key can’t have. Nothing was sent. Copy it again." : "The field is empty. Nothing was sent. Enter the key.");
      return;
    }
    key = entered;
    keep(PLACE, entered);
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
  drop(PLACE);
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
    complain("The app did not take this key. Nothing was changed. Check that it is whole, and this app’s. Where people sign in, your sign-in may have ended: then sign in again.");
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
