/**
 * A double click and a held key press one button once, even if another button takes its place after the first press:
 * “Retry” would come where “Cancel” was, and pay for another video.
 * @module
 */

export function oncePressed() {
  /** @type {Element|null} */
  let pressed = null;
  document.addEventListener(
    "click",
    (event) => {
      const button = /** @type {Element} */ (event.target).closest("button");
      if (event.detail > 1 && button !== null && button !== pressed) {
        event.preventDefault();
        event.stopImmediatePropagation();
      } else pressed = button;
    },
    true,
  );
  document.addEventListener(
    "keydown",
    (event) => event.repeat && event.key === "Enter" && /** @type {Element} */ (event.target).closest("button, summary") && event.preventDefault(),
    true,
  );
}
