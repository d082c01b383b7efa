"""How long a queue's listener pauses while the queue is empty: randomized and exponential, like the real host.

The pause is 0.1 s, then 0.1 s and twice as much more each time, give or take a fifth. At `maxPollingInterval` it stays
exactly that, until a message is found.
"""

from __future__ import annotations

import random

SHORTEST = 0.1  # seconds
_SPREAD = 0.2


class Backoff:
    def __init__(self, longest: float, chance: random.Random | None = None) -> None:
        self._longest = longest
        self._chance = chance or random.Random()
        self._empty = 0

    def found(self) -> None:
        """A message was found, or somebody said that there is one."""
        self._empty = 0

    def pause(self) -> float:
        """The pause in seconds, after one more empty read."""
        self._empty += 1
        if self._empty == 1:
            return min(SHORTEST, self._longest)
        growth = SHORTEST * 2.0 ** min(self._empty - 2, 20)
        pause = SHORTEST + growth * self._chance.uniform(1 - _SPREAD, 1 + _SPREAD)
        if pause < self._longest:
            return pause
        self._empty = 22  # once there, it stays there
        return self._longest
