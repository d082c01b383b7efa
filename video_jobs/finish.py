"""What follows when a job has ended. All of it may run twice."""

from __future__ import annotations

import json
import logging

from video_jobs.job import Job
from video_jobs.job_view import job_summary
from video_jobs.services import Services

log = logging.getLogger("reelkeep.finish")


def finish(services: Services, job: Job) -> None:
    """For a job that is stored as terminal. The live row goes last: until then a sweeper finds the job."""
    if any(output.stored for output in job.outputs):
        text = json.dumps(job_summary(job), ensure_ascii=False, indent=2)
        services.blobs.put_summary(job.owner, job.id, text.encode("utf-8"))
    services.live_jobs.remove(job)
    log.info("%s has ended: %s%s", job.id, job.status, f" ({job.error.code})" if job.error else "")
