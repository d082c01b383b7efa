"use client";

/** A prompt, its way to a video, and the video: everything over this app's own routes, without a key. */

import { type FormEvent, type SyntheticEvent, useEffect, useRef, useState } from "react";

import type { Progress } from "./api/videos/[id]/route";

const ENDED = new Set(["succeeded", "failed", "cancelled", "expired"]);
const BETWEEN_POLLS = 2000; // milliseconds

export default function Page() {
  const [progress, setProgress] = useState<Progress | null>(null);
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  /** Of the prompt that is under way: sent again under it, there is one video. */
  const attempt = useRef({ prompt: "", key: "" });

  useEffect(() => {
    if (!progress || ENDED.has(progress.status)) return;
    const timer = setTimeout(async () => {
      const answer = await fetch(`/api/videos/${progress.id}`).catch(() => null);
      // A new object each time, so that the next poll follows even if this one failed.
      setProgress(answer?.ok ? ((await answer.json()) as Progress) : { ...progress });
    }, BETWEEN_POLLS);
    return () => clearTimeout(timer);
  }, [progress]);

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const prompt = String(new FormData(event.currentTarget).get("prompt") ?? "");
    if (attempt.current.prompt !== prompt) attempt.current = { prompt, key: crypto.randomUUID() };
    setBusy(true);
    setProblem("");
    try {
      const headers = { "Content-Type": "application/json", "Idempotency-Key": attempt.current.key };
      const answer = await fetch("/api/videos", { method: "POST", headers, body: JSON.stringify({ prompt }) });
      const told = (await answer.json()) as { id?: string; status?: string; error?: string };
      if (!answer.ok || !told.id) return setProblem(told.error ?? "That did not work. Try again.");
      attempt.current = { prompt: "", key: "" };
      const unknown = { progress: null, expected_at: null, queue_position: null, reason: null, error: null, video: null };
      setProgress({ id: told.id, status: told.status ?? "waiting", ...unknown });
    } catch {
      setProblem("No connection. Press the button again: the same prompt is paid for once.");
    } finally {
      setBusy(false);
    }
  }

  return (
    <main>
      <h1>A video from a prompt</h1>
      <form onSubmit={submit}>
        <label htmlFor="prompt">What should it show?</label>
        <br />
        <textarea id="prompt" name="prompt" rows={3} cols={60} required />
        <br />
        <button disabled={busy}>Generate</button>
      </form>
      {problem && <p role="alert">{problem}</p>}
      {progress && (
        <section aria-live="polite">
          <p>{wordsFor(progress)}</p>
          {!ENDED.has(progress.status) && <progress max={100} value={progress.progress ?? undefined} aria-label="Progress" />}
          {progress.reason && !progress.video && <p>{progress.reason}</p>}
          {progress.error && <p role="alert">{progress.error}</p>}
          {progress.video && (
            <video src={progress.video} controls loop width={480} aria-label="The video" onError={loadAgain} onPlaying={forget} />
          )}
        </section>
      )}
    </main>
  );
}

/** The signed URL has ended while the page was open: the same address leads to a fresh one. Once, until it plays. */
function loadAgain({ currentTarget: video }: SyntheticEvent<HTMLVideoElement>) {
  if (video.dataset.again) return;
  video.dataset.again = "yes";
  const at = video.currentTime;
  video.load();
  video.currentTime = at;
}

function forget({ currentTarget: video }: SyntheticEvent<HTMLVideoElement>) {
  delete video.dataset.again;
}

function wordsFor({ status, queue_position, progress }: Progress): string {
  if (status === "waiting") return queue_position ? `${queue_position - 1} ahead of you` : "Waiting in line";
  if (status === "running") return progress === null ? "Generating" : `Generating, ${progress}%`;
  const words: Record<string, string> = {
    submitting: "Sending",
    queued: "Waiting at the video service",
    fetching: "Saving",
    pending_download: "Generated, download delayed",
    succeeded: "Ready",
    failed: "Failed",
    cancelled: "Cancelled",
    expired: "Expired",
  };
  return words[status] ?? status;
}
