"""What a client wants done with a job. The wish is saved here; the code that polls carries it out."""

from __future__ import annotations

from functools import partial
from typing import Literal

from typing_extensions import TypedDict

from video_jobs.domain import transitions
from video_jobs.domain.job import Job
from video_jobs.lifecycle.finalize import finish
from video_jobs.lifecycle.find import find_job
from video_jobs.lifecycle.poll_chain import done_later_at_worst, poll_now
from video_jobs.lifecycle.repair import expedite, mark_deleted
from video_jobs.lifecycle.update import update
from video_jobs.lifecycle.webhook_chain import tell_again
from video_jobs.services import Services


class Deleted(TypedDict):
    """The answer to a DELETE."""

    id: str
    deleted: Literal[True]


def cancel_job(services: Services, owner: str, job_id: str) -> Job:
    """Cancel a job. Gives the job as it is now: cancelled, about to be stopped, or unchanged if it is too late. Safe to repeat.

    Raises InvalidRequest and JobNotFound.
    """
    stored = find_job(services, owner, job_id)
    job = update(services.jobs, stored, partial(transitions.request_cancel, now=services.clock())).job
    with done_later_at_worst(job):
        if job.is_terminal:
            finish(services, job)
        elif job.cancellation.requested_at is not None:
            poll_now(services, job)
    return job


def delete_job(services: Services, owner: str, job_id: str) -> Job:
    """Hide the job at once; its chain deletes everything of it later. Safe to repeat.

    Raises InvalidRequest and JobNotFound.
    """
    return mark_deleted(services, find_job(services, owner, job_id, deleted_too=True))


def repair_job(services: Services, owner: str, job_id: str) -> Job:
    """Poll the job now, and download its missing videos now.

    Raises InvalidRequest and JobNotFound.
    """
    return expedite(services, find_job(services, owner, job_id))


def send_webhook(services: Services, owner: str, job_id: str) -> Job:
    """Send the webhook of the job's end again, and repeat until it is delivered.

    Raises InvalidRequest, JobNotFound and NothingToSend.
    """
    stored = find_job(services, owner, job_id)
    hook = stored.job.webhook
    if hook is not None and not hook.chain.turn and stored.job.is_over:
        # A crash may have interrupted this, and the higher turn would make it look done.
        finish(services, stored.job)
    return tell_again(services, stored)
