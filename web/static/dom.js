/**
 * Makes elements. No text becomes markup: texts always become text nodes.
 * @module
 */

const SVG = "http://www.w3.org/2000/svg";
const SPRITE = new URL("icons.svg", import.meta.url).pathname;

/**
 * @param {string} tag
 * @param {Record<string, any>} [props] `class`, `text`, `on` (event → listener), properties and attributes; null and
 *     undefined are left out.
 * @param {...(Node|string|null|undefined|false)} children
 * @returns {any} the element
 */
export function el(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined) continue;
    if (name === "class") element.className = value;
    else if (name === "text") element.textContent = value;
    else if (name === "on") for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    else if (typeof value === "boolean") element.toggleAttribute(name, value);
    else element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/**
 * An icon of the sprite; it says nothing to a screen reader.
 * @param {string} name
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("focusable", "false");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `${SPRITE}#${name}`);
  svg.append(use);
  return svg;
}

/**
 * @param {string} name of the icon
 * @param {string} label what it does, for everybody: as its name and as its tooltip
 * @param {(event: Event) => void} act
 * @param {string} [also] another class
 */
export function iconButton(name, label, act, also = "") {
  return el("button", { type: "button", class: `icon-button ${also}`, "aria-label": label, title: label, on: { click: act } }, icon(name));
}

/** Sets a text only if it differs, so that nothing is painted or announced without need. */
export function setText(/** @type {Element} */ element, /** @type {string} */ text) {
  if (element.textContent !== text) element.textContent = text;
}

/** @param {string} id */
export const byId = (id) => /** @type {any} */ (document.getElementById(id));
