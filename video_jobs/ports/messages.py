"""Queues."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple, Protocol

from video_jobs.domain.queue_messages import FetchMessage, NotifyMessage, PollMessage

BACKLOG_AGE = timedelta(seconds=30)
"""If a message is visible for longer than this, the host is overloaded."""


class PoisonMessage(NamedTuple):
    """A message that the Functions host has given up."""

    queue: str  #: the one that it was sent to
    body: bytes | None  #: None if it is not base64
    tries: int  #: how often it was taken out of the poison queue, this time included
    receipt: Any  #: the adapter's own


class QueueState(NamedTuple):
    """How many messages a queue has, and how long its oldest message has been visible."""

    depth: int  #: roughly; includes messages that are delayed or under way
    oldest: timedelta  #: for how long the message that waits longest has been due; 0 if none waits


class Messages(Protocol):
    def send_poll(self, message: PollMessage, delay: timedelta) -> None: ...

    def send_fetch(self, message: FetchMessage, delay: timedelta) -> None: ...

    def send_notify(self, message: NotifyMessage, delay: timedelta) -> None: ...

    def has_backlog(self, queue: str) -> bool:
        """Whether messages of the queue wait for a host that is too busy to take them."""

    def state(self, queue: str) -> QueueState:
        """One call for an empty queue, else two."""

    def count_poison(self, queue: str) -> int:
        """Roughly how many messages of the queue the host has given up on, including those that the sweeper is
        reading."""

    def take_poison(self, most: int) -> Sequence[PoisonMessage]:
        """Up to so many of each poison queue, hidden from others for two minutes."""

    def drop_poison(self, message: PoisonMessage) -> None:
        """Delete the message; no error if it is gone already."""

    def ping(self) -> None:
        """Raises StorageUnavailable if it can't be used."""
