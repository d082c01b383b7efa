"""Webhooks: which are turned off, and how to deliver to a receiver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Hook:
    """A receiver of webhooks that may be turned off."""

    owner: str | None  #: who named it; None: the app's settings
    url: str


class Hooks(Protocol):
    """Which hooks have been turned off by their receiver. Every call may be repeated."""

    def is_off(self, hook: Hook) -> bool: ...

    def turn_off(self, hook: Hook, job_id: str) -> None:
        """`job_id`: the job whose delivery the receiver refused."""

    def turn_on(self, hook: Hook) -> None:
        """No error if it is on."""


class WebhookSender(Protocol):
    def send(self, url: str, headers: Mapping[str, str], body: bytes, owner: str = "") -> int:
        """One POST, to an address that is checked now; gives the HTTP status of a success. `owner`: whose job has ended.

        Raises Undelivered for everything else.
        """
