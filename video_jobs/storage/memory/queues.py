"""The twin of `storage/queues.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from video_jobs.messages import (
    FETCH_QUEUE,
    NOTIFY_QUEUE,
    POLL_QUEUE,
    FetchMessage,
    NotifyMessage,
    PollMessage,
)


@dataclass(frozen=True)
class QueuedMessage:
    """What lies in a queue, and when it becomes visible."""

    queue: str
    text: str
    visible_at: datetime


class MemoryMessages:
    """See `ports.Messages`. Nobody delivers: tests take what they want from `queued`."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self.queued: list[QueuedMessage] = []

    def send_poll(self, message: PollMessage, delay: timedelta) -> None:
        self.queued.append(QueuedMessage(POLL_QUEUE, message.encode(), self._clock() + delay))

    def send_fetch(self, message: FetchMessage, delay: timedelta) -> None:
        self.queued.append(QueuedMessage(FETCH_QUEUE, message.encode(), self._clock() + delay))

    def send_notify(self, message: NotifyMessage, delay: timedelta) -> None:
        self.queued.append(QueuedMessage(NOTIFY_QUEUE, message.encode(), self._clock() + delay))

    def ping(self) -> None:
        pass
