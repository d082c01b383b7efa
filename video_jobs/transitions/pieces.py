"""What the transitions share."""

from __future__ import annotations

from datetime import datetime

from video_jobs.errors import TransitionRefused
from video_jobs.job import Job, JobError, Status


def require(job: Job, *statuses: Status) -> None:
    if job.status not in statuses:
        raise TransitionRefused(f"{job.id} is {job.status}, not {' or '.join(statuses)}")


def require_attempt(job: Job, attempt: str) -> None:
    require(job, Status.SUBMITTING)
    if job.attempt != attempt:
        raise TransitionRefused(f"{job.id} is in another attempt by now")


def refuse_terminal(job: Job) -> None:
    if job.is_terminal:
        raise TransitionRefused(f"{job.id} is {job.status}, and that is final")


def ended(job: Job, now: datetime, status: Status, error: JobError | None = None) -> Job:
    """The one way to an end."""
    refuse_terminal(job)
    job = job.evolve(now, status=status, finished_at=now, error=error, reason=None, alarm=None)
    said, request_id = (error.message, error.backend_request_id) if error else (None, None)
    return job.noting(now, status.value, said, request_id)


def expired(job: Job, now: datetime, why: str) -> Job:
    message = f"The video API keeps a job only for a while. {why}"
    return ended(job, now, Status.EXPIRED, JobError(code="expired", message=message))
