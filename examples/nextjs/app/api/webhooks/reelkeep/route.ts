/** Told by Reelkeep that a job has ended: verified, taken once, and answered before anything slow is done. */

import { Webhook, WebhookVerificationError } from "standardwebhooks";

import { jobEnded } from "../../../../lib/ended";
import type { Job } from "../../../../lib/reelkeep";

interface JobEvent {
  type: "job.succeeded" | "job.failed" | "job.cancelled" | "job.expired";
  timestamp: string;
  data: Job;
}

export async function POST(request: Request): Promise<Response> {
  const secret = process.env.REELKEEP_WEBHOOK_SECRET;
  if (!secret) throw new Error("REELKEEP_WEBHOOK_SECRET is not set: it is one of the app's WEBHOOK_SECRETS.");
  const body = await request.text(); // the unchanged bytes: the signature does not fit a body that was parsed and written again
  let event: JobEvent;
  try {
    event = new Webhook(secret).verify(body, Object.fromEntries(request.headers)) as JobEvent;
  } catch (error) {
    if (!(error instanceof WebhookVerificationError)) throw error;
    return new Response(null, { status: 401 });
  }
  await jobEnded(event.type, event.data);
  return new Response(null, { status: 204 }); // without a 2xx, the webhook comes again
}
