// Before the first paint, so a classic script: the colours that were chosen here, else those of the system.
(() => {
  const PLACE = "reelkeep.theme";
  const root = document.documentElement;
  try {
    const kept = localStorage.getItem(PLACE);
    if (kept === "light" || kept === "dark") root.dataset.theme = kept;
  } catch {
    // No storage, no memory: the system's colours do.
  }
  addEventListener("DOMContentLoaded", () => {
    const button = /** @type {HTMLElement} */ (document.getElementById("theme"));
    const dark = () => (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
    const label = () => {
      const words = dark() ? "Switch to light colours" : "Switch to dark colours";
      button.setAttribute("aria-label", words);
      button.title = words;
    };
    button.addEventListener("click", () => {
      root.dataset.theme = dark() ? "light" : "dark";
      try {
        localStorage.setItem(PLACE, root.dataset.theme);
      } catch {
        // It holds until the page is closed.
      }
      label();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", label);
    label();
  });
})();
