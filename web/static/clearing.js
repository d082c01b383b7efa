/**
 * Deletes all shown jobs that failed or were stopped, after a confirmation.
 * @module
 */

import { announce, toast } from "./announcer.js";
import { Refusal, Unreachable, call } from "./api.js";
import { byId, setText } from "./dom.js";
import { explainRefusal, inOne } from "./explain.js";
import { counted } from "./words.js";

/** @typedef {import("./jobs.js").Job} Job */

const ENDED = ["failed", "cancelled", "expired"];

/** @param {import("./jobs.js").Jobs} jobs */
export function startClearing(jobs) {
  const [button, asks, yes, no] = ["clear", "clear-asks", "clear-yes", "clear-no"].map(byId);
  const those = () => jobs.all.filter((job) => ENDED.includes(job.status) && !job.videos.some((video) => video.status === "stored"));
  const settle = () => {
    asks.hidden = true;
    button.hidden = jobs.filter !== "ended" || those().length === 0;
  };
  jobs.addEventListener("state", () => asks.hidden && settle());
  jobs.addEventListener("reset", settle);
  button.addEventListener("click", () => {
    setText(byId("clear-words"), `Delete ${counted(those().length, "job")} without a video? That can’t be undone.`);
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
    try {
      for (const job of those()) {
        await call("DELETE", `jobs/${job.id}`);
        jobs.remove(job.id);
        gone += 1;
      }
    } catch (error) {
      if (!(error instanceof Refusal) && !(error instanceof Unreachable)) throw error;
      toast(inOne(explainRefusal(error, "change")), "bad");
    }
    announce(`${counted(gone, "job")} deleted.`);
    settle();
    byId("list-heading").focus();
  });
}
