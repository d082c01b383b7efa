/** `GET /api/videos/ID`: how far a video is, for the page to ask again and again. Nothing of Reelkeep's own leaves here. */

import { reelkeep, ReelkeepProblem } from "../../../../lib/reelkeep";

/** What the browser is told. */
export interface Progress {
  id: string;
  status: string;
  /** Percent, or null where nobody knows. */
  progress: number | null;
  expected_at: string | null;
  queue_position: number | null;
  /** Why it is not further, in words. */
  reason: string | null;
  error: string | null;
  /** Where the video can be loaded from, whenever somebody looks; null until it is stored. */
  video: string | null;
}

export async function GET(request: Request, context: { params: Promise<{ id: string }> }): Promise<Response> {
  const { id } = await context.params;
  try {
    const job = await reelkeep().job(id);
    const progress: Progress = {
      id: job.id,
      status: job.status,
      progress: job.progress,
      expected_at: job.expected_at,
      queue_position: job.queue_position,
      reason: job.reason,
      error: job.error?.message ?? null,
      video: job.videos[0]?.url ? `/api/videos/${job.id}/video` : null,
    };
    return Response.json(progress, { headers: { "Cache-Control": "no-store" } });
  } catch (error) {
    if (error instanceof ReelkeepProblem && (error.status === 404 || error.status === 400))
      return Response.json({ error: "There is no such video." }, { status: 404 });
    console.error("No status from Reelkeep:", error);
    return Response.json({ error: "The status can't be read right now. It goes on by itself." }, { status: 502 });
  }
}
