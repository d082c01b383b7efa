"""A chain of messages: each sends the next before the row is saved with that one's turn.

A job has one of polls, each of its outputs one of downloads, and its webhook one of deliveries.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from video_jobs.domain.errors import MalformedMessage, TransitionRefused

_PATIENCE = timedelta(seconds=110)
"""How long a message may be overdue: longer than the paid call takes, and so that with the sweeper's minute a job that a
crash stopped goes on within three."""

_MOST_PATIENCE = timedelta(minutes=30)
_MOST_AHEAD = 1000  # a chain is ahead of its row by one, and by one more for each crash in between


@dataclass(frozen=True)
class Chain:
    """How far a chain has come, as the row says it."""

    turn: int = 0  #: of its latest message; one with a lower turn is stale
    due_at: datetime | None = None  #: when that message becomes visible
    attempts: int = 0  #: downloads or deliveries that failed
    repairs: int = 0  #: messages sent in place of overdue ones since it last went on by itself

    def is_stale(self, turn: int | None) -> bool:
        """Whether a message with that turn is to be dropped. Raises MalformedMessage for one that no chain can have."""
        if turn is not None and turn > self.turn + _MOST_AHEAD:
            raise MalformedMessage(
                f"Turn {turn} is far beyond the row's, {self.turn}. Leave it out, or take the row's."
            )
        return turn is not None and turn < self.turn

    def next(self, turn: int, due_at: datetime, *, attempts: int = 0, repairs: int = 0) -> Self:
        """It goes on with the message `turn`, which is already in its queue. Two chains become one here."""
        if turn <= self.turn:
            raise TransitionRefused(f"the chain is at turn {self.turn} already")
        return replace(self, turn=turn, due_at=due_at, attempts=attempts, repairs=repairs)

    def over(self, turn: int = 0) -> Self:
        """Nothing is left to do for it: each message up to that turn, and its own, is stale."""
        return replace(self, turn=max(self.turn, turn) + 1, due_at=None, repairs=0)

    def is_overdue(self, since: datetime, now: datetime) -> bool:
        """Whether its message must be lost; `since`: when it was due where the chain does not say.

        From the second repair on that helped nothing, the next one comes later each time.
        """
        patience = min(_PATIENCE * 2.0 ** min(max(self.repairs - 1, 0), 10), _MOST_PATIENCE)
        return now >= (self.due_at or since) + patience
