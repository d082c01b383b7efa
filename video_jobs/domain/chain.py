"""A chain of messages: each message sends the next one before the row is saved with the next one's turn.

A job has a chain of polls, each of its outputs a chain of downloads, and its webhook a chain of deliveries.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from video_jobs.domain.errors import MalformedMessage, TransitionRefused

_PATIENCE = timedelta(seconds=110)
"""How long a message may be overdue. This is longer than a paid call takes, and short enough that, with the sweeper's
minute, a job goes on within three minutes after a crash."""

_MOST_PATIENCE = timedelta(minutes=30)
_MOST_AHEAD = 1000  # a chain is one turn ahead of its row, and one more for each crash in between


@dataclass(frozen=True)
class Chain:
    """The state of a chain, as the row has it."""

    turn: int = 0  #: of its latest message; a message with a lower turn is stale
    due_at: datetime | None = None  #: when that message becomes visible
    attempts: int = 0  #: downloads or deliveries that failed
    repairs: int = 0  #: messages sent in place of overdue ones since the chain last continued by itself

    def is_stale(self, turn: int | None) -> bool:
        """Whether a message with that turn must be dropped. Raises MalformedMessage for an impossible turn."""
        if turn is not None and turn > self.turn + _MOST_AHEAD:
            raise MalformedMessage(
                f"Turn {turn} is far beyond the row's, {self.turn}. Leave it out, or take the row's."
            )
        return turn is not None and turn < self.turn

    def next(self, turn: int, due_at: datetime, *, attempts: int = 0, repairs: int = 0) -> Self:
        """The chain continues with the message `turn`, which is already in its queue. Here two chains become one."""
        if turn <= self.turn:
            raise TransitionRefused(f"the chain is at turn {self.turn} already")
        return replace(self, turn=turn, due_at=due_at, attempts=attempts, repairs=repairs)

    def over(self, turn: int = 0) -> Self:
        """End the chain: each message up to that turn, and the chain's latest, is stale."""
        return replace(self, turn=max(self.turn, turn) + 1, due_at=None, repairs=0)

    def is_overdue(self, since: datetime, now: datetime) -> bool:
        """Whether its message must be lost; `since`: its due time if the chain has none.

        From the second repair without success, the pause before the next repair grows each time.
        """
        patience = min(_PATIENCE * 2.0 ** min(max(self.repairs - 1, 0), 10), _MOST_PATIENCE)
        return now >= (self.due_at or since) + patience
