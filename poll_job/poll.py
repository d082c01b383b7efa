"""One look at a job, and the next message of its chain.

The order is the point. The next message is enqueued before the row is saved with its turn: a crash between
the two leaves a message too many, which the turn ends, and never a job without one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from poll_job.purge import purge
from video_jobs import admission, transitions
from video_jobs.adoption import ListUnavailable, adopt, is_listed, search
from video_jobs.chain import fetch_now, send_next
from video_jobs.errors import BackendError, Conflict, Gone, JobNotFound, NotFound, Rejected, TransitionRefused
from video_jobs.finish import finish
from video_jobs.job import Job, Status
from video_jobs.learning import learn
from video_jobs.messages import FetchMessage, PollMessage, refuse_far_ahead
from video_jobs.paid_call import outcome_known_after, unconfirmed
from video_jobs.ports import Backend, BackendJob, BackendState, StoredJob
from video_jobs.schedule import AFTER_SUBMIT, UNDECIDED_AGAIN, guard_delay, poll_delay
from video_jobs.services import Services
from video_jobs.start import start
from video_jobs.update import update

log = logging.getLogger("reelkeep.poll")

_RELOADS = 5
_AT_ONCE = timedelta()
_FETCH_MARGIN = timedelta(minutes=1)  # beyond a download's deadline, its message counts as lost
_LONGEST_SEARCH = timedelta(hours=1)  # for a job whose outcome is unknown, while the list can't be read

Change = Callable[[Job], Job]


def poll_job(services: Services, message: PollMessage) -> None:
    for _ in range(_RELOADS):
        try:
            stored = services.jobs.get(message.owner, message.job_id)
        except JobNotFound:
            log.warning("%s: a poll message for a job that is not there; dropped", message.job_id)
            return
        refuse_far_ahead(message, stored.job.turn)
        if message.turn is not None and message.turn < stored.job.turn:
            log.info(
                "%s: turn %s is over, the job is at %s; dropped",
                message.job_id,
                message.turn,
                stored.job.turn,
            )
            return
        try:
            _step(services, message, stored)
        except (TransitionRefused, Conflict, JobNotFound) as refused:
            log.info("%s moved on meanwhile (%s); looking again", message.job_id, refused)
            continue
        return
    raise TransitionRefused(f"{message.job_id} moved on {_RELOADS} times while it was looked at")


def _step(services: Services, message: PollMessage, stored: StoredJob) -> None:
    chain = partial(send_next, services, message)
    match stored.job.status:
        case Status.SUBMITTING:
            _await_outcome(services, message, stored)
        case _ if stored.job.deleted_at is not None:
            purge(services, stored, chain)
        case Status.WAITING:
            start(services, stored, chain)
        case Status.QUEUED | Status.RUNNING:
            _look(services, message, stored)
        case Status.FETCHING | Status.PENDING_DOWNLOAD:
            _guard_fetches(services, message, stored)
        case _:
            finish(services, stored.job)  # again, in case a crash kept the first time from its end


def _await_outcome(services: Services, message: PollMessage, stored: StoredJob) -> None:
    """The paid call is in flight, or whoever made it is gone: then the backend's list may tell."""
    job, now = stored.job, services.clock()
    since = job.submitting_since or now
    left = since + outcome_known_after(services) - now
    if left > timedelta():
        delay = min(poll_delay(job, None, now), left)
        _advance(services, message, stored, delay, partial(_still, status=Status.SUBMITTING))
        return
    candidates: tuple[str, ...] = ()
    try:
        listed = search(services, job)
        candidates = listed.candidates
        if listed.found is not None and adopt(services, job, listed.found.id):
            _adopted(services, message, stored, listed.found)
            return
        if listed.found is not None:
            raise TransitionRefused(f"another job has taken {listed.found.id} up")
    except ListUnavailable as error:
        if now < since + _LONGEST_SEARCH:
            log.warning("%s: the backend's list can't be read: %s", job.id, error)
            _advance(services, message, stored, UNDECIDED_AGAIN, partial(_still, status=Status.SUBMITTING))
            return
    if candidates and services.has_several_owners:
        # They may be other owners' jobs, of which this one must not learn: for the operator alone.
        log.error("%s of %s may be any of %s: its submission is not confirmed", job.id, job.owner, candidates)
        candidates = ()
    attempt = job.attempt or ""
    unknown = unconfirmed(job, candidates)
    _end(services, stored, partial(transitions.submission_failed, now=now, attempt=attempt, error=unknown))


def _adopted(services: Services, message: PollMessage, stored: StoredJob, found: BackendJob) -> None:
    job, now = stored.job, services.clock()
    retention = services.backends.retention(job.backend)
    change = partial(transitions.submitted, now=now, backend_job=found, retention=retention, what="adopted")
    _advance(services, message, stored, AFTER_SUBMIT, change)  # it has been at it for minutes


def _look(services: Services, message: PollMessage, stored: StoredJob) -> None:
    job = stored.job
    hint: float | None = None
    backend_job: BackendJob | None = None
    change: Change
    try:
        client = services.backends.client(job.backend)
        backend_job = client.get(_backend_job_id(job))
        hint = backend_job.poll_after
        change = partial(transitions.looked, now=services.clock(), backend_job=backend_job)
        if job.cancel_requested_at is not None and job.cancel_refused is None:
            change = _stopping(services, client, job, backend_job) or change
    except (NotFound, Gone) as error:
        log.warning("%s: %s", job.id, error)
        asked = transitions.is_missing_too_long(job, services.clock())
        listed = is_listed(services, job) if asked else None
        change = partial(transitions.not_found, now=services.clock(), listed=listed)
    except BackendError as error:
        hint = error.retry_after
        log.warning("%s could not be looked at: %s", job.id, error)
        change = partial(
            transitions.look_failed, now=services.clock(), reason=str(error), request_id=error.request_id
        )
    now = services.clock()
    seen = change(job)
    if seen.is_terminal:
        _end(services, stored, change)
        return
    if seen.status is Status.FETCHING:
        saved = _advance(services, message, stored, guard_delay(seen, now), change).job
        if saved.status is Status.FETCHING:
            fetch_now(services, saved)
        admission.leave(services, saved)  # the slot is free before the videos are here
        if backend_job is not None:
            learn(services, job, backend_job, now)
        return
    # Where it is known when jobs end, that says enough: the gate need not be read.
    unknown = hint is None and seen.forecast is None
    waiting = unknown and admission.others_wait(services, job)
    _advance(services, message, stored, poll_delay(seen, hint, now, others_wait=waiting), change)


def _stopping(services: Services, client: Backend, job: Job, seen: BackendJob) -> Change | None:
    """Ask the backend to stop a job that is not generated yet; None where that told nothing new."""
    if seen.state in (BackendState.SUCCEEDED, BackendState.FAILED, BackendState.CANCELLED):
        return None  # too late
    current = services.jobs.get(job.owner, job.id).job
    if current.status not in (Status.QUEUED, Status.RUNNING):
        raise TransitionRefused(f"{job.id} is {current.status} by now")  # another look saw it generated
    try:
        client.delete(seen.id)
    except Rejected as error:
        return partial(_refused_to_stop, services.clock(), seen, str(error))
    except BackendError as error:
        log.warning("%s could not be stopped: %s", job.id, error)
        return None
    return partial(transitions.cancelled, now=services.clock())


def _guard_fetches(services: Services, message: PollMessage, stored: StoredJob) -> None:
    """Downloads have chains of their own; here is only mended what a crash broke."""
    job, now = stored.job, services.clock()
    overdue_after = timedelta(seconds=services.fetch_deadline) + _FETCH_MARGIN
    change = partial(transitions.fetch_again, now=now, overdue_after=overdue_after)
    for before, after in zip(job.outputs, change(job).outputs, strict=True):
        if after.turn > before.turn:
            log.warning("%s: the download of video %s is overdue; asking again", job.id, after.index)
            again = FetchMessage(owner=job.owner, job_id=job.id, index=after.index, turn=after.turn)
            services.messages.send_fetch(again, _AT_ONCE)
    _advance(services, message, stored, guard_delay(job, now), change)


def _advance(
    services: Services, message: PollMessage, stored: StoredJob, delay: timedelta, change: Change
) -> StoredJob:
    """Enqueue the next turn, then save the change with that turn."""
    turn = send_next(services, message, delay)
    return update(services.jobs, stored, lambda job: change(turn(job)))


def _end(services: Services, stored: StoredJob, change: Change) -> None:
    """Save a terminal status, then do what follows. No next message: this one comes again after a crash."""
    saved = update(services.jobs, stored, change).job
    if not saved.is_over:
        raise TransitionRefused(f"{saved.id} is {saved.status}, and not over")
    finish(services, saved)


def _backend_job_id(job: Job) -> str:
    if job.backend_job_id is None:
        raise TransitionRefused(f"{job.id} is {job.status} without a backend job")
    return job.backend_job_id


def _refused_to_stop(now: datetime, seen: BackendJob, reason: str, job: Job) -> Job:
    """The backend goes on: keep what the look told, too."""
    job = transitions.looked(job, now, seen)
    return job if job.is_terminal else transitions.cancel_refused(job, now, reason)


def _still(job: Job, status: Status) -> Job:
    if job.status is not status:
        raise TransitionRefused(f"{job.id} is {job.status} by now")
    return job
