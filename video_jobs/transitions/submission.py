"""From accepted to taken by the backend."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from video_jobs.errors import TransitionRefused
from video_jobs.estimate import Forecast
from video_jobs.job import BackendRef, Job, JobError, Status
from video_jobs.ports import BackendJob
from video_jobs.transitions.pieces import ended, expecting, require, require_attempt


def waits(job: Job, now: datetime, reason: str | None) -> Job:
    """waiting → waiting, and why."""
    require(job, Status.WAITING)
    if job.reason == reason:
        return job
    return job.evolve(now, reason=reason).noting(now, "waits", reason)


def begin_submit(
    job: Job, now: datetime, attempt: str, backend: BackendRef, forecast: Forecast | None = None
) -> Job:
    """waiting → submitting: to be stored before the paid call is made.

    Who gets this stored under its own `attempt` has the right to make the call, once. Found stored already,
    it was a save whose reply was lost. `backend` is as the settings name it now: nothing was made at the
    old address, and an operator may have mended it since. `forecast`: how long such jobs have taken lately.
    """
    if job.status is Status.SUBMITTING and job.attempt == attempt:
        return job
    require(job, Status.WAITING)
    begun = job.evolve(
        now,
        status=Status.SUBMITTING,
        backend=backend,
        attempt=attempt,
        submitting_since=now,
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
    """submitting → waiting: there is proof that this attempt created nothing. Who wanted it stopped has that."""
    if job.status is Status.WAITING and job.attempt == attempt:
        return job
    if job.status is Status.CANCELLED and job.attempt == attempt:
        return job
    require_attempt(job, attempt)
    if job.cancel_requested_at is not None or job.deleted_at is not None:
        return ended(job, now, Status.CANCELLED)
    refused_at = now if refused else job.refused_at
    back = job.evolve(now, status=Status.WAITING, submitting_since=None, reason=reason, refused_at=refused_at)
    return back.noting(now, "waits", reason, request_id)


def submission_failed(job: Job, now: datetime, attempt: str, error: JobError) -> Job:
    """submitting → failed: refused, or never to be known."""
    if job.status is Status.FAILED and job.attempt == attempt:
        return job
    require_attempt(job, attempt)
    return failed(job, now, error)


def note_unknown_outcome(
    job: Job, now: datetime, attempt: str, reason: str, request_id: str | None = None
) -> Job:
    """Say why the job stays `submitting`."""
    require_attempt(job, attempt)
    if job.reason == reason:
        return job
    return job.evolve(now, reason=reason).noting(now, "outcome_unknown", reason, request_id)


def submitted(
    job: Job, now: datetime, backend_job: BackendJob, retention: timedelta, what: str = "submitted"
) -> Job:
    """Keep the backend's id. No status refuses it: an id that is lost is a video that is lost.

    `what` the history calls it: submitted, or adopted.
    """
    if job.backend_job_id == backend_job.id:
        return job
    if job.backend_job_id is not None:
        raise TransitionRefused(f"{job.id} already has the backend job {job.backend_job_id}")
    created_at = backend_job.created_at or job.submitting_since or now
    known = job.evolve(
        now,
        backend_job_id=backend_job.id,
        backend_status=backend_job.status,
        backend_request_id=backend_job.request_id,
        submitted_at=now,
        expires_at=backend_job.expires_at or created_at + retention,
        reason=None,
    ).noting(now, what, backend_job.id, backend_job.request_id)
    if job.status in (Status.WAITING, Status.SUBMITTING):
        return expecting(known.evolve(now, status=Status.QUEUED), now, backend_job.progress)
    return known


def nothing_to_adopt(job: Job, now: datetime, error: JobError) -> Job:
    """waiting → failed: what it was to take up, or to begin with, is not there."""
    require(job, Status.WAITING)
    return failed(job, now, error)


def adopted(job: Job, now: datetime, backend: BackendRef, found: BackendJob, retention: timedelta) -> Job:
    """waiting → queued with what the backend has already; a submission in flight is not overruled."""
    if job.backend_job_id == found.id:
        return job
    require(job, Status.WAITING)
    return submitted(replace(job, backend=backend), now, found, retention, what="adopted")


def failed(job: Job, now: datetime, error: JobError) -> Job:
    return ended(job, now, Status.FAILED, error)
