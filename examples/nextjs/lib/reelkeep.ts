/** As much of Reelkeep's API as an app needs that submits videos and is told of their end. */

export interface VideoRequest {
  prompt: string;
  size?: string;
  seconds?: number;
  metadata?: Record<string, string>;
  webhook_url?: string;
}

export interface Video {
  index: number;
  status: "pending" | "stored" | "expired";
  length: number | null;
  sha256: string | null;
  /** Signed, and valid for an hour; null in a webhook, which may come later than that. */
  url: string | null;
}

export interface Job {
  id: string;
  status: string;
  /** Percent, or null where nobody knows. */
  progress: number | null;
  expected_at: string | null;
  queue_position: number | null;
  /** Why it is not further, in words. */
  reason: string | null;
  metadata: Record<string, string>;
  error: { code: string; message: string } | null;
  videos: Video[];
}

/** What the app refused, or could not do right now, as its problem+json says. */
export class ReelkeepProblem extends Error {
  constructor(
    readonly status: number,
    /** Null where it was not the app that answered, but something before it: then nobody knows what became of the request. */
    readonly code: string | null,
    detail: string,
    /** Seconds. */
    readonly retryAfter: number | null,
  ) {
    super(detail);
  }
}

/** What hosts and gateways answer while the app can't be reached. */
const PASSES = new Set([408, 429, 500, 502, 503, 504]);
/** Seconds between tries; the app may take minutes for a submission. */
const PAUSES = [1, 2, 4];
const LONGEST_ANSWER = 240_000;

export class Reelkeep {
  constructor(
    private readonly api: string,
    private readonly key: string | undefined,
  ) {}

  /** Under the same idempotency key a request may be sent again: there is one job, whatever became of the first. */
  submit(request: VideoRequest, idempotencyKey: string): Promise<Job> {
    return this.ask("/jobs", {
      method: "POST",
      headers: { "Content-Type": "application/json", "Idempotency-Key": idempotencyKey },
      body: JSON.stringify(request),
    });
  }

  /** With fresh URLs of its videos. */
  job(id: string): Promise<Job> {
    return this.ask(`/jobs/${encodeURIComponent(id)}`, {});
  }

  /** Sent again where no answer came, or not the app's: every request here may be repeated. */
  private async ask(path: string, init: RequestInit): Promise<Job> {
    for (const pause of PAUSES) {
      try {
        return await this.askOnce(path, init);
      } catch (error) {
        if (error instanceof ReelkeepProblem && (error.code !== null || !PASSES.has(error.status))) throw error;
        await new Promise((resolve) => setTimeout(resolve, 1000 * pause));
      }
    }
    return this.askOnce(path, init);
  }

  private async askOnce(path: string, init: RequestInit): Promise<Job> {
    const headers = new Headers(init.headers);
    if (this.key) headers.set("x-functions-key", this.key);
    const signal = AbortSignal.timeout(LONGEST_ANSWER);
    const uncached = { ...init, headers, signal, cache: "no-store" }; // otherwise Next.js may cache the answer
    const answer = await fetch(this.api + path, uncached as RequestInit);
    if (answer.ok) return (await answer.json()) as Job;
    const isProblem = answer.headers.get("Content-Type")?.startsWith("application/problem+json");
    const problem = (isProblem ? await answer.json() : {}) as { code?: string; detail?: string };
    const after = Number(answer.headers.get("Retry-After"));
    throw new ReelkeepProblem(
      answer.status,
      problem.code ?? null,
      problem.detail ?? answer.statusText,
      after > 0 ? after : null,
    );
  }
}

/** On the server only: the key must never reach a browser. */
export function reelkeep(): Reelkeep {
  return new Reelkeep(process.env.REELKEEP_API ?? "http://localhost:7071/api", process.env.REELKEEP_KEY);
}
