"""The steps that follow when a job has ended. Each may run twice."""

from __future__ import annotations

import json

from video_jobs.domain.errors import JobNotFound
from video_jobs.domain.job import Job
from video_jobs.lifecycle import admission, owner_quota
from video_jobs.lifecycle.webhook_chain import is_untold, keep_telling
from video_jobs.ports import LiveJob
from video_jobs.services import Services
from video_jobs.views.job_view import history_view, job_summary


def finish(services: Services, job: Job) -> None:
    """Finish a job that is stored as terminal. The live row is removed last: until then the sweeper finds the job."""
    if job.deleted_at is not None:
        return  # there is more to do for it, and nothing to sum up
    # If a webhook message was sent already, all of this was done before.
    if job.webhook is None or not job.webhook.chain.turn:
        if any(output.stored for output in job.outputs):
            whole = {**job_summary(job), "history": history_view(job)}
            text = json.dumps(whole, ensure_ascii=False, indent=2)
            services.blobs.put_summary(job.owner, job.id, text.encode("utf-8"))
        # A generated job gave its slot back earlier; after a crash at that step the sweeper does it.
        if not job.outputs:
            admission.leave(services, job)
        owner_quota.release(services, job)
    if is_untold(job):
        keep_telling(services, job)
        return
    live = LiveJob.of(job)
    services.live_jobs.remove(live)
    if job.webhook is not None and _is_asked_again(services, job):
        services.live_jobs.add(live)


def _is_asked_again(services: Services, job: Job) -> bool:
    """Whether a new round of webhook messages began while the last one ended: both use the same live row."""
    try:
        return is_untold(services.jobs.get(job.owner, job.id).job)
    except JobNotFound:
        return False
