/**
 * What can be done with a job from its card.
 * @module
 */

import { announce, toast } from "./announcer.js";
import { Refusal, Unreachable, call, isGone, now } from "./api.js";
import { copy } from "./clipboard.js";
import { showCode } from "./code_dialog.js";
import { el } from "./dom.js";
import { explainRefusal, inOne } from "./explain.js";
import { hasEnded, nameOf } from "./words.js";

/** @typedef {import("./jobs.js").Job} Job */

const BETWEEN_DOWNLOADS = 600; // milliseconds: a browser drops downloads that start at the same time

/**
 * @param {{jobs: import("./jobs.js").Jobs, watcher: import("./watcher.js").Watcher,
 *     backends: import("./backends.js").Backends, show: (job: Job) => void, edit: (job: Job) => void,
 *     view: (job: Job, index: number) => void}} page
 * @returns {import("./card.js").Deeds}
 */
export function deedsOf({ jobs, watcher, backends, show, edit, view }) {
  /** Does something with a job. If that fails, says why. @param {Job} job @param {() => Promise<void>} deed */
  async function trying(job, deed) {
    try {
      await deed();
    } catch (error) {
      if (!(error instanceof Refusal) && !(error instanceof Unreachable)) throw error;
      toast(inOne(explainRefusal(error, "change")), "bad");
      if (isGone(error)) jobs.remove(job.id);
      throw error;
    }
  }

  return {
    cancel: (job) =>
      trying(job, async () => {
        const { data } = await call("POST", `jobs/${job.id}/cancel`);
        jobs.put(data);
        watcher.pollNow(job.id);
        backends.refresh();
        if (data.status !== "cancelled") toast("Stopping. If the video finishes first, you keep it.");
      }).catch(() => {}),
    retry: (job) =>
      trying(job, async () => {
        const { data } = await call("POST", `jobs/${job.id}/retry`);
        if (data.id !== job.id) jobs.put({ ...job, retried_as: data.id });
        show(data);
        watcher.pollNow(data.id);
        if (data.id === job.id) toast("The download is tried now.");
      }).catch(() => {}),
    remove: (job) =>
      trying(job, async () => {
        await call("DELETE", `jobs/${job.id}`);
        jobs.remove(job.id);
        announce(`${nameOf(job)} was deleted.`);
      }),
    save: (job, index) =>
      trying(job, async () => {
        // A link that has ended would replace the page by the storage's refusal.
        const fresh = job.videos.some((video) => hasEnded(video, now())) ? await jobs.reread(job.id) : job;
        await saveAll(fresh?.videos.filter((video) => index === undefined || video.index === index) ?? []);
      }).catch(() => {}),
    showCode: (job) => showCode(job, backends.list.find((each) => each.name === job.backend.name)),
    copyId: (job) => copy(job.id, "The id was"),
    edit,
    view,
    reread: (id) => jobs.reread(id),
    backend: (name) => backends.list.find((each) => each.name === name),
  };
}

/** @param {import("./jobs.js").Video[]} videos */
async function saveAll(videos) {
  for (const video of videos) {
    if (!video.download_url) continue;
    const link = el("a", { href: video.download_url, rel: "noreferrer", download: "" });
    link.click();
    await new Promise((resolve) => setTimeout(resolve, BETWEEN_DOWNLOADS));
  }
}
