/**
 * Only one video plays at a time, except for compared videos, which play together.
 * @module
 */

export function onlyOnePlays() {
  // Media events do not bubble, but they are captured.
  document.addEventListener(
    "play",
    (event) => {
      for (const other of document.querySelectorAll("video")) {
        if (other !== event.target && !other.closest(".compare")) other.pause();
      }
    },
    true,
  );
}
