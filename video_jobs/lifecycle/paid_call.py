"""The paid call, made in one place: by the request that brings the job, or later by its poll chain."""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from time import sleep

from video_jobs.domain import transitions
from video_jobs.domain.backend_job import BackendJob
from video_jobs.domain.errors import (
    BackendError,
    Busy,
    JobNotFound,
    NotFound,
    NotSent,
    StorageUnavailable,
    TransitionRefused,
    Unauthorised,
    UnknownOutcome,
)
from video_jobs.domain.gate import ClosureReason
from video_jobs.domain.job import Job
from video_jobs.domain.logs import log_event
from video_jobs.domain.refusal_kinds import is_account, is_moderation, is_surely_account
from video_jobs.lifecycle import admission
from video_jobs.lifecycle.adoption import adopt
from video_jobs.lifecycle.finalize import finish
from video_jobs.lifecycle.poll_chain import keep_row
from video_jobs.lifecycle.refusals import misconfiguration, out_of_money, refusal
from video_jobs.lifecycle.update import update
from video_jobs.ports import Claim, Image, StoredJob
from video_jobs.services import Services

log = logging.getLogger("reelkeep.submit")

_LONGEST_SAVE = timedelta(minutes=2)  # a read and a write, with all the retries of the storage SDK

Change = Callable[[Job], Job]


@dataclass(frozen=True)
class Outcome:
    """What came of a paid call: what changes in the job, what follows at the gate, and the words for a log."""

    change: Change
    at_the_gate: Callable[[Job], None]
    told: str  #: for whoever has to find out by hand, should it not be possible to store it
    log_line: str | None = None


def new_attempt() -> str:
    return secrets.token_hex(8)


def make_paid_call(services: Services, stored: StoredJob, images: Mapping[int, Image]) -> Job:
    """Call the backend for a job that is stored as `submitting`, and store what came of it.

    To be called only by whoever stored `submitting` under its own attempt: that is the right to make the
    call. Raises StorageUnavailable when what came of it can't be stored.
    """
    job = stored.job
    try:
        client = services.backends.client(job.backend)
        first, last, *references = (images.get(number) for number in range(max([1, *images]) + 1))
        backend_job = client.create(
            job.request,
            first,
            _time_left(services, job),
            last,
            tuple(each for each in references if each is not None),
        )
    except BackendError as error:
        outcome = _no_success(services, job, error)
    else:
        outcome = Outcome(
            _taken(services, job, backend_job),
            partial(admission.reopen, services),
            f"it is the backend's {backend_job.id}",
        )
    if outcome.log_line is not None:
        log_event(log, logging.WARNING, "submit.no_success", job_id=job.id, problem=outcome.log_line)
    return _settle(services, stored, outcome)


def _no_success(services: Services, job: Job, error: BackendError) -> Outcome:
    if isinstance(error, UnknownOutcome):
        return _in_doubt(services, job, error)
    prompt = job.request.prompt
    if is_account(error.status, error.code, error.detail, prompt) and (
        is_surely_account(error.status, error.code) or not _is_about_the_job(services, job)
    ):
        return _put_back(services, job, error, ClosureReason.ACCOUNT, out_of_money(job, error))
    if is_moderation(error.code, error.detail, prompt, error.status) and not isinstance(
        error, Busy | NotSent
    ):
        return _refused(services, job, error)
    if isinstance(error, Busy | NotSent):
        return _put_back(services, job, error, ClosureReason.BUSY, str(error))
    if isinstance(error, Unauthorised | NotFound) and not _is_about_the_job(services, job):
        reason = misconfiguration(job, error, services.backends.signs_in_with(job.backend))
        return _put_back(services, job, error, ClosureReason.MISCONFIGURED, reason)
    return _refused(services, job, error)


def _in_doubt(services: Services, job: Job, error: BackendError) -> Outcome:
    """Nothing is called again; the poll chain looks for the job, or gives up and says so."""
    change = partial(
        transitions.note_unknown_outcome,
        now=services.clock(),
        attempt=job.attempt or "",
        reason=str(error),
        request_id=error.request_id,
    )
    close = partial(
        admission.close,
        services,
        went=job,
        why=ClosureReason.UNKNOWN_OUTCOME,
        reason=str(error),
        retry_after=error.retry_after,
    )
    return Outcome(change, close, "its outcome is not known")


def _put_back(services: Services, job: Job, error: BackendError, why: ClosureReason, reason: str) -> Outcome:
    """Nothing was created, and nothing is wrong with the job: it waits until others get through."""
    change = partial(
        transitions.put_back,
        now=services.clock(),
        attempt=job.attempt or "",
        reason=reason,
        request_id=error.request_id,
        refused=why in (ClosureReason.MISCONFIGURED, ClosureReason.ACCOUNT),
    )
    close = partial(
        admission.close, services, went=job, why=why, reason=reason, retry_after=error.retry_after
    )
    return Outcome(change, close, "nothing was created", f"it waits: {reason}")


def _refused(services: Services, job: Job, error: BackendError) -> Outcome:
    """Nothing was created, and nothing will be: the backend has judged this job."""
    change = partial(
        transitions.submission_failed,
        now=services.clock(),
        attempt=job.attempt or "",
        error=refusal(job, error),
    )
    # A key or a deployment that others get through with is no sign that the gate may open: they showed it already.
    judged = not isinstance(error, Unauthorised | NotFound) or is_moderation(
        error.code, error.detail, job.request.prompt, error.status
    )
    follow = partial(admission.reopen if judged else admission.leave, services)
    return Outcome(change, follow, "nothing was created", f"it was refused: {error}")


def _settle(services: Services, stored: StoredJob, outcome: Outcome) -> Job:
    """Store what the call told, and do at the gate what follows."""
    job = stored.job
    try:
        saved = _save_persistently(services, stored, outcome)
        keep_row(services, saved)
        job = saved.job
    except TransitionRefused as refused:
        log_event(log, logging.WARNING, "submit.job_changed", job_id=job.id, problem=refused)
        job = services.jobs.get(job.owner, job.id).job
    if job.is_terminal and job.backend_job_id is not None:
        _alert(
            job, "job.ended_with_video", outcome.told, "A retry of it fetches the video, and pays nothing."
        )
    outcome.at_the_gate(job)
    if job.is_terminal:
        finish(services, job)
    return job


def save_attempt(services: Services, stored: StoredJob, attempt: str, change: Change) -> StoredJob:
    """Store `submitting` under this attempt. Whoever has done so may make the call.

    A save whose reply is lost may have been stored. This process knows that it has not called, and nobody else ever
    will know: so it saves on until it knows where the row is, and when it may go ahead no more it takes its own attempt
    back. Raises TransitionRefused when the job has moved on, and StorageUnavailable.
    """
    job, until = stored.job, services.clock() + timedelta(seconds=2 * services.create_deadline)
    for number, pause in enumerate((*services.timings.save_again, None)):
        try:
            return update(services.jobs, stored if not number else _reload(services, job), change)
        except StorageUnavailable as error:
            if pause is None or services.clock() >= until:
                break
            log_event(log, logging.ERROR, "submit.attempt_not_stored", job_id=job.id, problem=error)
            sleep(pause)
    reason = "The app could not store that it was about to submit the job, and did not submit it."
    back = partial(transitions.put_back, now=services.clock(), attempt=attempt, reason=reason)
    with contextlib.suppress(StorageUnavailable, TransitionRefused):
        update(services.jobs, _reload(services, job), back)
    raise StorageUnavailable(reason)


def _reload(services: Services, job: Job) -> StoredJob:
    return services.jobs.get(job.owner, job.id)


def outcome_known_after(services: Services) -> timedelta:
    """How long after `submitting` was saved nobody can hold an answer to the paid call any more.

    The call ends after its deadline, its answer is saved again and again until twice that, and the last of
    these saves may take a while.
    """
    return timedelta(seconds=2 * services.create_deadline) + _LONGEST_SAVE


def _time_left(services: Services, job: Job) -> float:
    """Seconds for the call. Raises NotSent where so much time has passed since `submitting` was saved that
    somebody may give the outcome up while the call is made.
    """
    began = job.submitting_since or services.clock()
    left = services.create_deadline - (services.clock() - began).total_seconds()
    if left < services.create_deadline / 10:
        raise NotSent("The app was held up before it could call the video API, and did not call it.")
    return min(left, services.create_deadline)


def _is_about_the_job(services: Services, job: Job) -> bool:
    """Whether a refusal that looks like a wrong key, or an empty account, is about whatever it is in this one job that others got through
    with since it was refused the last time. A gate that can't be read tells nothing, and the job waits."""
    if job.refused_at is None:
        return False
    try:
        opened_at = services.gates.get(job.backend.name).gate.opened_at
    except (StorageUnavailable, ValueError):
        return False
    return opened_at is not None and opened_at > job.refused_at


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
            told = f"it is the backend's {backend_job.id}"
            _alert(job, "job.video_to_import", told, "The job has another video. Import this one.")
            raise

    return change


def _save_persistently(services: Services, stored: StoredJob, outcome: Outcome) -> StoredJob:
    """What the call told must not be lost to a storage fault: the SDK has tried for seconds, try on."""
    job = stored.job
    until = (job.submitting_since or services.clock()) + timedelta(seconds=2 * services.create_deadline)
    for pause in (*services.timings.save_again, None):
        try:
            return update(services.jobs, stored, outcome.change)
        except JobNotFound:
            _alert(job, "job.deleted_meanwhile", outcome.told, "The job was deleted while it was submitted.")
            raise TransitionRefused(f"{job.id} is gone") from None
        except StorageUnavailable as error:
            if pause is None or services.clock() >= until:
                break
            log_event(
                log,
                logging.ERROR,
                "submit.outcome_not_stored_yet",
                job_id=job.id,
                known=outcome.told,
                problem=error,
            )
            sleep(pause)
    _alert(job, "job.outcome_not_stored", outcome.told, "What became of its paid call can't be stored.")
    raise StorageUnavailable(f"What became of {job.id} can't be stored.")


def _alert(job: Job, event: str, told: str, problem: str) -> None:
    """For an operator, who may have to act: a line that bears the backend's id, where there is one."""
    log_event(log, logging.CRITICAL, event, job_id=job.id, owner=job.owner, known=told, problem=problem)
