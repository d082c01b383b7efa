/**
 * One large video. Arrow keys go to the job's other videos and to the jobs beside it. All videos of a job can be compared
 * side by side.
 * @module
 */

import { byId, el, setText } from "./dom.js";
import { CANT_PLAY } from "./explain.js";
import { keep, kept } from "./kept.js";
import { nameOf, shortened, sizeWords } from "./words.js";

/** @typedef {import("./jobs.js").Job} Job */
/** @typedef {import("./jobs.js").Video} Video */

const MUTED = "reelkeep.muted";
const LOOPS = "reelkeep.loops";
const MOST_COMPARED = 4;

/** @param {Job|undefined} job @returns {Video[]} those that can be seen */
const seen = (job) => job?.videos.filter((video) => video.url) ?? [];

export class Viewer {
  #dialog = /** @type {HTMLDialogElement} */ (byId("viewer"));
  /** @type {Job|null} */
  #job = null;
  #place = 0; // index among the job's stored videos
  #compares = false;
  #muted = kept(MUTED) === "yes";
  #loops = kept(LOOPS) !== "no";
  #neighbour;
  #reread;

  /**
   * @param {(id: string, step: number) => Job|undefined} neighbour
   * @param {(id: string) => Promise<Job|undefined>} reread for URLs that still hold
   */
  constructor(neighbour, reread) {
    this.#neighbour = neighbour;
    this.#reread = reread;
    const onClick = (/** @type {string} */ id, /** @type {() => void} */ act) => byId(id).addEventListener("click", act);
    onClick("viewer-close", () => this.#dialog.close());
    onClick("viewer-back", () => this.#go(-1));
    onClick("viewer-next", () => this.#go(1));
    onClick("viewer-compare", () => this.#toggleCompare());
    onClick("viewer-loop", () => this.#toggle("loops"));
    onClick("viewer-mute", () => this.#toggle("muted"));
    this.#dialog.addEventListener("close", () => byId("viewer-stage").replaceChildren());
    this.#dialog.addEventListener("keydown", (event) => this.#key(event), true);
  }

  /** @param {Job} job @param {number} index */
  open(job, index) {
    this.#job = job;
    this.#place = Math.max(seen(job).findIndex((video) => video.index === index), 0);
    this.#compares = false;
    this.#dialog.showModal();
    this.#show();
  }

  /** The shown job has changed: another of its videos may be there. What plays is not disturbed. @param {Job} job */
  update(job) {
    const before = this.#job;
    if (!this.#dialog.open || before?.id !== job.id) return;
    const shown = seen(before)[this.#place]?.index;
    this.#job = job;
    if (seen(job).length === seen(before).length) return;
    this.#place = Math.max(seen(job).findIndex((video) => video.index === shown), 0);
    if (this.#compares) this.#show();
    else this.#showWords(job);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    /** @type {Record<string, () => void>} */
    const deeds = {
      ArrowLeft: () => this.#go(-1),
      ArrowRight: () => this.#go(1),
      ArrowUp: () => this.#goToJob(-1),
      ArrowDown: () => this.#goToJob(1),
      c: () => this.#toggleCompare(),
      l: () => this.#toggle("loops"),
      m: () => this.#toggle("muted"),
    };
    const deed = deeds[event.key];
    if (!deed || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    deed();
  }

  /** Go to the next video, which may belong to the next job. @param {number} step */
  #go(step) {
    const place = this.#place + step;
    if (!this.#compares && place >= 0 && place < seen(this.#job ?? undefined).length) {
      this.#place = place;
      this.#show();
    } else this.#goToJob(step);
  }

  /** @param {number} step */
  #goToJob(step) {
    let job = this.#job ? this.#neighbour(this.#job.id, step) : undefined;
    while (job && seen(job).length === 0) job = this.#neighbour(job.id, step);
    if (!job) return;
    this.#job = job;
    this.#place = step < 0 && !this.#compares ? seen(job).length - 1 : 0;
    this.#compares &&= seen(job).length > 1;
    this.#show();
  }

  #toggleCompare() {
    if (seen(this.#job ?? undefined).length < 2) return;
    this.#compares = !this.#compares;
    this.#show();
  }

  /** @param {"muted"|"loops"} what */
  #toggle(what) {
    if (what === "muted") keep(MUTED, (this.#muted = !this.#muted) ? "yes" : "no");
    else keep(LOOPS, (this.#loops = !this.#loops) ? "yes" : "no");
    for (const player of this.#dialog.querySelectorAll("video")) this.#tune(player);
    this.#showButtons();
  }

  #show() {
    const job = this.#job;
    if (!job) return;
    const videos = seen(job);
    const shown = this.#compares ? videos.slice(0, MOST_COMPARED) : videos.slice(this.#place, this.#place + 1);
    const stage = byId("viewer-stage");
    stage.classList.toggle("compare", this.#compares);
    stage.replaceChildren(...shown.map((video) => this.#player(job, video)));
    this.#showWords(job);
  }

  /** @param {Job} job */
  #showWords(job) {
    const count = seen(job).length;
    const compared = Math.min(count, MOST_COMPARED);
    const which = count < 2 ? "" : this.#compares ? (compared === 2 ? "both videos" : `all ${compared} videos`) : `video ${this.#place + 1} of ${count}`;
    setText(byId("viewer-title"), shortened(job.prompt, 120) || nameOf(job));
    setText(byId("viewer-facts"), [which, sizeWords(job.size)].filter(Boolean).join(" · "));
    this.#showButtons();
  }

  #showButtons() {
    byId("viewer-compare").hidden = seen(this.#job ?? undefined).length < 2;
    byId("viewer-compare").setAttribute("aria-pressed", String(this.#compares));
    byId("viewer-loop").setAttribute("aria-pressed", String(this.#loops));
    byId("viewer-mute").setAttribute("aria-pressed", String(this.#muted));
  }

  /** @param {Job} job @param {Video} video */
  #player(job, video) {
    const player = /** @type {HTMLVideoElement} */ (
      el("video", { controls: !this.#compares, playsinline: true, poster: video.thumbnail_url, src: video.url, "aria-label": `Video ${video.index + 1}` })
    );
    this.#tune(player);
    let isRenewed = false; // the player has a new URL that has not played yet
    player.addEventListener("playing", () => (isRenewed = false));
    player.addEventListener("error", () => {
      this.#renew(job.id, video.index, player, isRenewed);
      isRenewed = true;
    });
    player.play().catch(() => {}); // the browser may want another click; the controls are there
    return this.#compares ? el("figure", {}, player, el("figcaption", { text: `Video ${video.index + 1}` })) : player;
  }

  /** The URL has ended: try once more with a new one. @param {string} id @param {number} index @param {HTMLVideoElement} player @param {boolean} isSecond */
  async #renew(id, index, player, isSecond) {
    const job = isSecond ? undefined : await this.#reread(id).catch(() => undefined);
    const url = job?.videos.find((video) => video.index === index)?.url;
    if (!player.isConnected) return;
    if (!url) return player.replaceWith(el("p", { class: "viewer-trouble", role: "alert", text: CANT_PLAY }));
    this.#job = job ?? this.#job;
    const at = player.currentTime;
    player.src = url;
    player.currentTime = at;
    player.play().catch(() => {});
  }

  /** @param {HTMLVideoElement} player */
  #tune(player) {
    player.loop = this.#loops;
    player.muted = this.#muted || this.#compares;
  }
}
