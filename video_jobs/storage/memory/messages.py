"""The twin of `storage/queues.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from video_jobs.domain.queue_messages import (
    FETCH_QUEUE,
    NOTIFY_QUEUE,
    POLL_QUEUE,
    FetchMessage,
    NotifyMessage,
    PollMessage,
)
from video_jobs.ports.messages import BACKLOG_AGE, PoisonMessage

_POISON_HIDDEN = timedelta(minutes=2)


@dataclass(frozen=True)
class QueuedMessage:
    """What lies in a queue, and when it becomes visible."""

    queue: str
    text: str
    visible_at: datetime


@dataclass
class PoisonedMessage:
    """What lies in a poison queue."""

    queue: str  #: the one that it was sent to
    body: bytes | None
    visible_at: datetime
    tries: int = 0


class MemoryMessages:
    """See `ports.Messages`. Nobody delivers: tests take what they want from `queued`."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self.queued: list[QueuedMessage] = []
        self.poisoned: list[PoisonedMessage] = []

    def send_poll(self, message: PollMessage, delay: timedelta) -> None:
        self.queued.append(QueuedMessage(POLL_QUEUE, message.encode(), self._clock() + delay))

    def send_fetch(self, message: FetchMessage, delay: timedelta) -> None:
        self.queued.append(QueuedMessage(FETCH_QUEUE, message.encode(), self._clock() + delay))

    def send_notify(self, message: NotifyMessage, delay: timedelta) -> None:
        self.queued.append(QueuedMessage(NOTIFY_QUEUE, message.encode(), self._clock() + delay))

    def has_backlog(self, queue: str) -> bool:
        now = self._clock()
        return any(each.queue == queue and now - each.visible_at >= BACKLOG_AGE for each in self.queued)

    def poison(self, queue: str, body: bytes | None) -> None:
        """As the host does it that gives a message up."""
        self.poisoned.append(PoisonedMessage(queue, body, self._clock()))

    def take_poison(self, most: int) -> list[PoisonMessage]:
        now = self._clock()
        taken = []
        for name in (POLL_QUEUE, FETCH_QUEUE, NOTIFY_QUEUE):
            for each in [one for one in self.poisoned if one.queue == name and one.visible_at <= now][:most]:
                each.tries, each.visible_at = each.tries + 1, now + _POISON_HIDDEN
                taken.append(PoisonMessage(name, each.body, each.tries, each))
        return taken

    def drop_poison(self, message: PoisonMessage) -> None:
        if message.receipt in self.poisoned:
            self.poisoned.remove(message.receipt)

    def ping(self) -> None:
        pass
