// The viewer (Swagger UI) on the contract of this app.
const place = document.querySelector("#reference");

// The viewer's dark colours hang on a class of the whole page.
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

// What the viewer leaves out for people who can't see it. It draws by itself, again and again.
function mend() {
  for (const heading of place.querySelectorAll("h3.opblock-tag:not([aria-level])")) {
    heading.setAttribute("role", "heading");
    heading.setAttribute("aria-level", "2");
  }
  for (const heading of place.querySelectorAll("h4:not([aria-level]), h5:not([aria-level])")) {
    heading.setAttribute("role", "heading");
    heading.setAttribute("aria-level", "3");
  }
  const names = { "#servers": "Server", ".opblock-body select:not([aria-label])": "Choice", ".opblock-body textarea:not([aria-label])": "Body" };
  for (const [selector, name] of Object.entries(names)) {
    for (const control of place.querySelectorAll(selector)) if (!control.hasAttribute("aria-label")) control.setAttribute("aria-label", name);
  }
  const regions = { ".information-container": "About", ".scheme-container": "Server and keys" };
  for (const [selector, name] of Object.entries(regions)) {
    for (const region of place.querySelectorAll(`${selector}:not([role])`)) {
      region.setAttribute("role", "region");
      region.setAttribute("aria-label", name);
    }
  }
  for (const scroller of place.querySelectorAll("pre:not([tabindex]), .highlight-code:not([tabindex])")) scroller.setAttribute("tabindex", "0");
}
new MutationObserver(mend).observe(place, { childList: true, subtree: true });

window.SwaggerUIBundle({
  url: "/api/openapi.json",
  dom_id: "#reference",
  // A link within the button that unfolds an operation can't be reached by everybody.
  deepLinking: false,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  syntaxHighlight: { activated: false }, // its colours are too pale for many
  // It would ask a server on the internet whether the contract is well-formed.
  validatorUrl: null,
});
