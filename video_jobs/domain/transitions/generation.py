"""Transitions by the polls of a job that the backend generates."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from video_jobs.domain.backend_job import BackendJob, BackendState
from video_jobs.domain.chain import Chain
from video_jobs.domain.errors import TransitionRefused
from video_jobs.domain.job import MISSING_PAST_GUESS, Job, JobError, ListSearch, Output, Status
from video_jobs.domain.job_parts import Polls
from video_jobs.domain.refusal_kinds import is_moderation
from video_jobs.domain.transitions.download import MOST_OUTPUTS
from video_jobs.domain.transitions.shared import by_our_clock, ended, expecting, expired, require, with_expiry

NO_OUTPUT_GRACE = timedelta(minutes=5)
"""How long a backend may say 'succeeded' without naming an output."""


def polled(job: Job, now: datetime, backend_job: BackendJob, retention: timedelta | None = None) -> Job:
    """Apply the backend's answer to a poll, if the job is still the one that was polled.

    `retention`: how long the backend keeps a generated job, if it never says; an expiry that is our guess counts from
    the completion.
    """
    require(job, Status.QUEUED, Status.RUNNING)
    if job.backend_job_id != backend_job.id:
        raise TransitionRefused(f"{job.id} is no longer the backend job {backend_job.id}")
    before, unknown = job.polls, backend_job.state is BackendState.UNKNOWN
    job = job.evolve(
        now,
        backend_status=backend_job.status,
        backend_request_id=backend_job.request_id or job.backend_request_id,
        polls=Polls(last_polled_at=now, unknown_since=(before.unknown_since or now) if unknown else None),
        cost=backend_job.cost or job.cost,
        list_search=None,
        reason=None,
    )
    job = with_expiry(job, now, backend_job)
    job = expecting(job, now, backend_job.progress)
    match backend_job.state:
        case BackendState.SUCCEEDED if backend_job.generation_ids:
            return _generated(_kept_from_completion(job, now, backend_job, retention), now, backend_job)
        case BackendState.SUCCEEDED:
            return _without_output(job, now, before.no_output_since or now)
        case BackendState.FAILED:
            return ended(job, now, Status.FAILED, _generation_error(job, backend_job))
        case BackendState.CANCELLED:
            return ended(job, now, Status.CANCELLED)
        case BackendState.EXPIRED:
            return expired(job, now, f"It says that the job is '{backend_job.status}'.")
    if job.expired_by(now):
        return expired(job, now, "The video API did not finish it before its time was over.")
    if backend_job.state is BackendState.RUNNING and job.status is not Status.RUNNING:
        return job.evolve(now, status=Status.RUNNING).noting(now, "running", None, backend_job.request_id)
    return job


def poll_failed(job: Job, now: datetime, reason: str, request_id: str | None = None) -> Job:
    """A poll whose answer said nothing about the job."""
    require(job, Status.QUEUED, Status.RUNNING)
    if job.expired_by(now):
        return expired(job, now, reason)
    return job.evolve(now, reason=reason).noting(now, "poll_failed", reason, request_id)


def not_found(
    job: Job,
    now: datetime,
    listed: bool | None,
    *,
    is_gone: bool = False,
    list_search: ListSearch | None = None,
) -> Job:
    """The backend says that it does not know the job.

    Args:
        listed: whether its own list has the job; None if the list was not read or could not tell: a backend that
            answers 404 to everything proves nothing.
        is_gone: it says 410, which is proof by itself.
        list_search: how far its list has been read, if the next poll continues there.
    """
    require(job, Status.QUEUED, Status.RUNNING)
    missing = job.is_missing_too_long(now)
    proven = is_gone or (listed is False and missing)
    forgotten = missing and listed is None and job.is_past_guess(now, by=MISSING_PAST_GUESS)
    if job.expired_by(now) or forgotten or (proven and job.is_past_guess(now)):
        return _given_up(job, now, "The video API has deleted the job.")
    if proven:
        return _given_up(job, now, None)
    polls = job.polls._replace(not_found_since=None if listed else job.polls.not_found_since or now)
    reason = "The video API does not know the job right now."
    return job.evolve(now, polls=polls, list_search=list_search, reason=reason).noting(
        now, "not_found", reason
    )


def _given_up(job: Job, now: datetime, expired_why: str | None) -> Job:
    if job.cancellation.is_wanted:
        # The backend was asked to delete the job, and its answer was lost.
        return ended(job, now, Status.CANCELLED)
    if expired_why is not None:
        return expired(job, now, expired_why)
    message = f"The video API does not have its job {job.backend_job_id} any more. It may have restarted and forgotten it."
    return ended(job, now, Status.FAILED, JobError(code="backend_lost_job", message=message))


def _kept_from_completion(
    job: Job, now: datetime, backend_job: BackendJob, retention: timedelta | None
) -> Job:
    if job.told_expires_at is not None or retention is None:
        return job
    told = backend_job.finished_at
    finished_at = now if told is None else min(by_our_clock(told, backend_job.told_at, now), now)
    return replace(job, expires_at=max(finished_at + retention, job.expires_at or finished_at))


def _generated(job: Job, now: datetime, backend_job: BackendJob) -> Job:
    asked, given = job.request.variants, len(backend_job.generation_ids)
    warning = f"The video API generated {given} of the {asked} videos asked for." if given < asked else None
    if given > MOST_OUTPUTS:
        warning = f"The video API generated {given} videos. The first {MOST_OUTPUTS} are fetched."
    named = backend_job.generation_ids[:MOST_OUTPUTS]
    outputs = tuple(Output(index, name, Chain(due_at=now)) for index, name in enumerate(named))
    job = job.evolve(
        now, status=Status.FETCHING, outputs=outputs, progress=100, expected_at=None, warning=warning
    )
    return job.noting(now, "generated", warning, backend_job.request_id)


def _without_output(job: Job, now: datetime, since: datetime) -> Job:
    if job.expired_by(now):
        return expired(job, now, "It said that it was done, and named no video until its time was over.")
    if now - since < NO_OUTPUT_GRACE:
        reason = "The video API says that it is done and names no video yet."
        polls = job.polls._replace(no_output_since=since)
        job = job.evolve(now, status=Status.RUNNING, polls=polls, reason=reason)
        return job.noting(now, "no_output_yet", reason)
    message = "The video API says that it succeeded, but generated no video."
    return ended(job, now, Status.FAILED, JobError(code="no_output", message=message))


def _generation_error(job: Job, backend_job: BackendJob) -> JobError:
    code, message = backend_job.failure_code or "", backend_job.failure_message
    moderated = is_moderation(code, message, job.request.prompt)
    words = "The video API refused the content" if moderated else "The video API failed to generate the video"
    return JobError(
        code="moderation_blocked" if moderated else "generation_failed",
        message=f"{words}: {message or code or 'it gave no reason'}",
        backend_code=code or None,
        backend_message=message,
        backend_request_id=backend_job.request_id,
    )
