/**
 * Copies a text to the clipboard, and says so.
 * @module
 */

import { toast } from "./announcer.js";

/** @param {string} text @param {string} what the subject of “copied” */
export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    toast(`${what} copied.`);
  } catch {
    toast("Nothing was copied: the browser does not let this page copy. Mark the text, and copy it by hand.", "bad");
  }
}
