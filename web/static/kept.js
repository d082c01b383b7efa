/**
 * What the browser keeps for this tab, over a reload. If it refuses or has no room, it is kept until the page is closed.
 * @module
 */

/** @type {Map<string, string>} */
const here = new Map();

/** @param {string} name @returns {string|null} */
export function kept(name) {
  try {
    return here.get(name) ?? sessionStorage.getItem(name);
  } catch {
    return here.get(name) ?? null;
  }
}

/** @param {string} name @param {string} value */
export function keep(name, value) {
  here.set(name, value);
  try {
    sessionStorage.setItem(name, value);
  } catch {
    // Private windows and blocked cookies: see above.
  }
}

/** @param {string} name */
export function drop(name) {
  here.delete(name);
  try {
    sessionStorage.removeItem(name);
  } catch {
    // As above.
  }
}
