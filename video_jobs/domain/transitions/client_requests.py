"""A client's wishes for a job: saved here, carried out by the poll."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from video_jobs.domain.errors import TransitionRefused
from video_jobs.domain.job import Job, Status
from video_jobs.domain.job_parts import Cancellation
from video_jobs.domain.transitions.shared import ended, require

_STOPPABLE = (Status.SUBMITTING, Status.QUEUED, Status.RUNNING)


def request_cancel(job: Job, now: datetime) -> Job:
    """Not submitted yet: the job is cancelled. Generated or ended: too late, unchanged. Else the wish is saved."""
    asked = job.evolve(now, cancellation=Cancellation(requested_at=now))
    if job.status is Status.WAITING:
        return ended(asked, now, Status.CANCELLED)
    if job.status not in _STOPPABLE or job.cancellation.is_wanted:
        return job
    return asked.noting(now, "cancel_requested")


def cancel_refused(job: Job, now: datetime, reason: str) -> Job:
    """The backend continues the job; it is asked again only if the client asks again."""
    require(job, Status.QUEUED, Status.RUNNING)
    cancellation = job.cancellation._replace(refused=reason)
    return job.evolve(now, cancellation=cancellation).noting(now, "cancel_refused", reason)


def cancelled(job: Job, now: datetime) -> Job:
    """The backend has stopped the job and deleted everything of it.

    Another poll may have seen it generated meanwhile: then no download begins any more, and one that is under way may
    still bring the video. The job ends with the last of them.
    """
    if job.status is Status.CANCELLED or (job.backend_job_gone and not job.is_terminal):
        return job
    require(job, Status.QUEUED, Status.RUNNING, Status.FETCHING, Status.PENDING_DOWNLOAD)
    if job.status in (Status.QUEUED, Status.RUNNING):
        return ended(job, now, Status.CANCELLED)
    return job.evolve(now, backend_job_gone=True)


def request_delete(job: Job, now: datetime) -> Job:
    """Mark the job deleted, from any status. Later polls stop its generation and delete its stored files."""
    if job.deleted_at is not None:
        return job
    if job.status is Status.WAITING:
        job = ended(job, now, Status.CANCELLED)
    return job.evolve(now, deleted_at=now, chain=replace(job.chain, due_at=now)).noting(now, "deleted")


def backend_job_gone(job: Job, now: datetime) -> Job:
    """During deletion: the backend has nothing of the job any more."""
    if job.backend_job_gone:
        return job
    if job.deleted_at is None:
        raise TransitionRefused(f"{job.id} is not being deleted")
    if job.status in (Status.QUEUED, Status.RUNNING):
        job = ended(job, now, Status.CANCELLED)
    return job.evolve(now, backend_job_gone=True)


def retried(job: Job, now: datetime, retry: str) -> Job:
    """Name the job that retries this one."""
    if job.retried_as is not None:
        return job
    return job.evolve(now, retried_as=retry).noting(now, "retried", retry)
