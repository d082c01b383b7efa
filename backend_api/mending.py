"""What an operator does to a job of any owner."""

from __future__ import annotations

from backend_api.live import is_owner
from video_jobs.domain.errors import JobNotFound
from video_jobs.domain.job import Job
from video_jobs.lifecycle.finalize import finish
from video_jobs.lifecycle.find import find_job
from video_jobs.lifecycle.repair import expedite
from video_jobs.lifecycle.webhook_chain import tell_again
from video_jobs.ports import StoredJob
from video_jobs.services import Services


def repair_any(services: Services, owner: str, job_id: str) -> Job:
    """Poll the job now, and download its missing videos now. Raises InvalidRequest and JobNotFound."""
    return expedite(services, _find(services, owner, job_id))


def resend_any(services: Services, owner: str, job_id: str) -> Job:
    """Send the webhook of the job's end again. Raises InvalidRequest, JobNotFound and NothingToSend."""
    stored = _find(services, owner, job_id)
    hook = stored.job.webhook
    if hook is not None and not hook.chain.turn and stored.job.is_over:
        finish(services, stored.job)  # a crash may have interrupted this
    return tell_again(services, stored)


def _find(services: Services, owner: str, job_id: str) -> StoredJob:
    if not is_owner(owner):
        raise JobNotFound(job_id)
    return find_job(services, owner, job_id)
