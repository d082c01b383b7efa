// Sets the chosen colours, else those of the system. It must run before the first paint, so it is a classic script.
(() => {
  const PLACE = "reelkeep.theme";
  const root = document.documentElement;
  try {
    const kept = localStorage.getItem(PLACE);
    if (kept === "light" || kept === "dark") root.dataset.theme = kept;
  } catch {
    // Without storage nothing is remembered: the system's colours are used.
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
        // Without storage, the choice holds until the page is closed.
      }
      label();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", label);
    label();
  });
})();
