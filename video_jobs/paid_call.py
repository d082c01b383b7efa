"""The paid call, made in one place: by the request that brings the job, or later by its poll chain."""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from video_jobs import admission, transitions
from video_jobs.adoption import adopt
from video_jobs.errors import (
    BackendError,
    Busy,
    Gone,
    JobNotFound,
    NotFound,
    NotSent,
    StorageUnavailable,
    TransitionRefused,
    Unauthorised,
    UnknownOutcome,
)
from video_jobs.finish import finish
from video_jobs.gate import Why
from video_jobs.job import Job, JobError
from video_jobs.ports import BackendJob, Claim, StoredJob
from video_jobs.services import Services
from video_jobs.update import update

log = logging.getLogger("reelkeep.submit")

_MOST_SAVES = 8  # each has seconds of the SDK's own repeats in it
_LONGEST_SAVE = timedelta(minutes=2)  # with all the repeats of the storage SDK
_AFTER_UNKNOWN = 60.0  # seconds in which no other job is put at the same risk

Change = Callable[[Job], Job]


def new_attempt() -> str:
    return secrets.token_hex(8)


def make_paid_call(services: Services, stored: StoredJob, image: bytes | None) -> Job:
    """Call the backend for a job that is stored as `submitting`, and store what came of it.

    To be called only by whoever stored `submitting` under its own attempt: that is the right to make the
    call. Raises StorageUnavailable when what came of it can't be stored.
    """
    job = stored.job
    attempt = job.attempt or ""
    with contextlib.suppress(StorageUnavailable):  # tidying only: whoever reads the line sees to it, too
        admission.entered(services, job)
    told = "nothing was created"
    change: Change
    then: Callable[[Job], None]
    try:
        client = services.backends.client(job.backend)
        backend_job = client.create(job.request, image, _time_left(services, job))
    except (Busy, NotSent, Unauthorised, NotFound) as error:
        if _is_about_the_job(services, job, error):
            change = partial(
                transitions.submission_failed,
                now=services.clock(),
                attempt=attempt,
                error=refusal(job, error),
            )
            return _settle(services, stored, change, told, partial(admission.leave, services))
        why, reason = _closed_by(job, error)
        change = partial(
            transitions.put_back,
            now=services.clock(),
            attempt=attempt,
            reason=reason,
            request_id=error.request_id,
            refused=why is Why.MISCONFIGURED,
        )
        then = partial(
            admission.close, services, went=job, why=why, reason=reason, retry_after=error.retry_after
        )
        log.warning("%s waits: %s", job.id, reason)
    except UnknownOutcome as error:
        # Nothing is called again; the poll chain looks for the job, or gives up and says so.
        change = partial(
            transitions.note_unknown_outcome,
            now=services.clock(),
            attempt=attempt,
            reason=str(error),
            request_id=error.request_id,
        )
        then = partial(
            admission.close, services, went=job, why=Why.BUSY, reason=str(error), retry_after=_AFTER_UNKNOWN
        )
        told = "its outcome is not known"
        log.error("%s: the outcome of its submission is not known: %s", job.id, error)
    except BackendError as error:
        change = partial(
            transitions.submission_failed, now=services.clock(), attempt=attempt, error=refusal(job, error)
        )
        then = partial(admission.reopen, services)
        log.warning("%s was refused: %s", job.id, error)
    else:
        change = _taken(services, job, backend_job)
        told = f"it is the backend's {backend_job.id}"
        then = partial(admission.reopen, services)
    return _settle(services, stored, change, told, then)


def _settle(
    services: Services, stored: StoredJob, change: Change, told: str, then: Callable[[Job], None]
) -> Job:
    """Store what the call told, and do at the gate what follows."""
    job = stored.job
    try:
        job = _save_persistently(services, stored, change, told).job
    except TransitionRefused as refused:
        log.warning("%s moved on while it was submitted: %s", job.id, refused)
        job = services.jobs.get(job.owner, job.id).job
    if job.is_terminal and job.backend_job_id is not None:
        log.critical("%s has ended, and %s: a retry of it fetches that, and pays nothing", job.id, told)
    then(job)
    if job.is_terminal:
        finish(services, job)
    return job


def outcome_known_after(services: Services) -> timedelta:
    """How long after `submitting` was saved nobody can hold an answer to the paid call any more.

    The call ends after its deadline, its answer is saved again and again until twice that, and the last of
    these saves may take a while.
    """
    return timedelta(seconds=2 * services.create_deadline) + _LONGEST_SAVE


def _closed_by(job: Job, error: BackendError) -> tuple[Why, str]:
    """What such an error says of the backend, since it says nothing of the job."""
    if isinstance(error, Unauthorised | NotFound):
        return Why.MISCONFIGURED, misconfiguration(job, error)
    return Why.BUSY, str(error)


def _time_left(services: Services, job: Job) -> float:
    """Seconds for the call. Raises NotSent where so much time has passed since `submitting` was saved that
    somebody may give the outcome up while the call is made.
    """
    began = job.submitting_since or services.clock()
    left = services.create_deadline - (services.clock() - began).total_seconds()
    if left < services.create_deadline / 10:
        raise NotSent("The app was held up before it could call the video API, and did not call it.")
    return min(left, services.create_deadline)


def _is_about_the_job(services: Services, job: Job, error: BackendError) -> bool:
    """Whether a refusal that looks like a wrong key is about this one job: its content, or whatever it is that
    others got through with since it was refused the last time."""
    if not isinstance(error, Unauthorised | NotFound):
        return False
    if transitions.is_moderation(error.code, error.detail):
        return True
    opened_at = services.gates.get(job.backend.name).gate.opened_at
    return job.refused_at is not None and opened_at is not None and opened_at > job.refused_at


def _taken(services: Services, job: Job, backend_job: BackendJob) -> Change:
    """Claims the backend's job, and keeps its id."""
    now, retention = services.clock(), services.backends.retention(job.backend)
    claim = Claim(job.backend.base_url, backend_job.id, job.owner, job.id)

    def change(current: Job) -> Job:
        if not adopt(services, job, backend_job.id):
            # Another job, whose own answer was lost, has taken it for its own. They are worth the same.
            reason = "Another job that asked for the same has taken up what the video API made."
            return transitions.note_unknown_outcome(current, now, job.attempt or "", reason)
        try:
            return transitions.submitted(current, now, backend_job, retention)
        except TransitionRefused:
            # It has another already. For whoever looks for this one, or imports it.
            services.claims.release(claim)
            log.critical("%s needs %s no more; import it", job.id, backend_job.id)
            raise

    return change


def _save_persistently(services: Services, stored: StoredJob, change: Change, told: str) -> StoredJob:
    """What the call told must not be lost to a storage fault: the SDK has tried for seconds, try on."""
    job = stored.job
    until = (job.submitting_since or services.clock()) + timedelta(seconds=2 * services.create_deadline)
    for _ in range(_MOST_SAVES):
        try:
            return update(services.jobs, stored, change)
        except JobNotFound:
            log.critical("%s was deleted meanwhile: %s", job.id, told)
            raise TransitionRefused(f"{job.id} is gone") from None
        except StorageUnavailable as error:
            if services.clock() >= until:
                break
            log.error("%s: %s Trying on.", job.id, error)
    log.critical("%s: what became of its paid call can't be stored: %s", job.id, told)
    raise StorageUnavailable(f"What became of {job.id} can't be stored.")


def unconfirmed(job: Job, candidates: tuple[str, ...]) -> JobError:
    """For a job whose paid call may have been carried out, and nothing says so."""
    named = (
        f" In the video API's list it may be {', '.join(candidates)}: look at it there, and import it if it is yours."
        if candidates
        else ""
    )
    return JobError(
        code="submission_unconfirmed",
        message=(
            "The video API may have made this job, and may bill it, but its answer never arrived. It was not "
            f"sent again, so that nothing is paid for twice. What is known: {job.reason or 'nothing.'}{named}"
        ),
        candidates=candidates,
    )


def misconfiguration(job: Job, error: BackendError) -> str:
    """What keeps every job from this backend, in words that say which setting to look at."""
    backend = f"The backend '{job.backend.name}'"
    match error:
        case Unauthorised(status=403):
            words = (
                f"{backend} recognises us and denies access: give the app's identity the role Cognitive Services "
                f"OpenAI User, and check the resource's network rules"
            )
        case Unauthorised():
            words = f"{backend} does not take our key: check its API key setting, and that key and endpoint belong together"
        case _:
            words = (
                f"{backend} knows no '{job.backend.model}' at {job.backend.base_url}: check the deployment's name, the "
                f"endpoint and the dialect. A new deployment takes minutes to answer"
            )
    return f"{words}. It says: {error.detail or 'nothing more'}"


def refusal(job: Job, error: BackendError) -> JobError:
    """What the backend's refusal of this one job means."""
    backend = f"The backend '{job.backend.name}'"
    if isinstance(error, Gone):
        code = "model_retired"
        words = f"{backend} has retired '{job.backend.model}' for good: deploy another model or choose another backend"
    elif transitions.is_moderation(error.code, error.detail):
        code, words = "moderation_blocked", f"{backend} refused the content"
    else:
        code, words = "backend_rejected", f"{backend} refused the request"
    return JobError(
        code=code,
        message=f"{words}. It says: {error.detail or 'nothing more'}",
        backend_code=error.code,
        backend_message=error.detail,
        backend_request_id=error.request_id,
    )
