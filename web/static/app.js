/**
 * Puts the page together.
 * @module
 */

import { offerAlerts, startAlerts } from "./alerts.js";
import { connection } from "./api.js";
import { Backends } from "./backends.js";
import { startClearing } from "./clearing.js";
import { Composer } from "./composer.js";
import { deedsOf } from "./deeds.js";
import { byId } from "./dom.js";
import { Feed } from "./feed.js";
import { chosen, mark, startFilters, takeFromAddress } from "./filters.js";
import { startImporting } from "./importing.js";
import { Jobs } from "./jobs.js";
import * as keyring from "./keyring.js";
import { oncePressed } from "./presses.js";
import { chosenWhere, offerWhere, startSearch } from "./search.js";
import { onlyOnePlays } from "./solo.js";
import { Tab } from "./tab.js";
import { Viewer } from "./viewer.js";
import { Watcher } from "./watcher.js";
import { isLive } from "./words.js";

/** @typedef {import("./jobs.js").Job} Job */

const STATES = 15_000; // milliseconds between reads of the backends' states, while a job waits, or a new one would have to

keyring.start();
const jobs = new Jobs();
const backends = new Backends();
const watcher = new Watcher(jobs);
const edit = (/** @type {Job} */ job) => {
  composer.use(job);
  byId("composer").scrollIntoView({ block: "nearest" });
};
const view = (/** @type {Job} */ job, /** @type {number} */ index) => viewer.open(job, index);
const feed = new Feed(jobs, watcher, deedsOf({ jobs, watcher, backends, show, edit, view }));
const viewer = new Viewer((id, step) => feed.neighbour(id, step), (id) => jobs.reread(id));
jobs.addEventListener("change", (/** @type {any} */ { job }) => viewer.update(job));
const composer = new Composer((job) => {
  show(job);
  backends.refresh();
  offerAlerts();
}, backends);
new Tab(jobs);
startAlerts(jobs);
startClearing(jobs);
onlyOnePlays();
oncePressed();

/** A job that was just created. @param {Job} job */
function show(job) {
  if (!["all", "working"].includes(jobs.filter)) choose("all");
  jobs.put(job);
  requestAnimationFrame(() => feed.reveal(job.id));
}

/** @param {string} filter */
function choose(filter) {
  mark(filter);
  return jobs.show(filter, chosenWhere());
}

startFilters(choose);
startSearch((words) => feed.search(words), () => choose(jobs.filter));
startImporting(backends, show);
byId("examples").addEventListener("click", (/** @type {Event} */ event) => {
  const button = /** @type {HTMLElement} */ (event.target).closest("button");
  if (button) composer.use({ prompt: button.textContent ?? "" });
});
connection.addEventListener("unreachable", () => (byId("offline").hidden = false));
connection.addEventListener("reachable", () => {
  byId("offline").hidden = true;
  if (jobs.error) jobs.more();
});
// When the app is healthy again, the form works again.
jobs.addEventListener("state", () => jobs.began && !composer.ready && composer.load());
// When a job ends, the backends' states change, and so does the text of the cards.
jobs.addEventListener("change", (/** @type {any} */ event) => isLive(event.before) && !isLive(event.job) && backends.refresh());
backends.addEventListener("change", () => {
  feed.refresh();
  offerWhere(backends.list);
});
const someHeldUp = () => jobs.all.some((job) => job.status === "waiting") || backends.list.some((each) => each.now && each.now.state !== "open");
setInterval(() => !document.hidden && someHeldUp() && backends.refresh(), STATES);
document.addEventListener("visibilitychange", () => document.hidden || backends.refresh());
takeFromAddress();
choose(chosen());
if (getComputedStyle(document.documentElement).getPropertyValue("--is-styled")) byId("not-loaded").remove();
