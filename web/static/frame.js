/**
 * The first frame of a video for which the provider gives no thumbnail.
 * @module
 */

import { el } from "./dom.js";

const FIRST = "#t=0.001"; // without it, some browsers show nothing until the video plays

/** Loads it only when it is near the screen, since a list may be long. @param {string} url @param {() => Promise<unknown>} renew */
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

/** A new URL for a frame that shows nothing yet. @param {HTMLVideoElement|null} frame @param {string|null|undefined} url */
export function renewFrame(frame, url) {
  if (frame && url && frame.error && frame.src !== url + FIRST) frame.src = url + FIRST;
}
