/** What your app does when a job has ended. An event may come twice: whatever you do here must bear that. */

import type { Job } from "./reelkeep";

/** In place of your database: `insert … on conflict (id) do nothing` is the same. */
const known = new Set<string>();

export async function jobEnded(type: string, job: Job): Promise<void> {
  if (known.has(job.id)) return;
  known.add(job.id);
  console.log(`${type} ${job.id} ${job.error?.message ?? `${job.videos.length} videos`}`);
  // The videos stay in Reelkeep's storage: `reelkeep().job(job.id)` gives new URLs at any time.
}
