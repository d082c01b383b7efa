"""While the backend generates: what looks at it tell."""

from __future__ import annotations

from datetime import datetime, timedelta

from video_jobs.errors import TransitionRefused
from video_jobs.job import Job, JobError, Output, Status
from video_jobs.ports import BackendJob, BackendState
from video_jobs.transitions.download import MOST_OUTPUTS
from video_jobs.transitions.pieces import ended, expecting, expired, require

LOST_JOB_GRACE = timedelta(minutes=5)
"""How long a backend may not know a job before we believe it."""

NO_OUTPUT_GRACE = timedelta(minutes=5)
"""How long a backend may say 'succeeded' without naming an output."""

_MODERATION_WORDS = ("moderation", "content_policy", "responsibleai", "content_filter")


def looked(job: Job, now: datetime, backend_job: BackendJob) -> Job:
    """Apply what a look at the backend told, if the job is still the one that was looked at."""
    require(job, Status.QUEUED, Status.RUNNING)
    if job.backend_job_id != backend_job.id:
        raise TransitionRefused(f"{job.id} is no longer the backend job {backend_job.id}")
    no_output_since = job.no_output_since or now
    job = job.evolve(
        now,
        backend_status=backend_job.status,
        backend_request_id=backend_job.request_id or job.backend_request_id,
        expires_at=backend_job.expires_at or job.expires_at,
        looked_at=now,
        not_found_since=None,
        no_output_since=None,
        reason=None,
    )
    job = expecting(job, now, backend_job.progress)
    match backend_job.state:
        case BackendState.SUCCEEDED if backend_job.generation_ids:
            return _generated(job, now, backend_job)
        case BackendState.SUCCEEDED:
            return _without_output(job, now, no_output_since)
        case BackendState.FAILED:
            return ended(job, now, Status.FAILED, _generation_error(backend_job))
        case BackendState.CANCELLED:
            return ended(job, now, Status.CANCELLED)
    if job.expired_by(now):
        return expired(job, now, "The video API did not finish it before its time was over.")
    if backend_job.state is BackendState.RUNNING and job.status is not Status.RUNNING:
        return job.evolve(now, status=Status.RUNNING).noting(now, "running", None, backend_job.request_id)
    return job


def look_failed(job: Job, now: datetime, reason: str, request_id: str | None = None) -> Job:
    """A look that told nothing of the job."""
    require(job, Status.QUEUED, Status.RUNNING)
    if job.expired_by(now):
        return expired(job, now, reason)
    return job.evolve(now, reason=reason).noting(now, "look_failed", reason, request_id)


def not_found(job: Job, now: datetime, listed: bool | None) -> Job:
    """The backend says that it does not know the job.

    `listed`: whether its own list disagrees; None where it was not asked, or could not tell.
    """
    require(job, Status.QUEUED, Status.RUNNING)
    if job.expired_by(now):
        return expired(job, now, "The video API has deleted the job.")
    if listed is False and is_missing_too_long(job, now):
        if job.cancel_requested_at is not None and job.cancel_refused is None:
            return ended(
                job, now, Status.CANCELLED
            )  # it was asked to forget the job, and its answer got lost
        message = (
            f"The video API has not known its job {job.backend_job_id} for "
            f"{int(LOST_JOB_GRACE.total_seconds() // 60)} minutes. It may have restarted and forgotten it."
        )
        return ended(job, now, Status.FAILED, JobError(code="backend_lost_job", message=message))
    since = None if listed else job.not_found_since or now
    reason = "The video API does not know the job right now."
    return job.evolve(now, not_found_since=since, reason=reason).noting(now, "not_found", reason)


def is_missing_too_long(job: Job, now: datetime) -> bool:
    """Whether the backend has not known the job for so long that its list is worth a call."""
    return job.not_found_since is not None and now - job.not_found_since >= LOST_JOB_GRACE


def is_moderation(code: str | None, message: str | None) -> bool:
    text = f"{code or ''} {message or ''}".lower()
    return any(word in text for word in _MODERATION_WORDS)


def _generated(job: Job, now: datetime, backend_job: BackendJob) -> Job:
    asked, given = job.request.variants, len(backend_job.generation_ids)
    notice = f"The video API generated {given} of the {asked} videos asked for." if given < asked else None
    named = backend_job.generation_ids[:MOST_OUTPUTS]
    outputs = tuple(Output(index, name, due_at=now) for index, name in enumerate(named))
    job = job.evolve(
        now, status=Status.FETCHING, outputs=outputs, progress=100, expected_at=None, notice=notice
    )
    return job.noting(now, "generated", notice, backend_job.request_id)


def _without_output(job: Job, now: datetime, since: datetime) -> Job:
    if job.expired_by(now):
        return expired(job, now, "It said that it was done, and named no video until its time was over.")
    if now - since < NO_OUTPUT_GRACE:
        reason = "The video API says that it is done and names no video yet."
        job = job.evolve(now, status=Status.RUNNING, no_output_since=since, reason=reason)
        return job.noting(now, "no_output_yet", reason)
    message = "The video API says that it succeeded, but generated no video."
    return ended(job, now, Status.FAILED, JobError(code="no_output", message=message))


def _generation_error(backend_job: BackendJob) -> JobError:
    code, message = backend_job.failure_code or "", backend_job.failure_message
    moderated = is_moderation(code, message)
    words = "The video API refused the content" if moderated else "The video API failed to generate the video"
    return JobError(
        code="moderation_blocked" if moderated else "generation_failed",
        message=f"{words}: {message or code or 'it gave no reason'}",
        backend_code=code or None,
        backend_message=message,
        backend_request_id=backend_job.request_id,
    )
