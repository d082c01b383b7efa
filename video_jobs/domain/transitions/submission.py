"""Transitions from accepted to submitted."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from video_jobs.domain.backend_job import BackendJob
from video_jobs.domain.errors import TransitionRefused
from video_jobs.domain.estimate import Forecast
from video_jobs.domain.job import BackendRef, Job, JobError, ListSearch, Status
from video_jobs.domain.transitions.shared import (
    by_our_clock,
    ended,
    expecting,
    require,
    require_attempt,
    with_expiry,
)


def waits(job: Job, now: datetime, reason: str | None, search: ListSearch | None = None) -> Job:
    """waiting → waiting, and why. `search`: how far the backend's list has been read for the earlier job."""
    require(job, Status.WAITING)
    if job.list_search != search:
        job = job.evolve(now, list_search=search)
    if job.reason == reason:
        return job
    return job.evolve(now, reason=reason).noting(now, "waits", reason)


def stands_in_line(job: Job, now: datetime, reason: str, turn: int) -> Job:
    """waiting → waiting, without a message: a job that frees a slot calls the first in line.

    `turn` is the one that was read: if the job's turn is higher, it was called meanwhile.
    """
    job = waits(job, now, reason)
    return replace(job, chain=replace(job.chain, due_at=None)) if job.chain.turn == turn else job


def begin_submit(
    job: Job, now: datetime, attempt: str, backend: BackendRef, forecast: Forecast | None = None
) -> Job:
    """waiting → submitting: stored before the paid call is made.

    A process that stores this under its own `attempt` has the right to make the call, once. If it is stored already,
    the reply to that save was lost. `backend` is as the settings name it now: nothing was made at the old address,
    and the operator may have corrected it. `forecast`: how long such jobs have taken lately.
    """
    if job.status is Status.SUBMITTING and job.submission.attempt == attempt:
        return job
    require(job, Status.WAITING)
    begun = job.evolve(
        now,
        status=Status.SUBMITTING,
        backend=backend,
        submission=job.submission._replace(attempt=attempt, submitting_since=now, outcome_lost_at=None),
        list_search=None,
        list_unreadable_since=None,
        forecast=forecast,
        reason=None,
    )
    return begun.noting(now, "submitting")


def put_back(
    job: Job,
    now: datetime,
    attempt: str,
    reason: str,
    request_id: str | None = None,
    *,
    refused: bool = False,
) -> Job:
    """submitting → waiting: it is proved that this attempt created nothing. After a cancel request: cancelled."""
    if job.status is Status.WAITING and job.submission.attempt == attempt:
        return job
    if job.status is Status.CANCELLED and job.submission.attempt == attempt:
        return job
    require_attempt(job, attempt)
    if job.cancellation.requested_at is not None or job.deleted_at is not None:
        return ended(job, now, Status.CANCELLED)
    refused_at = now if refused else job.submission.refused_at
    submission = job.submission._replace(submitting_since=None, refused_at=refused_at)
    back = job.evolve(now, status=Status.WAITING, submission=submission, reason=reason)
    return back.noting(now, "waits", reason, request_id)


def submission_failed(job: Job, now: datetime, attempt: str, error: JobError) -> Job:
    """submitting → failed: refused, or the outcome stays unknown."""
    if job.status is Status.FAILED and job.submission.attempt == attempt:
        return job
    require_attempt(job, attempt)
    return failed(job, now, error)


def note_unknown_outcome(
    job: Job, now: datetime, attempt: str, reason: str, request_id: str | None = None
) -> Job:
    """Save why the job stays `submitting`: no process has an answer to the call any more."""
    require_attempt(job, attempt)
    lost_at = job.submission.outcome_lost_at
    if job.reason == reason and lost_at is not None:
        return job
    submission = job.submission._replace(outcome_lost_at=lost_at or now)
    return job.evolve(now, submission=submission, reason=reason).noting(
        now, "outcome_unknown", reason, request_id
    )


def searched(
    job: Job,
    now: datetime,
    attempt: str,
    search: ListSearch | None,
    reason: str | None,
    *,
    unreadable: bool = False,
) -> Job:
    """The backend's list was read so far without a result; None: the next poll reads it from its beginning.

    A part that was read ends no failure: only a whole reading shows that the list can be read.
    """
    require_attempt(job, attempt)
    since = job.list_unreadable_since
    if unreadable:
        since = since or now
    elif search is None:
        since = None
    job = job.evolve(now, list_search=search, list_unreadable_since=since)
    if reason is None or job.reason == reason:
        return job
    return job.evolve(now, reason=reason).noting(now, "list_unreadable", reason)


def submitted(
    job: Job, now: datetime, backend_job: BackendJob, retention: timedelta, what: str = "submitted"
) -> Job:
    """Save the backend job's id. This is allowed in every status: a lost id means a lost video.

    `what`: the event's name in the history, `submitted` or `adopted`.
    """
    if job.backend_job_id == backend_job.id:
        return job
    if job.backend_job_id is not None:
        raise TransitionRefused(f"{job.id} already has the backend job {job.backend_job_id}")
    created_at = job.submission.submitting_since or now
    if backend_job.created_at is not None:
        told = by_our_clock(backend_job.created_at, backend_job.told_at, now)
        created_at = min(max(told, job.submission.submitting_since or told), now)
    known = job.evolve(
        now,
        backend_job_id=backend_job.id,
        backend_status=backend_job.status,
        backend_request_id=backend_job.request_id,
        submission=job.submission._replace(submitted_at=now, outcome_lost_at=None),
        cost=backend_job.cost,
        expires_at=created_at + retention,
        told_expires_at=None,
        list_search=None,
        reason=None,
    ).noting(now, what, backend_job.id, backend_job.request_id)
    known = with_expiry(known, now, backend_job)
    if job.status in (Status.WAITING, Status.SUBMITTING):
        return expecting(known.evolve(now, status=Status.QUEUED), now, backend_job.progress)
    return known


def nothing_to_adopt(job: Job, now: datetime, error: JobError) -> Job:
    """waiting → failed: the backend job to reuse, or the input image, is missing."""
    require(job, Status.WAITING)
    return failed(job, now, error)


def adopted(job: Job, now: datetime, backend: BackendRef, found: BackendJob, retention: timedelta) -> Job:
    """waiting → queued with an existing backend job; refused during a paid call."""
    if job.backend_job_id == found.id:
        return job
    require(job, Status.WAITING)
    return submitted(replace(job, backend=backend), now, found, retention, what="adopted")


def failed(job: Job, now: datetime, error: JobError) -> Job:
    return ended(replace(job, list_search=None), now, Status.FAILED, error)
