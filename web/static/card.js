/**
 * One job on the page: its picture, its words, and what can be done with it.
 * @module
 */

import { now } from "./api.js";
import { el, icon, iconButton, setText } from "./dom.js";
import { Media } from "./media.js";
import { adviceFor, ago, bytesWords, clockTime, counted, isLive, sentence, sizeWords, statusWords, tone } from "./words.js";

/** @typedef {import("./jobs.js").Job} Job */
/**
 * @typedef {{cancel: (job: Job) => Promise<void>, retry: (job: Job) => Promise<void>,
 *     remove: (job: Job) => Promise<void>, copyCurl: (job: Job) => void, copyId: (job: Job) => void,
 *     reuse: (job: Job) => void, reread: (id: string) => Promise<unknown>}} Deeds
 */

const LONG_PROMPT = 150;

export class Card {
  /** @type {Job} */
  job;
  #deeds;
  #parts;
  #media;
  #confirming = false;
  #busy = false;
  #shownDeeds = "";

  /** @param {Job} job @param {Deeds} deeds */
  constructor(job, deeds) {
    this.job = job;
    this.#deeds = deeds;
    this.#media = new Media(job, now(), () => deeds.reread(job.id));
    const title = `title-${job.id}`;
    const parts = (this.#parts = {
      status: el("span", { class: "badge" }),
      when: el("time", { class: "quiet", datetime: job.created_at }),
      prompt: el("h3", { id: title, class: "prompt", dir: "auto" }),
      more: el("button", { type: "button", class: "link", "aria-expanded": "false", text: "Show all", on: { click: () => this.#unfold() } }),
      facts: el("p", { class: "facts" }),
      notes: el("div", { class: "notes" }),
      details: el("details", { class: "details" }, el("summary", {}, icon("chevron"), "Details")),
      deeds: el("div", { class: "deeds" }),
    });
    parts.details.addEventListener("toggle", () => this.#showDetails());
    this.element = el(
      "article",
      { class: "card", "aria-labelledby": title },
      this.#media.element,
      el(
        "div",
        { class: "card-body" },
        el("div", { class: "card-head" }, parts.status, parts.when),
        parts.prompt,
        parts.more,
        parts.facts,
        parts.notes,
        parts.details,
      ),
      parts.deeds,
    );
    this.update(job);
  }

  /** Whether it must stay as it is: something plays in it, is typed or asked. */
  get busy() {
    return this.#media.busy || this.#busy || this.element.contains(document.activeElement);
  }

  /** @param {Job} job */
  update(job) {
    this.job = job;
    const { status, prompt, more, facts, notes } = this.#parts;
    this.element.dataset.status = job.status;
    status.className = `badge ${tone(job)}`;
    setText(prompt, job.prompt || "Imported video");
    more.hidden = job.prompt.length <= LONG_PROMPT && job.prompt.split("\n").length <= 3;
    setText(facts, factsOf(job).join(" · "));
    const said = notesOf(job);
    // What is the same stays: somebody may be reading it, or copying from it.
    if (said.map((note) => note.textContent).join("\n") !== [...notes.children].map((note) => note.textContent).join("\n")) notes.replaceChildren(...said);
    this.#media.update(job, now());
    status.hidden = !this.#media.hasVideo;
    setText(status, statusWords(job));
    this.#showDeeds();
    this.#showDetails();
    this.tick();
  }

  tick() {
    this.#media.tick(now());
    setText(this.#parts.when, ago(this.job.created_at, now()));
  }

  // --- what can be done ---

  #showDeeds() {
    const { job } = this;
    if (this.#confirming) return;
    const video = job.videos.find((each) => each.url);
    const retriable = ["failed", "cancelled", "expired"].includes(job.status) && !job.retried_as;
    const stoppable = isLive(job) && !job.cancel_requested_at && !["fetching", "pending_download"].includes(job.status);
    const shown = [job.videos.map((each) => each.url).join(), retriable, stoppable, job.status === "pending_download", this.#busy].join("|");
    if (shown === this.#shownDeeds) return;
    this.#shownDeeds = shown;
    const focused = document.activeElement instanceof HTMLElement && this.#parts.deeds.contains(document.activeElement) ? document.activeElement.dataset.deed : null;
    const buttons = [
      ...job.videos.filter((each) => each.url).map((each) => download(each, job)),
      stoppable && this.#button("cancel", "stop", "Cancel", () => this.#do(this.#deeds.cancel)),
      retriable && this.#button("retry", "retry", "Retry", () => this.#do(this.#deeds.retry)),
      job.status === "pending_download" && this.#button("retry", "retry", "Download now", () => this.#do(this.#deeds.retry)),
    ].filter(Boolean);
    this.#parts.deeds.replaceChildren(
      el("div", { class: "deeds-main" }, ...buttons),
      el(
        "div",
        { class: "deeds-more" },
        job.imported ? null : iconButton("reuse", "Use this prompt again", () => this.#deeds.reuse(this.job)),
        job.imported ? null : iconButton("terminal", "Copy as curl", () => this.#deeds.copyCurl(this.job)),
        iconButton("copy", "Copy the job’s id", () => this.#deeds.copyId(this.job)),
        iconButton("trash", "Delete", () => this.#ask()),
      ),
    );
    if (video && focused === "download") this.#focus("download");
    else if (focused) (this.#parts.deeds.querySelector("button, a") ?? this.element).focus();
  }

  /** @param {string} deed @param {string} symbol @param {string} label @param {() => void} act */
  #button(deed, symbol, label, act) {
    return el(
      "button",
      { type: "button", class: "button small", "data-deed": deed, disabled: this.#busy, on: { click: act } },
      icon(symbol),
      label,
    );
  }

  /** @param {string} deed */
  #focus(deed) {
    this.#parts.deeds.querySelector(`[data-deed="${deed}"]`)?.focus();
  }

  /** @param {(job: Job) => Promise<void>} deed */
  async #do(deed) {
    if (this.#busy) return;
    this.#busy = true;
    this.#showDeeds();
    try {
      await deed(this.job);
    } finally {
      this.#busy = false;
      this.#showDeeds();
    }
  }

  #ask() {
    this.#confirming = true;
    const words = isLive(this.job)
      ? "Stop this job and delete it? That can’t be undone, and what it cost is not given back."
      : this.job.videos.length
        ? `Delete this job and its ${this.job.videos.length === 1 ? "video" : "videos"}? That can’t be undone.`
        : "Delete this job? That can’t be undone.";
    const keep = el("button", { type: "button", class: "button small", text: "Keep", on: { click: () => this.#settle() } });
    const gone = el("button", { type: "button", class: "button small danger", on: { click: () => this.#delete(gone) } }, icon("trash"), "Delete");
    const panel = el("div", { class: "confirm", role: "group", "aria-label": words }, el("p", { text: words }), el("div", { class: "confirm-choices" }, keep, gone));
    panel.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => event.key === "Escape" && this.#settle());
    this.#parts.deeds.replaceChildren(panel);
    keep.focus();
  }

  #settle() {
    this.#confirming = false;
    this.#shownDeeds = "";
    this.#showDeeds();
    this.#parts.deeds.querySelector("button[aria-label=Delete]")?.focus();
  }

  /** @param {HTMLButtonElement} button */
  async #delete(button) {
    button.disabled = true;
    button.lastChild?.replaceWith("Deleting…");
    try {
      await this.#deeds.remove(this.job);
    } catch {
      this.#settle();
    }
  }

  // --- more to read ---

  #unfold() {
    const { prompt, more } = this.#parts;
    const open = prompt.classList.toggle("whole");
    more.setAttribute("aria-expanded", String(open));
    setText(more, open ? "Show less" : "Show all");
  }

  #showDetails() {
    const { details } = this.#parts;
    if (!details.open) return;
    const { job } = this;
    if (!job.history) {
      details.replaceChildren(details.firstChild, el("p", { class: "quiet", text: "Loading…" }));
      this.#deeds.reread(job.id).catch(() => {
        details.replaceChildren(details.firstChild, el("p", { class: "quiet", text: "The details can’t be loaded right now." }));
      });
      return;
    }
    const known = `${job.updated_at} ${job.history.length}`;
    if (details.dataset.known === known) return;
    details.dataset.known = known;
    const rows = detailsOf(job).flatMap(([name, value]) => [el("dt", { text: name }), el("dd", { text: value })]);
    const steps = job.history.map((entry) =>
      el(
        "li",
        {},
        el("span", { text: `${sentence(entry.event.replaceAll("_", " ")).slice(0, -1)}${entry.times > 1 ? ` (${entry.times} times)` : ""}` }),
        el("time", { class: "quiet", datetime: entry.at, text: new Date(entry.at).toLocaleTimeString() }),
        entry.detail ? el("span", { class: "quiet detail", text: entry.detail }) : null,
      ),
    );
    details.replaceChildren(details.firstChild, el("dl", {}, ...rows), el("ol", { class: "history", "aria-label": "History" }, ...steps));
  }
}

/** @param {import("./jobs.js").Video} video @param {Job} job */
function download(video, job) {
  const label = job.videos.length > 1 ? `Download video ${video.index + 1}` : "Download";
  const many = job.videos.length > 1;
  return el(
    "a",
    {
      class: "button small",
      "data-deed": "download",
      href: video.download_url,
      rel: "noreferrer",
      download: `${job.id}-${video.index}.mp4`,
      "aria-label": label,
    },
    icon("download"),
    many ? String(video.index + 1) : "Download",
  );
}

/** @param {Job} job */
function imagesOf(job) {
  const count = Number(Boolean(job.input_image)) + Number(Boolean(job.last_image)) + (job.reference_images ?? []).length;
  return count > 1 ? `with ${count} images` : count ? "with an image" : "";
}

/** @param {Job} job */
function factsOf(job) {
  const length = job.videos.reduce((sum, video) => sum + (video.length ?? 0), 0);
  return [
    sizeWords(job.size) || [job.aspect_ratio, job.resolution].filter(Boolean).join(" "),
    job.seconds ? `${job.seconds} s` : "",
    job.variants > 1 ? counted(job.variants, "variant") : "",
    imagesOf(job),
    length ? bytesWords(length) : "",
  ].filter(Boolean);
}

/** What there is to know of it beyond its status. @param {Job} job */
function notesOf(job) {
  const notes = [];
  const note = (/** @type {string} */ kind, /** @type {string} */ symbol, /** @type {string|null|undefined} */ words, /** @type {string} */ advice = "") => {
    if (words) notes.push(el("p", { class: `note ${kind}` }, icon(symbol), el("span", { text: `${sentence(words)}${advice ? ` ${advice}` : ""}` })));
  };
  if (job.error) note("bad", "alert", job.error.message, adviceFor(job.error.code));
  note("warn", "alert", job.alarm);
  if (!job.error) note("calm", "info", job.reason);
  note("calm", "info", job.warning);
  if (isLive(job)) note("calm", "info", job.cancel_refused);
  if (job.retried_as) note("calm", "retry", "It was tried again: the new job has its own card");
  else if (job.retry_of) note("calm", "retry", "Another try of an earlier job");
  for (const video of job.videos) if (video.problem && !job.error) note("calm", "info", video.problem);
  return notes;
}

/** @param {Job} job @returns {[string, string][]} */
function detailsOf(job) {
  /** @type {[string, string][]} */
  const rows = [
    ["Job", job.id],
    ["Backend", `${job.backend.name} · ${job.backend.model}`],
    ["Created", new Date(job.created_at).toLocaleString()],
  ];
  if (job.finished_at) rows.push(["Took", clockTime((Date.parse(job.finished_at) - Date.parse(job.created_at)) / 1000)]);
  for (const video of job.videos) if (video.sha256) rows.push([job.videos.length > 1 ? `SHA-256 of video ${video.index + 1}` : "SHA-256", video.sha256]);
  return rows;
}
