"""The chain of a job's poll messages: the next one is enqueued before the row is saved with its turn."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from datetime import timedelta
from functools import partial
from typing import TypeVar

from video_jobs.domain import transitions
from video_jobs.domain.errors import StorageUnavailable
from video_jobs.domain.job import Job, Status
from video_jobs.domain.logs import log_event
from video_jobs.domain.queue_messages import FetchMessage, NotifyMessage, PollMessage
from video_jobs.ports import StoredJob
from video_jobs.services import Services

log = logging.getLogger("reelkeep.chain")

Turn = Callable[[Job], Job]
"""Writes the turn of a message that was sent into the job."""

SendNext = Callable[[timedelta], Turn]
"""Enqueues the chain's next message with that delay."""

_AT_ONCE = timedelta()


_next_is_sent: ContextVar[bool] = ContextVar("next_is_sent", default=False)
_Message = TypeVar("_Message", PollMessage, FetchMessage, NotifyMessage)


def send_on(send: Callable[[_Message, timedelta], None], message: _Message, delay: timedelta) -> int:
    """Enqueue the message after this one, which has a turn; gives the new message's turn, for the row."""
    turn = (message.turn or 0) + 1
    send(message.model_copy(update={"turn": turn}), delay)
    _next_is_sent.set(True)
    return turn


@contextlib.contextmanager
def going_on_once_sent(what: str) -> Iterator[None]:
    """Raise a storage fault only if the chain's next message is not sent yet; after that, log it.

    If it were raised, the host would deliver the same message again, which would send another next message. While
    sends work and saves fail, one job would then cause thousands of messages.
    """
    token = _next_is_sent.set(False)
    try:
        yield
    except StorageUnavailable as error:
        if not _next_is_sent.get():
            raise
        log_event(log, logging.ERROR, "chain.storage_failed", chain=what, problem=error)
    finally:
        _next_is_sent.reset(token)


@contextlib.contextmanager
def done_later_at_worst(job: Job) -> Iterator[None]:
    """Log a storage fault: what was asked for is saved in the job, and its chain or the sweeper does it. An error would say that
    it was not accepted."""
    try:
        yield
    except StorageUnavailable as error:
        log_event(log, logging.WARNING, "chain.done_later", job_id=job.id, problem=error)


def send_next(services: Services, message: PollMessage, delay: timedelta) -> Turn:
    """Send the message after this one. A message without a turn starts no chain: nothing is sent."""
    if message.turn is None:
        return lambda job: job
    now = services.clock()
    turn = send_on(services.messages.send_poll, message, delay)
    return partial(transitions.next_turn, now=now, turn=turn, due_at=now + delay)


def keep_row(services: Services, stored: StoredJob) -> None:
    """Keep the row for the next poll or the first download, which saves a read."""
    if stored.job.status in (Status.QUEUED, Status.RUNNING, Status.FETCHING):
        services.kept_jobs.keep(stored.job.id, stored)


def kept_row(services: Services, owner: str, job_id: str, seconds: float = float("inf")) -> StoredJob | None:
    """The row as this process saved it last. If it was changed since, a save is refused, as after a read.

    So only a poll or download uses it that ends with a save and does nothing earlier that the newest row might forbid.
    """
    kept = services.kept_jobs.take(job_id, seconds)
    return kept if kept is not None and kept.job.owner == owner else None


def poll_now(services: Services, job: Job, delay: timedelta = _AT_ONCE) -> None:
    """Expedite the chain: this message replaces the one in the queue, if any.

    Its turn is one ahead of the row's, so it is not dropped when a poll that runs right now saves the next turn.
    """
    message = PollMessage(owner=job.owner, job_id=job.id, turn=job.chain.turn + 1)
    services.messages.send_poll(message, delay)


def fetch_now(services: Services, job: Job) -> None:
    """A message for each output that is not settled, with the turn that the row has for it."""
    for output in job.outputs:
        if not output.is_settled:
            message = FetchMessage(owner=job.owner, job_id=job.id, index=output.index, turn=output.chain.turn)
            services.messages.send_fetch(message, _AT_ONCE)
