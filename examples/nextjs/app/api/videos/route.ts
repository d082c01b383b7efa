/** `POST /api/videos {"prompt": "…"}`: 202 and the job's id. Keep it; the webhook says when its video is there. */

import { randomUUID } from "node:crypto";

import { reelkeep, ReelkeepProblem } from "../../../lib/reelkeep";

/** The statuses that say something of what the visitor asked for. */
const VISITORS = new Set([400, 409, 413, 422, 429]);

export async function POST(request: Request): Promise<Response> {
  const asked: unknown = await request.json().catch(() => null);
  const prompt = typeof asked === "object" && asked !== null && "prompt" in asked ? asked.prompt : null;
  if (typeof prompt !== "string") return refusal(400, 'Send JSON like {"prompt": "A paper boat"}.');
  // The browser makes one key for each click, so that a click that is sent twice makes one video.
  const key = request.headers.get("Idempotency-Key") ?? randomUUID();
  const hook = process.env.REELKEEP_WEBHOOK_URL;
  try {
    const job = await reelkeep().submit({ prompt, ...(hook ? { webhook_url: hook } : {}) }, key);
    return Response.json({ id: job.id, status: job.status }, { status: 202 });
  } catch (error) {
    if (error instanceof ReelkeepProblem && error.code !== null && VISITORS.has(error.status))
      return refusal(error.status, error.message, error.retryAfter);
    // A visitor can't repair an error between this app and Reelkeep, and should not see it.
    console.error("No video from Reelkeep:", error);
    const later = error instanceof ReelkeepProblem ? error.retryAfter : null;
    return refusal(502, "Videos can't be made right now. Try again: with the same Idempotency-Key it is safe.", later);
  }
}

function refusal(status: number, error: string, retryAfter: number | null = null): Response {
  const headers: Record<string, string> = retryAfter === null ? {} : { "Retry-After": String(retryAfter) };
  return Response.json({ error }, { status, headers });
}
