/**
 * A video's own first frame, for one that its provider gives no thumbnail of.
 * @module
 */

import { el } from "./dom.js";

const FIRST = "#t=0.001"; // without it, some browsers show nothing until it plays

/** Read once it is near the screen: a list may be long. @param {string} url @param {() => Promise<unknown>} renew */
export function firstFrame(url, renew) {
  const frame = /** @type {HTMLVideoElement} */ (el("video", { class: "frame", preload: "metadata", playsinline: true, tabindex: -1, "aria-hidden": "true" }));
  frame.muted = true;
  frame.addEventListener("error", () => renew().catch(() => {}), { once: true });
  const seen = new IntersectionObserver((entries) => {
    if (!entries.some((each) => each.isIntersecting)) return;
    seen.disconnect();
    if (!frame.src) frame.src = url + FIRST;
  }, { rootMargin: "300px" });
  seen.observe(frame);
  return frame;
}

/** A new URL for one that has nothing to show. @param {HTMLVideoElement|null} frame @param {string|null|undefined} url */
export function renewFrame(frame, url) {
  if (frame && url && frame.error && frame.src !== url + FIRST) frame.src = url + FIRST;
}
