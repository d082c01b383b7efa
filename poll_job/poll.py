"""One poll of a job, and the next message of its chain.

The order matters. The next message is enqueued before the row is saved with its turn. A crash between the two leaves
an extra message, which is dropped for its turn; it never leaves a job without a message.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from functools import partial

from poll_job.purge import purge
from poll_job.step import Change, Step
from poll_job.unknown_outcome import await_outcome
from video_jobs.domain import transitions
from video_jobs.domain.backend_job import BackendJob, BackendState
from video_jobs.domain.errors import (
    BackendError,
    Conflict,
    Gone,
    JobNotFound,
    NotFound,
    Rejected,
    TransitionRefused,
)
from video_jobs.domain.job import Job, Status
from video_jobs.domain.logs import log_event
from video_jobs.domain.queue_messages import FETCH_QUEUE, FetchMessage, PollMessage
from video_jobs.domain.schedule import (
    BACKLOG_AGAIN,
    SEARCH_ON,
    guard_delay,
    poll_delay,
)
from video_jobs.lifecycle import admission
from video_jobs.lifecycle.adoption import is_listed
from video_jobs.lifecycle.dispatch import start
from video_jobs.lifecycle.finalize import finish
from video_jobs.lifecycle.learning import learn
from video_jobs.lifecycle.poll_chain import fetch_now, going_on_once_sent, keep_row, kept_row
from video_jobs.lifecycle.rescue import rescued
from video_jobs.ports import Backend, StoredJob
from video_jobs.services import Services

log = logging.getLogger("reelkeep.poll")

_RELOADS = 5
_AT_ONCE = timedelta()


def poll_job(services: Services, message: PollMessage) -> None:
    with going_on_once_sent(message.job_id):
        _poll(services, message)


def _poll(services: Services, message: PollMessage) -> None:
    kept = _kept(services, message)
    for _ in range(_RELOADS):
        try:
            stored, kept = kept or services.jobs.get(message.owner, message.job_id), None
        except JobNotFound:
            log_event(log, logging.WARNING, "poll.job_missing", job_id=message.job_id)
            return
        chain = stored.job.chain
        if chain.is_stale(message.turn):
            log_event(
                log,
                logging.INFO,
                "poll.stale_message",
                job_id=message.job_id,
                turn=message.turn,
                job_turn=chain.turn,
            )
            return
        try:
            _take(Step(services, message, stored))
        except (TransitionRefused, Conflict, JobNotFound) as refused:
            log_event(log, logging.INFO, "poll.job_changed", job_id=message.job_id, problem=refused)
            continue
        return
    raise TransitionRefused(f"{message.job_id} moved on {_RELOADS} times during the poll")


def _kept(services: Services, message: PollMessage) -> StoredJob | None:
    """The row that this process saved last, for a message of the chain. A message from elsewhere may follow a change of the row."""
    kept = kept_row(services, message.owner, message.job_id)
    polled = kept is not None and kept.job.status in (Status.QUEUED, Status.RUNNING)
    return kept if kept is not None and polled and kept.job.chain.turn == message.turn else None


def _take(step: Step) -> None:
    services, job = step.services, step.job
    match job.status:
        case Status.SUBMITTING:
            await_outcome(step)
        case _ if job.deleted_at is not None:
            purge(services, step.stored, step.send_next)
        case Status.WAITING:
            start(services, step.stored, step.send_next)
        case Status.QUEUED | Status.RUNNING:
            _poll_backend(step)
        case Status.FETCHING | Status.PENDING_DOWNLOAD:
            _guard_fetches(step)
        case _ if job.outputs:
            # After a crash, the sweeper finishes the job.
            log_event(log, logging.INFO, "poll.job_ended", job_id=job.id)
        case _:
            finish(services, job)  # again: a crash may have kept the next job in line from its message


def _poll_backend(step: Step) -> None:
    services, job = step.services, step.job
    hint: float | None = None
    backend_job: BackendJob | None = None
    client: Backend | None = None
    change: Change
    try:
        client = services.backends.client(job.backend)
        backend_job = client.get(_backend_job_id(job))
        hint = backend_job.poll_after
        change = _told(services, job, backend_job)
        if job.cancellation.is_wanted:
            change = _stopping(services, client, job, backend_job) or change
    except (NotFound, Gone) as error:
        log_event(log, logging.WARNING, "poll.backend_job_missing", job_id=job.id, problem=error)
        change = _not_found(services, job, isinstance(error, Gone))
    except BackendError as error:
        hint = error.retry_after
        log_event(log, logging.WARNING, "poll.failed", job_id=job.id, problem=error)
        change = partial(
            transitions.poll_failed, now=services.clock(), reason=str(error), request_id=error.request_id
        )
    now = services.clock()
    seen = change(job)
    if client is not None and _is_worth_a_rescue(seen, backend_job, now):
        found = rescued(client, job, backend_job)
        if found is not None:
            backend_job, change = None, _told(services, job, found)
            seen = change(job)
    if seen.is_terminal:
        step.end(change)
        return
    if seen.status is Status.FETCHING:
        stored = step.advance(guard_delay(seen, now), change)
        saved = stored.job
        if saved.status is Status.FETCHING:
            keep_row(services, stored)
            fetch_now(services, saved)
        admission.leave(services, saved)  # generation is over: the next job need not wait for the download
        if backend_job is not None:
            learn(services, job, backend_job, now)
        return
    delay = poll_delay(seen, hint, now)
    if seen.list_search is not None:
        delay = SEARCH_ON
    stored = step.advance(delay, change)
    keep_row(services, stored)
    if stored.job.is_in_doubt(now):
        admission.leave(services, stored.job)


def _told(services: Services, job: Job, backend_job: BackendJob) -> Change:
    retention = services.backends.retention(job.backend)
    return partial(transitions.polled, now=services.clock(), backend_job=backend_job, retention=retention)


def _not_found(services: Services, job: Job, is_gone: bool) -> Change:
    """The backend does not know the job. Its list is read only when that has lasted for a while."""
    listed, rest = None, None
    if not is_gone and job.is_missing_too_long(services.clock()):
        listed, rest = is_listed(services, job)
    return partial(
        transitions.not_found, now=services.clock(), listed=listed, is_gone=is_gone, list_search=rest
    )


def _is_worth_a_rescue(seen: Job, told: BackendJob | None, now: datetime) -> bool:
    """Whether to ask for the video itself: before the job ends for good, and if an unknown status may mean
    success."""
    if seen.is_terminal:
        if told is not None and told.state.is_final and told.state is not BackendState.SUCCEEDED:
            return False  # the backend itself says that it failed
        lost = seen.error is not None and seen.error.code in ("expired", "backend_lost_job", "no_output")
        return lost and seen.backend_job_id is not None
    if told is None or told.state is not BackendState.UNKNOWN:
        return False
    kept_for = (seen.expires_at or now) - (seen.submission.submitted_at or seen.created_at)
    left = seen.time_left(now)
    return told.seems_done or (left is not None and left <= kept_for / 4)


def _stopping(services: Services, client: Backend, job: Job, seen: BackendJob) -> Change | None:
    """Ask the backend to stop a job that is not generated yet. None if that changes nothing."""
    if seen.state.is_final:
        return None  # it has ended already
    current = services.jobs.get(job.owner, job.id).job
    if current.status not in (Status.QUEUED, Status.RUNNING):
        raise TransitionRefused(f"{job.id} is {current.status} by now")  # another poll saw it generated
    try:
        client.delete(seen.id)
    except Rejected as error:
        return partial(_refused_to_stop, services.clock(), seen, str(error))
    except BackendError as error:
        log_event(log, logging.WARNING, "poll.stop_failed", job_id=job.id, problem=error)
        return None
    return partial(transitions.cancelled, now=services.clock())


def _guard_fetches(step: Step) -> None:
    """Repair downloads whose messages a crash lost. Downloads have chains of their own.

    A download whose message waits behind others is not lost: another message would only make the queue longer.
    """
    services, job, now = step.services, step.job, step.now()
    change: Change = partial(transitions.fetch_again, now=now)
    if change(job) is not job and services.messages.has_backlog(FETCH_QUEUE):
        log_event(log, logging.INFO, "poll.download_waits", job_id=job.id)
        step.advance(BACKLOG_AGAIN, _as_it_is)
        return
    saved = step.advance(guard_delay(change(job), now), change).job
    # The row is saved first: otherwise, while saves fail, each guard would start another chain of downloads. After a crash
    # between the two, the next guard message finds the download overdue again.
    for before, after in zip(job.outputs, saved.outputs, strict=True):
        if after.chain.due_at == now != before.chain.due_at:
            log_event(log, logging.WARNING, "poll.download_overdue", job_id=job.id, video=after.index)
            again = FetchMessage(owner=job.owner, job_id=job.id, index=after.index, turn=after.chain.turn)
            services.messages.send_fetch(again, _AT_ONCE)


def _backend_job_id(job: Job) -> str:
    if job.backend_job_id is None:
        raise TransitionRefused(f"{job.id} is {job.status} without a backend job")
    return job.backend_job_id


def _refused_to_stop(now: datetime, seen: BackendJob, reason: str, job: Job) -> Job:
    """The backend goes on with the job: keep the poll's result, too."""
    job = transitions.polled(job, now, seen)
    return job if job.is_terminal else transitions.cancel_refused(job, now, reason)


def _as_it_is(job: Job) -> Job:
    return job
