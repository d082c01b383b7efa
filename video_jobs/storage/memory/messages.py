"""The twin of `storage/messages.py`."""

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
from video_jobs.ports.messages import BACKLOG_AGE, PoisonMessage, QueueState

_POISON_HIDDEN = timedelta(minutes=2)


@dataclass(frozen=True)
class QueuedMessage:
    """A message in a queue, and when it becomes visible."""

    queue: str
    text: str
    visible_at: datetime


@dataclass
class PoisonedMessage:
    """A message in a poison queue."""

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
        self._send(POLL_QUEUE, message, delay)

    def send_fetch(self, message: FetchMessage, delay: timedelta) -> None:
        self._send(FETCH_QUEUE, message, delay)

    def send_notify(self, message: NotifyMessage, delay: timedelta) -> None:
        self._send(NOTIFY_QUEUE, message, delay)

    def _send(
        self, queue: str, message: PollMessage | FetchMessage | NotifyMessage, delay: timedelta
    ) -> None:
        due = self._clock() + delay
        self.queued.append(QueuedMessage(queue, message.encode(due=due), due))

    def has_backlog(self, queue: str) -> bool:
        return any(wait >= BACKLOG_AGE for wait in self._waits(queue))

    def state(self, queue: str) -> QueueState:
        depth = sum(each.queue == queue for each in self.queued)
        return QueueState(depth, max(self._waits(queue), default=timedelta()))

    def count_poison(self, queue: str) -> int:
        return sum(each.queue == queue for each in self.poisoned)

    def _waits(self, queue: str) -> list[timedelta]:
        now = self._clock()
        return [
            now - each.visible_at for each in self.queued if each.queue == queue and each.visible_at <= now
        ]

    def poison(self, queue: str, body: bytes | None) -> None:
        """As the host does when it gives a message up."""
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
