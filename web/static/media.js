/**
 * What a card shows: first the progress, then the video, which plays in the card.
 * @module
 */

import { toast } from "./announcer.js";
import { now } from "./api.js";
import { el, icon, iconButton, setText } from "./dom.js";
import { CANT_PLAY } from "./explain.js";
import { firstFrame, renewFrame } from "./frame.js";
import { lineWords } from "./line.js";
import { Progress } from "./progress.js";
import { clockTime, isHeld, isLive, span, statusWords } from "./words.js";

/** @typedef {import("./jobs.js").Job} Job */
/** @typedef {import("./jobs.js").Video} Video */

export class Media {
  #index = 0;
  #isPicked = false; // whether somebody picked the variant; else the first stored one is shown
  #progress = new Progress();
  /** @type {Job} */
  #job;
  /** @type {HTMLVideoElement|null} */
  #player = null;
  #playing = -1;
  #goesOn = false; // whether it should play; a failed source pauses by itself
  #isRenewed = false; // whether the player has a new URL that has not played yet
  #deeds;
  #stage;
  #strip;
  #shown = "";
  /** @type {{words: Element, percent: Element, left: Element, bar: HTMLElement, fill: HTMLElement}|null} */
  #live = null;

  /**
   * @param {Job} job
   * @param {number} now
   * @param {import("./card.js").Deeds} deeds
   */
  constructor(job, now, deeds) {
    this.#job = job;
    this.#deeds = deeds;
    this.#stage = /** @type {HTMLElement} */ (el("div", { class: "stage" }));
    this.#strip = el("div", { class: "strip", role: "group", "aria-label": "Variants" });
    this.element = el("div", { class: "media" }, this.#stage, this.#strip);
    this.update(job, now);
  }

  /** Whether somebody is watching. Then nothing here may be removed. */
  get busy() {
    return this.#player !== null && !this.#player.paused && !this.#player.ended;
  }

  /** Whether a video is shown; else the stage shows the job's status. */
  get hasVideo() {
    return this.#shown.startsWith("video");
  }

  /** @param {Job} job @param {number} now */
  update(job, now) {
    this.#job = job;
    this.#progress.note(job, now);
    this.#showStage();
    this.#showStrip();
    this.#freshen();
    this.tick(now);
  }

  /** Called as time passes. @param {number} now */
  tick(now) {
    const live = this.#live;
    if (!live) return;
    const percent = this.#progress.at(now);
    live.bar.classList.toggle("unknown", percent === null);
    if (percent !== null) {
      live.fill.style.transform = `scaleX(${percent / 100})`;
      live.bar.setAttribute("aria-valuenow", String(Math.floor(percent)));
    } else {
      live.bar.removeAttribute("aria-valuenow");
    }
    setText(live.percent, percent === null || this.#job.status === "waiting" ? "" : `${Math.floor(percent)}%`);
    const backend = this.#deeds.backend(this.#job.backend.name);
    const state = backend?.now?.state ?? "";
    setText(live.left, lineWords(this.#job, backend) || untilGone(this.#job, now) || this.#progress.left(now));
    setText(live.words, statusWords(this.#job, state));
    this.#stage.classList.toggle("held", this.#job.status === "pending_download" || (this.#job.status === "waiting" && isHeld(state)));
  }

  /** Reads the job again to get valid URLs. */
  #renew() {
    return this.#deeds.reread(this.#job.id);
  }

  // --- the stage ---

  #showStage() {
    const job = this.#job;
    const first = job.videos.find((each) => each.url);
    const picked = this.#isPicked || this.#playing >= 0 ? job.videos.find((each) => each.index === this.#index && each.url) : undefined;
    const video = picked ?? first;
    if (video) this.#index = video.index;
    this.#stage.hidden = !video && !isLive(job); // without a video no stage is needed
    this.#stage.style.aspectRatio = shapeOfStage(job, video);
    const kind = video ? `video ${video.index}` : isLive(job) ? "live" : `ended ${job.status}`;
    if (kind === this.#shown) return;
    this.#shown = kind;
    this.#live = null;
    this.#player = null;
    this.#playing = -1;
    if (video) this.#stage.replaceChildren(this.#poster(video), this.#enlarge());
    else this.#stage.replaceChildren(this.#wayThere());
  }

  #wayThere() {
    const [words, percent, left] = ["stage-status", "stage-percent", "stage-left"].map((name) => el("span", { class: name }));
    const fill = el("span", { class: "fill" });
    const bar = el("div", { class: "bar", role: "progressbar", "aria-label": "Progress", "aria-valuemin": 0, "aria-valuemax": 100 }, fill);
    this.#live = { words, percent, left, bar, fill };
    return el(
      "div",
      { class: "way" },
      el("div", { class: "shimmer", "aria-hidden": "true" }),
      el("span", { class: "way-icon" }, icon("queue")),
      el("div", { class: "way-line" }, words, percent),
      bar,
      el("div", { class: "way-line quiet" }, left),
    );
  }

  /** @param {Video} video */
  #poster(video) {
    const many = this.#job.videos.length > 1;
    const length = video.duration_seconds ? clockTime(video.duration_seconds) : "";
    const label = [many ? `Play video ${video.index + 1} of ${this.#job.videos.length}` : "Play the video", length].filter(Boolean).join(", ");
    return el(
      "button",
      { type: "button", class: "poster", "aria-label": label, on: { click: () => this.#play(true) } },
      video.thumbnail_url ? this.#thumbnail(video) : firstFrame(String(video.url), () => this.#renew()),
      el("span", { class: "play" }, icon("play")),
      length ? el("span", { class: "length", text: length }) : null,
    );
  }

  #enlarge() {
    const open = () => this.#deeds.view(this.#job, this.#index);
    return iconButton("expand", "View large", open, "enlarge");
  }

  /** @param {Video} video */
  #thumbnail(video) {
    const image = el("img", { src: video.thumbnail_url, alt: "", loading: "lazy", decoding: "async", referrerpolicy: "no-referrer" });
    image.addEventListener("error", () => this.#renew().catch(() => {}), { once: true });
    return image;
  }

  /** @param {boolean} focus */
  #play(focus) {
    const video = this.#current();
    if (!video?.url) return;
    const player = /** @type {HTMLVideoElement} */ (
      el("video", { controls: true, playsinline: true, preload: "auto", poster: video.thumbnail_url, src: video.url, "aria-label": `Video ${video.index + 1}` })
    );
    player.loop = (video.duration_seconds ?? 60) < 8;
    player.addEventListener("error", () => this.#recover(player));
    player.addEventListener("playing", () => (this.#isRenewed = false));
    player.addEventListener("play", () => (this.#goesOn = true));
    player.addEventListener("pause", () => {
      if (player.error === null) this.#goesOn = false;
      this.#freshen();
    });
    this.#player = player;
    this.#playing = video.index;
    this.#goesOn = true;
    this.#isRenewed = false;
    this.#stage.replaceChildren(player, this.#enlarge());
    if (focus) player.focus({ preventScroll: true });
    player.play().catch(() => {}); // the browser may want another click; the controls are there
  }

  #current() {
    return this.#job.videos.find((video) => video.index === this.#index);
  }

  /** A new URL for a paused video. A playing one is not disturbed, and requests a URL when it needs one. */
  #freshen() {
    const [player, video] = [this.#player, this.#current()];
    if (player === null) {
      renewFrame(this.#stage.querySelector("video.frame"), video?.url);
      const image = this.#stage.querySelector("img");
      if (image && video?.thumbnail_url && !(image.complete && image.naturalWidth) && image.src !== video.thumbnail_url) image.src = video.thumbnail_url;
    } else if (video?.url && player.src !== video.url && player.paused && endsSoon(player.src)) {
      swap(player, video.url, false);
    }
  }

  /** The URL ended while somebody watched. Continue with a new URL at the same place, once. @param {HTMLVideoElement} player */
  async #recover(player) {
    const isSecond = this.#isRenewed;
    const failed = player.src;
    if (!isSecond) await this.#renew().catch(() => {});
    const url = this.#current()?.url;
    if (this.#player !== player) return;
    this.#isRenewed = true;
    if (!isSecond && url && url !== failed) swap(player, url, this.#goesOn);
    else toast(CANT_PLAY, "bad");
  }

  // --- the variants ---

  #showStrip() {
    const { videos } = this.#job;
    this.#strip.hidden = videos.length < 2;
    if (videos.length < 2) return;
    while (this.#strip.children.length < videos.length) this.#strip.append(this.#choice(this.#strip.children.length));
    for (const [place, video] of videos.entries()) {
      const button = /** @type {HTMLButtonElement} */ (this.#strip.children[place]);
      button.disabled = !video.url;
      button.setAttribute("aria-pressed", String(video.index === this.#index && Boolean(video.url)));
      const state = video.url ? "" : video.status === "expired" ? ", expired" : ", not here yet";
      button.setAttribute("aria-label", `Video ${video.index + 1} of ${videos.length}${state}`);
      if (video.thumbnail_url && !button.querySelector("img")) button.replaceChildren(this.#thumbnail(video));
    }
  }

  /** @param {number} place */
  #choice(place) {
    const choose = () => {
      this.#index = this.#job.videos[place].index;
      this.#isPicked = true;
      const plays = this.#playing >= 0;
      if (plays) {
        this.#shown = `video ${this.#index}`;
        this.#play(false);
      } else this.#showStage();
      this.#showStrip();
    };
    return el("button", { type: "button", class: "choice", on: { click: choose } }, String(place + 1));
  }
}

/** The stage has the aspect ratio of the video that it shows or will show. @param {Job} job @param {Video|undefined} video */
function shapeOfStage(job, video) {
  if (video?.width && video.height) return `${video.width} / ${video.height}`;
  return job.size ? job.size.replace("x", " / ") : "";
}

/** How long the video API keeps a video that can't be downloaded yet. @param {Job} job @param {number} now */
function untilGone(job, now) {
  if (job.status !== "pending_download" || !job.backend_expires_at) return "";
  const seconds = (Date.parse(job.backend_expires_at) - now) / 1000;
  return seconds > 0 ? `deleted there in ${span(seconds)}` : "deleted there any moment now";
}

/** @param {HTMLVideoElement} player @param {string} url @param {boolean} goOn */
function swap(player, url, goOn) {
  const at = player.currentTime;
  player.src = url;
  player.currentTime = at;
  if (goOn) player.play().catch(() => {});
}

/** Whether a signed URL ends within ten minutes. @param {string} url */
function endsSoon(url) {
  const ends = Date.parse(new URL(url).searchParams.get("se") ?? "");
  return Number.isFinite(ends) && ends - now() < 10 * 60_000;
}
