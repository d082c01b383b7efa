/**
 * Puts a text where it can be pasted from, and says so.
 * @module
 */

import { toast } from "./announcer.js";

/** @param {string} text @param {string} what the subject of “copied” */
export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    toast(`${what} copied.`);
  } catch {
    toast("The browser does not let this page copy. Mark the text, and copy it by hand.", "bad");
  }
}
