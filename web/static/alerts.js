/**
 * The browser's notification when a video is ready and the tab is not visible, if the person has allowed it here.
 * @module
 */

import { byId } from "./dom.js";
import { isLive, nameOf, statusWords } from "./words.js";

/** @typedef {import("./jobs.js").Job} Job */

const CHOICE = "reelkeep.alerts";

const isThere = () => "Notification" in window && window.isSecureContext;

/** @param {import("./jobs.js").Jobs} jobs */
export function startAlerts(jobs) {
  byId("alerts-yes").addEventListener("click", async () => {
    byId("alerts").hidden = true;
    keep((await Notification.requestPermission()) === "granted" ? "yes" : "no");
  });
  byId("alerts-no").addEventListener("click", () => {
    byId("alerts").hidden = true;
    keep("no");
  });
  jobs.addEventListener("change", (/** @type {any} */ event) => {
    if (document.hidden && isLive(event.before) && !isLive(event.job)) tell(event.job);
  });
}

/** After the first submit, ask whether the person wants notifications. */
export function offerAlerts() {
  if (isThere() && kept() === null && Notification.permission === "default") byId("alerts").hidden = false;
}

/** @param {Job} job */
function tell(job) {
  if (!isThere() || kept() !== "yes" || Notification.permission !== "granted") return;
  try {
    const note = new Notification(statusWords(job), { body: nameOf(job), tag: job.id, icon: "/api/studio/logo.svg" });
    note.addEventListener("click", () => {
      window.focus();
      note.close();
    });
  } catch {
    // Some phones accept no notification from a page; the tab's title still changes.
  }
}

function kept() {
  try {
    return localStorage.getItem(CHOICE);
  } catch {
    return "no";
  }
}

/** @param {string} choice */
function keep(choice) {
  try {
    localStorage.setItem(CHOICE, choice);
  } catch {
    // Without storage, the choice holds until the page is closed.
  }
}
