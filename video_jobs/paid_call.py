"""The paid call, made in one place: by the request that brings the job, or later by its poll chain."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from video_jobs import transitions
from video_jobs.errors import (
    BackendError,
    Busy,
    Gone,
    NotFound,
    NotSent,
    StorageUnavailable,
    TransitionRefused,
    Unauthorised,
    UnknownOutcome,
)
from video_jobs.finish import finish
from video_jobs.job import Job, JobError
from video_jobs.ports import StoredJob
from video_jobs.schedule import submit_delay
from video_jobs.services import Services
from video_jobs.update import update

log = logging.getLogger("reelkeep.submit")

_MOST_SAVES = 8  # each has seconds of the SDK's own repeats in it
_LONGEST_SAVE = timedelta(minutes=2)  # with all the repeats of the storage SDK


def new_attempt() -> str:
    return secrets.token_hex(8)


def make_paid_call(services: Services, stored: StoredJob, image: bytes | None) -> Job:
    """Call the backend for a job that is stored as `submitting`, and store what came of it.

    To be called only by whoever stored `submitting` under its own attempt: that is the right to make the
    call. Raises StorageUnavailable when what came of it can't be stored.
    """
    job = stored.job
    attempt = job.attempt or ""
    change: Callable[[Job], Job]
    try:
        client = services.backends.client(job.backend)
        backend_job = client.create(job.request, image, services.create_deadline)
    except (Busy, NotSent) as error:
        now = services.clock()
        again_at = now + submit_delay(job, error.retry_after, now)
        change = partial(
            transitions.put_back, now=now, attempt=attempt, reason=str(error), submit_after=again_at
        )
        log.warning("%s waits: %s", job.id, error)
    except UnknownOutcome as error:
        # Nothing is called again; the poll chain finds out, or gives up and says so.
        change = partial(
            transitions.note_unknown_outcome, now=services.clock(), attempt=attempt, reason=str(error)
        )
        log.error("%s: the outcome of its submission is not known: %s", job.id, error)
    except BackendError as error:
        change = partial(
            transitions.submission_failed, now=services.clock(), attempt=attempt, error=refusal(job, error)
        )
        log.warning("%s was refused: %s", job.id, error)
    else:
        retention = services.backends.retention(job.backend)
        change = partial(
            transitions.submitted, now=services.clock(), backend_job=backend_job, retention=retention
        )
        log.info("%s is the backend's %s", job.id, backend_job.id)
    try:
        job = _save_persistently(services, stored, change).job
    except TransitionRefused as refused:
        log.warning("%s moved on while it was submitted: %s", job.id, refused)
        job = services.jobs.get(job.owner, job.id).job
    if job.is_terminal:
        finish(services, job)
    return job


def outcome_known_after(services: Services) -> timedelta:
    """How long after `submitting` was saved nobody can hold an answer to the paid call any more.

    The call ends after its deadline, its answer is saved again and again until twice that, and the last of
    these saves may take a while.
    """
    return timedelta(seconds=2 * services.create_deadline) + _LONGEST_SAVE


def _save_persistently(services: Services, stored: StoredJob, change: Callable[[Job], Job]) -> StoredJob:
    """What the call told must not be lost to a storage fault: the SDK has tried for seconds, try on."""
    job = stored.job
    until = (job.submitting_since or services.clock()) + timedelta(seconds=2 * services.create_deadline)
    for _ in range(_MOST_SAVES):
        try:
            return update(services.jobs, stored, change)
        except StorageUnavailable as error:
            if services.clock() >= until:
                break
            log.error("%s: %s Trying on.", job.id, error)
    told = change(job)
    log.critical(
        "%s is %s (backend job %s), and that can't be stored", job.id, told.status, told.backend_job_id
    )
    raise StorageUnavailable(f"What became of {job.id} can't be stored.")


def unconfirmed(job: Job) -> JobError:
    """For a job whose paid call may have been carried out, and nothing says so."""
    return JobError(
        code="submission_unconfirmed",
        message=(
            "The video API may have made this job, and may bill it, but its answer never arrived. It was not "
            f"sent again, so that nothing is paid for twice. What is known: {job.reason or 'nothing'}"
        ),
    )


def refusal(job: Job, error: BackendError) -> JobError:
    """What the backend's refusal means, in words that say which setting to look at."""
    backend = f"the backend '{job.backend.name}'"
    said = error.detail or "nothing more"
    match error:
        case Unauthorised(status=403):
            code = "backend_forbidden"
            words = (
                f"{backend} recognises us and denies access: give the app's identity the role Cognitive Services "
                f"OpenAI User, and check the resource's network rules"
            )
        case Unauthorised():
            code = "backend_unauthorized"
            words = f"{backend} does not take our key: check its API key setting, and that key and endpoint belong together"
        case NotFound():
            code = "deployment_not_found"
            words = (
                f"{backend} knows no '{job.backend.model}' at {job.backend.base_url}: check the deployment's name, the "
                f"endpoint and the dialect. A new deployment takes minutes to answer"
            )
        case Gone():
            code = "model_retired"
            words = f"{backend} has retired '{job.backend.model}' for good: deploy another model or choose another backend"
        case _ if transitions.is_moderation(error.code, error.detail):
            code = "moderation_blocked"
            words = f"{backend} refused the content"
        case _:
            code = "backend_rejected"
            words = f"{backend} refused the request"
    return JobError(
        code=code,
        message=f"{words[0].upper()}{words[1:]}. It says: {said}",
        backend_code=error.code,
        backend_message=error.detail,
        backend_request_id=error.request_id,
    )
