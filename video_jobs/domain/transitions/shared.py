"""Helpers of all transitions."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from video_jobs.domain.backend_job import BackendJob
from video_jobs.domain.errors import TransitionRefused
from video_jobs.domain.job import Job, JobError, Status

_CLOCKS_APART = timedelta(minutes=1)  # less comes from the transfer, and from a Date in whole seconds
_ANOTHER_ZONE = timedelta(minutes=29)  # zones differ by half an hour at least; a call may take a minute of it
_LONGEST_KEPT = timedelta(days=400)


def require(job: Job, *statuses: Status) -> None:
    if job.status not in statuses:
        raise TransitionRefused(f"{job.id} is {job.status}, not {' or '.join(statuses)}")


def require_attempt(job: Job, attempt: str) -> None:
    require(job, Status.SUBMITTING)
    if job.submission.attempt != attempt:
        raise TransitionRefused(f"{job.id} is in another attempt by now")


def refuse_terminal(job: Job) -> None:
    if job.is_terminal:
        raise TransitionRefused(f"{job.id} is {job.status}, and that is final")


def expecting(job: Job, now: datetime, told: int | None) -> Job:
    """The job's progress, and when its videos may be expected: from the video API's progress, and from the time that
    other jobs of its kind took. Progress never falls.
    """
    began, forecast = job.submission.submitted_at, job.forecast
    if began is None or forecast is None:
        return replace(job, progress=_risen(job.progress, told))
    passed = (now - began).total_seconds()
    expected = forecast.expected(passed)
    return replace(
        job,
        progress=_risen(job.progress, forecast.progress(passed) if told is None else told),
        expected_at=None if expected is None else began + timedelta(seconds=expected),
    )


def by_our_clock(moment: datetime, told_at: datetime | None, now: datetime) -> datetime:
    """A time from a backend, corrected by the error of its clock if its answer shows the clock."""
    if told_at is None or abs(told_at - now) < _CLOCKS_APART:
        return moment
    return moment - (told_at - now)


def with_expiry(job: Job, now: datetime, told: BackendJob) -> Job:
    """Save when the backend deletes the job, if its answer says so. Each value is corrected by the backend's clock only
    once: a new correction at each poll might move the end further and further."""
    if told.expires_at is None or told.expires_at == job.told_expires_at:
        return job
    if told.created_at is not None and told.expires_at <= told.created_at:
        return job  # nonsense
    told_at, began = told.told_at, job.submission.submitting_since
    if told.created_at is not None and began is not None:
        # Without a clock in the answer, or if the job's times are of another zone, its time of creation shows the
        # error. Some servers tell when they began instead: that must not make the end seem earlier than it is.
        by_creation = now + (told.created_at - began)
        is_ahead = told_at is not None and told.created_at - told_at >= _ANOTHER_ZONE
        if told_at is None or is_ahead or told_at - by_creation >= _ANOTHER_ZONE:
            told_at = by_creation
    expires_at = min(by_our_clock(told.expires_at, told_at, now), now + _LONGEST_KEPT)
    if began is not None and expires_at <= began:
        return job  # nonsense, too: the job is newer
    return replace(job, expires_at=expires_at, told_expires_at=told.expires_at)


def _risen(before: int | None, now: int | None) -> int | None:
    known = [value for value in (before, now) if value is not None]
    return min(max(known), 100) if known else None


def ended(job: Job, now: datetime, status: Status, error: JobError | None = None) -> Job:
    """The only transition to a terminal status."""
    refuse_terminal(job)
    job = job.evolve(
        now, status=status, finished_at=now, error=error, reason=None, alarm=None, expected_at=None
    )
    said, request_id = (error.message, error.backend_request_id) if error else (None, None)
    return job.noting(now, status.value, said, request_id)


def expired(job: Job, now: datetime, why: str) -> Job:
    message = f"The video API keeps a job only for a while. {why}"
    return ended(job, now, Status.EXPIRED, JobError(code="expired", message=message))
