"""Webhooks: which are turned off, which were given up, and how to deliver to a receiver."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol


class Hook(NamedTuple):
    """A receiver of webhooks that may be turned off."""

    owner: str | None  #: who named it; None: the app's settings
    url: str


class GivenUp(NamedTuple):
    """A job whose webhook could not be delivered in three days."""

    owner: str
    job_id: str


class Hooks(Protocol):
    """Which hooks have been turned off by their receiver, and which jobs' webhooks were given up. Every call may be
    repeated."""

    def is_off(self, hook: Hook) -> bool: ...

    def turn_off(self, hook: Hook, job_id: str) -> None:
        """`job_id`: the job whose delivery the receiver refused."""

    def turn_on(self, hook: Hook) -> None:
        """No error if it is on."""

    def note_given_up(self, which: GivenUp) -> None:
        """Call it before the row is saved: a note may name a job that has not given up yet, or that is sent again."""

    def forget_given_up(self, which: GivenUp) -> None:
        """No error if there is no note."""

    def given_up(self, after: str | None, most: int) -> list[GivenUp]:
        """Of all owners, the newest jobs first, beginning after the job id `after`. Reads `most` rows at most."""


class WebhookSender(Protocol):
    def send(self, url: str, headers: Mapping[str, str], body: bytes, owner: str = "") -> int:
        """One POST, to an address that is checked now; gives the HTTP status of a success. `owner`: whose job has ended.

        Raises Undelivered for everything else.
        """
