"""Queues."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from video_jobs.messages import FetchMessage, NotifyMessage, PollMessage


class Messages(Protocol):
    def send_poll(self, message: PollMessage, delay: timedelta) -> None: ...

    def send_fetch(self, message: FetchMessage, delay: timedelta) -> None: ...

    def send_notify(self, message: NotifyMessage, delay: timedelta) -> None: ...

    def ping(self) -> None:
        """Raises StorageUnavailable where it can't be used."""
