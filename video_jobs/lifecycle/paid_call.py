"""The one place that makes the paid call: for the request that creates the job, or later for its poll chain."""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from time import sleep
from typing import NamedTuple

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
    UnreadableRow,
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


class Outcome(NamedTuple):
    """The result of a paid call: the change of the job, the change of the gate, and the words for the log."""

    change: Change
    at_the_gate: Callable[[Job], None]
    told: str  #: for the operator, who must act by hand if the result can't be stored
    log_line: str | None = None


def new_attempt() -> str:
    return secrets.token_hex(8)


def make_paid_call(services: Services, stored: StoredJob, images: Mapping[int, Image]) -> Job:
    """Call the backend for a job that is stored as `submitting`, and store the result.

    Only the process that stored `submitting` under its own attempt may call this: that gives the right to make the
    call. Raises StorageUnavailable if the result can't be stored.
    """
    job = stored.job
    try:
        client = services.backends.client(job.backend)
        backend_job = client.create(job.request, images, _time_left(services, job))
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
    """The outcome is unknown: the call is not repeated; the poll chain searches for the backend job, or ends the job."""
    change = partial(
        transitions.note_unknown_outcome,
        now=services.clock(),
        attempt=job.submission.attempt or "",
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
    """Nothing was created, and the job is not the cause: it waits until other jobs are accepted."""
    change = partial(
        transitions.put_back,
        now=services.clock(),
        attempt=job.submission.attempt or "",
        reason=reason,
        request_id=error.request_id,
        refused=why in (ClosureReason.MISCONFIGURED, ClosureReason.ACCOUNT),
    )
    close = partial(
        admission.close, services, went=job, why=why, reason=reason, retry_after=error.retry_after
    )
    return Outcome(change, close, "nothing was created", f"it waits: {reason}")


def _refused(services: Services, job: Job, error: BackendError) -> Outcome:
    """Nothing was created or ever will be: the backend has refused this job for good."""
    change = partial(
        transitions.submission_failed,
        now=services.clock(),
        attempt=job.submission.attempt or "",
        error=refusal(job, error),
    )
    # If other jobs succeed with this key and deployment, this refusal is no reason to open the gate.
    judged = not isinstance(error, Unauthorised | NotFound) or is_moderation(
        error.code, error.detail, job.request.prompt, error.status
    )
    follow = partial(admission.reopen if judged else admission.leave, services)
    return Outcome(change, follow, "nothing was created", f"it was refused: {error}")


def _settle(services: Services, stored: StoredJob, outcome: Outcome) -> Job:
    """Store the result of the call, then change the gate accordingly."""
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
    """Store `submitting` under this attempt, which gives the right to make the call.

    A save whose reply is lost may have been stored. Only this process knows that the call was not made. So it repeats the
    save until it knows the state of the row; if it is too late to make the call then, it takes its attempt back.
    Raises TransitionRefused if the job has moved on, and StorageUnavailable.
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
    """The time after the save of `submitting` from which no process can still have an answer that it has not saved.

    The call ends after its deadline, saves of its answer are repeated until twice the deadline, and the last save may
    take some time.
    """
    return timedelta(seconds=2 * services.create_deadline) + _LONGEST_SAVE


def _time_left(services: Services, job: Job) -> float:
    """Seconds for the call.

    Raises NotSent if `submitting` was saved so long ago that the job might end as unconfirmed during the call.
    """
    began = job.submission.submitting_since or services.clock()
    left = services.create_deadline - (services.clock() - began).total_seconds()
    if left < services.create_deadline / 10:
        raise NotSent("The app was held up before it could call the video API, and did not call it.")
    return min(left, services.create_deadline)


def _is_about_the_job(services: Services, job: Job) -> bool:
    """Whether a refusal that looks like a wrong key or an empty account is about this job alone.

    That is so if other jobs were accepted since the last refusal of this one. If the gate can't be read, the job waits.
    """
    refused_at = job.submission.refused_at
    if refused_at is None:
        return False
    try:
        opened_at = services.gates.get(job.backend.name).gate.opened_at
    except (StorageUnavailable, UnreadableRow):
        return False
    return opened_at is not None and opened_at > refused_at


def _taken(services: Services, job: Job, backend_job: BackendJob) -> Change:
    """Claim the backend job, and save its id."""
    now, retention = services.clock(), services.backends.retention(job.backend)
    claim = Claim(job.backend.base_url, backend_job.id, job.owner, job.id)

    def change(current: Job) -> Job:
        if not adopt(services, job, backend_job.id):
            # Another job, whose own answer was lost, has adopted it. The two backend jobs are equal.
            reason = "Another job with the same request has adopted the backend job of this one."
            return transitions.note_unknown_outcome(current, now, job.submission.attempt or "", reason)
        try:
            return transitions.submitted(current, now, backend_job, retention)
        except TransitionRefused:
            # The job has another backend job already. This one is free to be adopted or imported.
            services.claims.release(claim)
            told = f"it is the backend's {backend_job.id}"
            _alert(job, "job.video_to_import", told, "The job has another video. Import this one.")
            raise

    return change


def _save_persistently(services: Services, stored: StoredJob, outcome: Outcome) -> StoredJob:
    """Save the result of the call even during a storage fault: try again after the SDK has given up."""
    job = stored.job
    began = job.submission.submitting_since or services.clock()
    until = began + timedelta(seconds=2 * services.create_deadline)
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
    """Log a line with the backend job's id, if there is one: the operator may have to act."""
    log_event(log, logging.CRITICAL, event, job_id=job.id, owner=job.owner, known=told, problem=problem)
