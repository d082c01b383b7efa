/**
 * Deletes all shown jobs that failed or were stopped, after a confirmation.
 * @module
 */

import { announce, toast } from "./announcer.js";
import { Refusal, Unreachable, call, isGone } from "./api.js";
import { byId, setText } from "./dom.js";
import { explainRefusal, inOne } from "./explain.js";
import { counted } from "./words.js";

/** @typedef {import("./jobs.js").Job} Job */

const ENDED = ["failed", "cancelled", "expired"];

/** @param {import("./jobs.js").Jobs} jobs */
export function startClearing(jobs) {
  const [button, asks, yes, no] = ["clear", "clear-asks", "clear-yes", "clear-no"].map(byId);
  const those = () => jobs.all.filter((job) => ENDED.includes(job.status) && !job.videos.some((video) => video.status === "stored"));
  /** @type {Job[]} those that the question is about */
  let asked = [];
  const settle = () => {
    asks.hidden = true;
    button.hidden = jobs.filter !== "ended" || those().length === 0;
  };
  jobs.addEventListener("state", () => asks.hidden && settle());
  jobs.addEventListener("reset", settle);
  button.addEventListener("click", () => {
    asked = those();
    setText(byId("clear-words"), `Delete ${counted(asked.length, "job")} without a video? That can’t be undone.`);
    asks.hidden = false;
    button.hidden = true;
    no.focus();
  });
  no.addEventListener("click", () => {
    settle();
    button.focus();
  });
  yes.addEventListener("click", async () => {
    let gone = 0;
    yes.disabled = true;
    try {
      for (const job of asked) {
        await call("DELETE", `jobs/${job.id}`).catch((error) => {
          if (!isGone(error)) throw error; // somebody else has deleted it
        });
        jobs.remove(job.id);
        gone += 1;
      }
    } catch (error) {
      if (!(error instanceof Refusal) && !(error instanceof Unreachable)) throw error;
      toast(inOne(explainRefusal(error, "change")), "bad");
    }
    yes.disabled = false;
    announce(`${counted(gone, "job")} deleted.`);
    settle();
    byId("list-heading").focus();
  });
}
