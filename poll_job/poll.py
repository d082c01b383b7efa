"""One look at a job, and the next message of its chain.

The order is the point. The next message is enqueued before the row is saved with its turn: a crash between
the two leaves a message too many, which the turn ends, and never a job without one.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from video_jobs import transitions
from video_jobs.errors import BackendError, Gone, JobNotFound, NotFound, TransitionRefused
from video_jobs.finish import finish
from video_jobs.job import Job, Status
from video_jobs.messages import FetchMessage, PollMessage, refuse_far_ahead
from video_jobs.paid_call import make_paid_call, new_attempt, outcome_known_after, unconfirmed
from video_jobs.ports import StoredJob
from video_jobs.schedule import guard_delay, poll_delay, submit_delay
from video_jobs.services import Services
from video_jobs.update import update

log = logging.getLogger("reelkeep.poll")

_RELOADS = 5
_LONGEST_LIST = 1000  # jobs of a backend's list that are read to find one
_AT_ONCE = timedelta()
_FETCH_MARGIN = timedelta(minutes=1)  # beyond a download's deadline, its message counts as lost

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
        except TransitionRefused as refused:
            log.info("%s moved on meanwhile (%s); looking again", message.job_id, refused)
            continue
        return
    raise TransitionRefused(f"{message.job_id} moved on {_RELOADS} times while it was looked at")


def _step(services: Services, message: PollMessage, stored: StoredJob) -> None:
    match stored.job.status:
        case Status.WAITING:
            _offer(services, message, stored)
        case Status.SUBMITTING:
            _await_outcome(services, message, stored)
        case Status.QUEUED | Status.RUNNING:
            _look(services, message, stored)
        case Status.FETCHING | Status.PENDING_DOWNLOAD:
            _guard_fetches(services, message, stored)
        case _:
            finish(services, stored.job)  # again, in case a crash kept the first time from its end


def _offer(services: Services, message: PollMessage, stored: StoredJob) -> None:
    """Submit a job that its backend could not take before."""
    job, now = stored.job, services.clock()
    if job.submit_after is not None and now < job.submit_after:
        wait = job.submit_after - now
        _advance(services, message, stored, wait, partial(_still, status=Status.WAITING))
        return
    # Read before `submitting` is saved: an image that can't be read must not look like a call that was made.
    image = services.blobs.get_input(job.owner, job.id) if job.request.input_image else None
    attempt = new_attempt()
    turn = _send_next(services, message, submit_delay(job, None, now))

    def begin(job: Job) -> Job:
        if turn is not None and job.attempt != attempt:
            job = transitions.next_turn(job, now, turn)
        return transitions.begin_submit(job, now, attempt)

    make_paid_call(services, update(services.jobs, stored, begin), image)


def _await_outcome(services: Services, message: PollMessage, stored: StoredJob) -> None:
    """The paid call is in flight, or whoever made it is gone."""
    job, now = stored.job, services.clock()
    left = (job.submitting_since or now) + outcome_known_after(services) - now
    if left > timedelta():
        delay = min(poll_delay(job, None, now), left)
        _advance(services, message, stored, delay, partial(_still, status=Status.SUBMITTING))
        return
    attempt = job.attempt or ""
    _end(
        services,
        stored,
        partial(transitions.submission_failed, now=now, attempt=attempt, error=unconfirmed(job)),
    )


def _look(services: Services, message: PollMessage, stored: StoredJob) -> None:
    job = stored.job
    hint: float | None = None
    change: Change
    try:
        client = services.backends.client(job.backend)
        backend_job = client.get(_backend_job_id(job))
        hint = backend_job.poll_after
        change = partial(transitions.looked, now=services.clock(), backend_job=backend_job)
    except (NotFound, Gone) as error:
        log.warning("%s: %s", job.id, error)
        asked = transitions.is_missing_too_long(job, services.clock())
        listed = _is_listed(services, job) if asked else None
        change = partial(transitions.not_found, now=services.clock(), listed=listed)
    except BackendError as error:
        hint = error.retry_after
        log.warning("%s could not be looked at: %s", job.id, error)
        change = partial(transitions.look_failed, now=services.clock(), reason=str(error))
    now = services.clock()
    seen = change(job)
    if seen.is_terminal:
        _end(services, stored, change)
        return
    generated = seen.status is Status.FETCHING
    delay = guard_delay(seen, now) if generated else poll_delay(seen, hint, now)
    saved = _advance(services, message, stored, delay, change).job
    if saved.status is not job.status:
        log.info("%s: %s, now %s", job.id, job.status, saved.status)
    if saved.status is Status.FETCHING:
        for output in saved.outputs:
            _send_fetch(services, saved, output.index, output.turn)


def _guard_fetches(services: Services, message: PollMessage, stored: StoredJob) -> None:
    """Downloads have chains of their own; here is only mended what a crash broke."""
    job, now = stored.job, services.clock()
    overdue_after = timedelta(seconds=services.fetch_deadline) + _FETCH_MARGIN
    change = partial(transitions.fetch_again, now=now, overdue_after=overdue_after)
    for before, after in zip(job.outputs, change(job).outputs, strict=True):
        if after.turn > before.turn:
            log.warning("%s: the download of video %s is overdue; asking again", job.id, after.index)
            _send_fetch(services, job, after.index, after.turn)
    _advance(services, message, stored, guard_delay(job, now), change)


def _advance(
    services: Services, message: PollMessage, stored: StoredJob, delay: timedelta, change: Change
) -> StoredJob:
    """Enqueue the next turn, then save the change with that turn."""
    turn = _send_next(services, message, delay)
    if turn is None:
        return update(services.jobs, stored, change)
    now = services.clock()
    return update(services.jobs, stored, lambda job: change(transitions.next_turn(job, now, turn)))


def _send_next(services: Services, message: PollMessage, delay: timedelta) -> int | None:
    """The turn of the message that was sent. One without a turn starts no chain: None."""
    if message.turn is None:
        return None
    turn = message.turn + 1
    services.messages.send_poll(message.model_copy(update={"turn": turn}), delay)
    return turn


def _end(services: Services, stored: StoredJob, change: Change) -> None:
    """Save a terminal status, then do what follows. No next message: this one comes again after a crash."""
    saved = update(services.jobs, stored, change).job
    if not saved.is_terminal:
        raise TransitionRefused(f"{saved.id} is {saved.status} after all")
    finish(services, saved)


def _send_fetch(services: Services, job: Job, index: int, turn: int) -> None:
    message = FetchMessage(owner=job.owner, job_id=job.id, index=index, turn=turn)
    services.messages.send_fetch(message, _AT_ONCE)


def _is_listed(services: Services, job: Job) -> bool | None:
    """Whether the backend's own list still knows the job; None where the list can't be read right now."""
    try:
        listed = itertools.islice(services.backends.client(job.backend).recent(), _LONGEST_LIST)
        return any(backend_job.id == job.backend_job_id for backend_job in listed)
    except BackendError as error:
        log.warning("%s: the backend's list could not be read: %s", job.id, error)
        keeps_none = isinstance(error, NotFound) or error.status in (405, 501)
        return False if keeps_none else None


def _backend_job_id(job: Job) -> str:
    if job.backend_job_id is None:
        raise TransitionRefused(f"{job.id} is {job.status} without a backend job")
    return job.backend_job_id


def _still(job: Job, status: Status) -> Job:
    if job.status is not status:
        raise TransitionRefused(f"{job.id} is {job.status} by now")
    return job
