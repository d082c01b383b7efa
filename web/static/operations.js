/**
 * Puts the operator's page together. All of its data comes from the API, with the master key.
 * @module
 */

import { toast } from "./announcer.js";
import { Refusal, Unreachable, call, connection, now } from "./api.js";
import { byId, el, icon, setText } from "./dom.js";
import { explainRefusal, inOne } from "./explain.js";
import { showGates } from "./gates.js";
import * as keyring from "./keyring.js";
import { showAttention, showGivenUp, showWaiting, showWebhooks } from "./operator_jobs.js";
import { oncePressed } from "./presses.js";
import { showTable } from "./table.js";
import { showVerdict } from "./verdict.js";
import { ago } from "./words.js";

const EVERY = 20_000; // milliseconds

/** The cursors of the lists that have further pages. @type {Record<string, string|null>} */
const cursors = { attention: null, "given-up": null, webhooks: null };

/** What the lists show, for the verdict. @type {import("./verdict.js").Findings} */
const findings = { gates: [], poisoned: 0, attention: { count: 0, more: false }, givenUp: { count: 0, more: false } };

keyring.start();
oncePressed();

/** @param {() => Promise<void>} deed */
async function trying(deed) {
  try {
    await deed();
    byId("trouble").hidden = true;
    return true;
  } catch (error) {
    if (!(error instanceof Refusal) && !(error instanceof Unreachable)) throw error;
    const reasons = error instanceof Refusal ? error.reasons : [];
    byId("trouble").replaceChildren(icon("alert"), el("p", { text: [...reasons, inOne(explainRefusal(error, "operate"))].join(" ") }));
    byId("trouble").hidden = false;
    return false;
  }
}

/** @param {string} path @param {Record<string, string|null>} [query] */
const read = async (path, query = {}) => (await call("GET", path, { query })).data;

async function backends() {
  const gates = (await read("backends")).backends;
  findings.gates = gates;
  showGates(gates, (name, word) => change(`backends/${name}/${word}`, word === "pause" ? `${name} is paused. New jobs wait.` : `${name} is open.`));
}

async function queues() {
  /** @type {{name: string, messages: number, oldest_at: string|null, poisoned: number}[]} */
  const found = (await read("operations/queues")).queues;
  findings.poisoned = found.reduce((sum, queue) => sum + queue.poisoned, 0);
  const rows = found.map((queue) => [queue.name, String(queue.messages), queue.oldest_at ? ago(queue.oldest_at, now()) : "none is due", String(queue.poisoned)]);
  showTable(byId("queues"), "Queues", ["Queue", "Messages", "Oldest that is due", "Poisoned"], rows, "There are no queues.");
}

async function attention() {
  const answer = await read("operations/jobs", { show: "attention", cursor: cursors.attention });
  findings.attention = foundIn("attention", answer);
  showAttention(byId("attention"), answer.jobs, act);
  goOn("attention", answer.next_cursor);
}

async function waiting() {
  showWaiting(byId("waiting"), (await read("operations/jobs", { show: "waiting" })).jobs, act);
}

async function givenUp() {
  const answer = await read("operations/jobs", { show: "given_up", cursor: cursors["given-up"] });
  findings.givenUp = foundIn("given-up", answer);
  showGivenUp(byId("given-up"), answer.jobs, act);
  goOn("given-up", answer.next_cursor);
}

async function webhooks() {
  const answer = await read("operations/webhooks", { owner: byId("webhooks-owner").value.trim() || "default", cursor: cursors.webhooks });
  showWebhooks(byId("webhooks"), answer.jobs, act);
  goOn("webhooks", answer.next_cursor);
}

/** @param {keyof typeof cursors} list @param {{jobs: unknown[], next_cursor: string|null}} answer */
const foundIn = (list, { jobs, next_cursor }) => ({ count: jobs.length, more: next_cursor !== null || cursors[list] !== null });

const LISTS = { attention, "given-up": givenUp, webhooks };

/** @param {keyof typeof LISTS} list @param {string|null} cursor */
function goOn(list, cursor) {
  const button = byId(`${list}-more`);
  button.hidden = cursor === null && cursors[list] === null;
  setText(button, cursor === null ? "From the beginning" : "Read on");
  button.onclick = () => {
    cursors[list] = cursor;
    trying(LISTS[list]);
  };
}

/** @param {import("./operator_jobs.js").OperatorJob} job @param {"repair"|"webhook"} deed */
function act(job, deed) {
  const path = `operations/jobs/${encodeURIComponent(job.owner)}/${job.id}/${deed}`;
  change(path, deed === "repair" ? "It is polled now, and downloaded where that is due." : "The webhook is told again now.");
}

/** @param {string} path @param {string} words what to say when it is done */
async function change(path, words) {
  try {
    await call("POST", path);
    toast(words);
  } catch (error) {
    if (!(error instanceof Refusal) && !(error instanceof Unreachable)) throw error;
    toast(inOne(explainRefusal(error, "change")), "bad");
  }
  await everything();
}

async function everything() {
  // One after another, so that the page asks only once after a wrong key.
  const done = await trying(async () => {
    await backends();
    await queues();
    await attention();
    await waiting();
    await givenUp();
    await webhooks();
  });
  byId("studio").classList.remove("unread");
  showVerdict(byId("verdict"), done ? findings : null);
  if (done) setText(byId("as-of"), `As of ${new Date(now()).toLocaleTimeString()}`);
}

byId("refresh").addEventListener("click", everything);
byId("webhooks-form").addEventListener("submit", (/** @type {Event} */ event) => {
  event.preventDefault();
  cursors.webhooks = null;
  trying(webhooks);
});
connection.addEventListener("unreachable", () => (byId("offline").hidden = false));
connection.addEventListener("reachable", () => (byId("offline").hidden = true));
setInterval(() => document.hidden || byId("studio").hidden || everything(), EVERY);
everything();
