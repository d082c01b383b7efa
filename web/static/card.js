/**
 * One job on the page: its picture, its words, and what can be done with it.
 * @module
 */

import { now } from "./api.js";
import { detailsOf } from "./details.js";
import { el, icon, setText } from "./dom.js";
import { Media } from "./media.js";
import { notesOf } from "./notes.js";
import { ago, bytesWords, counted, hasEnded, isLive, isRefused, sizeWords, statusWords, tone } from "./words.js";

/** @typedef {import("./jobs.js").Job} Job */
/**
 * @typedef {{cancel: (job: Job) => Promise<void>, retry: (job: Job) => Promise<void>,
 *     remove: (job: Job) => Promise<void>, showCode: (job: Job) => void, copyId: (job: Job) => void,
 *     edit: (job: Job) => void, view: (job: Job, index: number) => void,
 *     save: (job: Job, index?: number) => Promise<void>,
 *     reread: (id: string) => Promise<unknown>, backend: (name: string) => import("./options.js").Backend|undefined}} Deeds
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
    this.#media = new Media(job, now(), deeds);
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

  /** Whether the card must not be replaced: a video plays, somebody types, or a question is open. */
  get busy() {
    return this.#media.busy || this.#busy || this.element.contains(document.activeElement);
  }

  /** @param {Job} job */
  update(job) {
    this.job = job;
    const { status, prompt, more, facts, notes } = this.#parts;
    this.element.dataset.status = job.status;
    const { state } = this;
    status.className = `badge ${tone(job, state)}`;
    this.element.classList.toggle("compact", !isLive(job) && !job.videos.some((video) => video.url));
    this.element.classList.toggle("held", tone(job, state) === "warn");
    setText(prompt, job.prompt || "Imported video");
    more.hidden = job.prompt.length <= LONG_PROMPT && job.prompt.split("\n").length <= 3;
    setText(facts, factsOf(job).join(" · "));
    const said = notesOf(job, state, now());
    // Unchanged text stays in place: somebody may be reading it, or copying from it.
    if (said.map((note) => note.textContent).join("\n") !== [...notes.children].map((note) => note.textContent).join("\n")) notes.replaceChildren(...said);
    this.#media.update(job, now());
    status.hidden = isLive(job); // the stage shows it then, in larger type
    setText(status, statusWords(job, state));
    this.#showDeeds();
    this.#showDetails();
    this.tick();
  }

  /** The state of its backend, in one word. */
  get state() {
    return this.#deeds.backend(this.job.backend.name)?.now?.state ?? "";
  }

  tick() {
    this.#media.tick(now());
    setText(this.#parts.when, ago(this.job.created_at, now()));
  }

  // --- what can be done ---

  #showDeeds() {
    const { job } = this;
    if (this.#confirming) return;
    const retriable = ["failed", "cancelled", "expired"].includes(job.status) && !job.retried_as;
    const stoppable = isLive(job) && !job.cancel_requested_at && !["fetching", "pending_download"].includes(job.status);
    const late = job.status === "pending_download";
    const shown = [job.videos.map((each) => each.url).join(), retriable, isRefused(job), stoppable, late, this.#busy].join("|");
    if (shown === this.#shownDeeds) return;
    this.#shownDeeds = shown;
    const focused = document.activeElement instanceof HTMLElement && this.#parts.deeds.contains(document.activeElement) ? document.activeElement.dataset.deed : null;
    const stored = job.videos.filter((each) => each.url);
    const refused = isRefused(job);
    const edit = job.imported ? null : this.#button("edit", "reuse", refused ? "Edit and resend" : "Edit", () => this.#deeds.edit(this.job), !refused);
    const buttons = [
      ...stored.map((each) => this.#download(each)),
      stored.length > 1 && this.#button("save", "download", "All", () => this.#deeds.save(this.job)),
      stoppable && this.#button("cancel", "stop", "Cancel", () => this.#do(this.#deeds.cancel)),
      refused && edit,
      retriable && !refused && this.#button("retry", "retry", "Retry", () => this.#do(this.#deeds.retry)),
      late && this.#button("retry", "retry", this.#busy ? "Trying…" : "Download now", () => this.#do(this.#deeds.retry)),
    ].filter(Boolean);
    this.#parts.deeds.replaceChildren(
      el("div", { class: "deeds-main" }, ...buttons),
      el(
        "div",
        { class: "deeds-more" },
        refused ? null : edit,
        retriable && refused && this.#button("retry", "retry", "Retry", () => this.#do(this.#deeds.retry), true),
        job.imported ? null : this.#button("code", "terminal", "Code", () => this.#deeds.showCode(this.job), true),
        this.#button("delete", "trash", "Delete", () => this.#ask(), true),
      ),
    );
    // To the same button or, where that is gone, to one that does nothing to the job.
    if (focused) (this.#parts.deeds.querySelector(`[data-deed="${focused}"]`) ?? this.#parts.details.firstElementChild)?.focus();
  }

  /** @param {string} deed @param {string} symbol @param {string} label @param {() => void} act @param {boolean} [quiet] */
  #button(deed, symbol, label, act, quiet = false) {
    return el(
      "button",
      { type: "button", class: `button small ${quiet ? "quiet-button" : ""}`, "data-deed": deed, "aria-disabled": this.#busy ? "true" : null, on: { click: () => this.#busy || act() } },
      icon(symbol),
      label,
    );
  }

  /** @param {import("./jobs.js").Video} video */
  #download(video) {
    const many = this.job.videos.length > 1;
    const click = (/** @type {Event} */ event) => {
      const known = this.job.videos.find((each) => each.index === video.index);
      if (!known || !hasEnded(known, now())) return;
      event.preventDefault();
      this.#deeds.save(this.job, video.index);
    };
    return el(
      "a",
      {
        class: "button small",
        "data-deed": "download",
        href: video.download_url,
        rel: "noreferrer",
        download: "", // the storage names the file, after the prompt
        "aria-label": many ? `Download video ${video.index + 1}` : "Download",
        on: { click },
      },
      icon("download"),
      many ? String(video.index + 1) : "Download",
    );
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
    this.#parts.deeds.querySelector("[data-deed=delete]")?.focus();
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
      this.#fillDetails(el("p", { class: "quiet", text: "Loading…" }));
      this.#deeds.reread(job.id).catch(() => {
        this.#fillDetails(el("p", { class: "quiet", text: "The details can’t be loaded right now. The job goes on as it was. Close this, and open it again." }));
      });
      return;
    }
    const known = `${job.updated_at} ${job.history.length}`;
    if (details.dataset.known === known) return;
    details.dataset.known = known;
    const copyId = el("button", { type: "button", class: "link", text: "Copy the job’s id", on: { click: () => this.#deeds.copyId(this.job) } });
    this.#fillDetails(...detailsOf(job, now()), copyId);
  }

  /** The summary stays in place: it may have the focus. @param {HTMLElement[]} parts */
  #fillDetails(...parts) {
    const { details } = this.#parts;
    while (details.lastElementChild !== details.firstElementChild) details.lastElementChild.remove();
    details.append(...parts);
  }
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
