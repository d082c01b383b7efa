/**
 * `GET /api/videos/ID/video`: to the bytes. A signed URL ends after an hour, so it is never kept: this address stays the
 * same, and each time a browser loads it, it is led to a fresh one. Put it into `<video src>` and into your database.
 */

import { reelkeep, ReelkeepProblem } from "../../../../../lib/reelkeep";

export async function GET(request: Request, context: { params: Promise<{ id: string }> }): Promise<Response> {
  const { id } = await context.params;
  try {
    const url = (await reelkeep().job(id)).videos[0]?.url;
    if (!url) return Response.json({ error: "The video is not here yet." }, { status: 404 });
    return new Response(null, { status: 302, headers: { Location: url, "Cache-Control": "no-store" } });
  } catch (error) {
    if (error instanceof ReelkeepProblem && (error.status === 404 || error.status === 400))
      return Response.json({ error: "There is no such video." }, { status: 404 });
    console.error("No video from Reelkeep:", error);
    return Response.json({ error: "The video can't be loaded right now. It is kept; try again." }, { status: 502 });
  }
}
