"""How long a video API takes over a job, from how long the last ones of its kind took. Pure; `learning.py` has
the effects.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import NamedTuple

FEWEST = 3
"""How many jobs must have been timed before the first forecast."""

MOST_KEPT = 50
"""How many durations are kept; older ones are dropped, so that a forecast follows a faster or slower video API."""

_SHORTEST, _LONGEST = 0.1, 86_400.0  # seconds; anything else comes from a wrong clock
_MOST_QUANTILES = 21  # the shortest, the longest, and every twentieth between them
_NARROWEST = 1.0  # seconds; the times of video APIs are in whole seconds
_LATE = 0.9
_TYPICAL_PERCENT, _LATE_PERCENT = 80, 95


def can_be_one(duration: float) -> bool:
    """Whether a job can have taken so many seconds."""
    return _SHORTEST <= duration <= _LONGEST


class JobKind(NamedTuple):
    """A kind of jobs: all take about the same time."""

    backend: str  #: name
    model: str
    size: str  #: WIDTHxHEIGHT, pixels, or the aspect ratio and resolution
    seconds: int  #: of video


class Estimate(NamedTuple):
    """The durations of one kind; kept in one row, guarded by its ETag."""

    kind: JobKind
    #: Seconds from acceptance by the video API to the end of the job, the oldest first.
    durations: tuple[float, ...] = ()
    jobs: int = 0  #: how many were ever timed

    def with_one_more(self, duration: float) -> Estimate:
        """Add a duration; a value that can't be one is ignored."""
        if not can_be_one(duration):
            return self
        kept = (*self.durations, round(duration, 1))[-MOST_KEPT:]
        return self._replace(durations=kept, jobs=self.jobs + 1)

    def forecast(self) -> Forecast | None:
        """The forecast for the next job of the kind; None as long as too little is known."""
        count = len(self.durations)
        if count < FEWEST:
            return None
        ordered = sorted(self.durations)
        steps = min(count, _MOST_QUANTILES) - 1
        quantiles = tuple(ordered[round(step * (count - 1) / steps)] for step in range(steps + 1))
        return Forecast(quantiles)


@dataclass(frozen=True)
class Forecast:
    """When a job is likely to be generated, in seconds from its submission. Small, since each job's row has one.

    Between each two neighbouring `quantiles` there are equally many of the learned durations.
    """

    quantiles: tuple[float, ...]  #: in order; the first is the shortest duration, the last the longest

    @property
    def typical(self) -> float:
        """Half of the jobs take no longer."""
        return statistics.median(self.quantiles)

    @property
    def late(self) -> float:
        """Nine in ten take no longer."""
        return self.quantiles[math.ceil(_LATE * (len(self.quantiles) - 1))]

    @property
    def longest(self) -> float:
        return self.quantiles[-1]

    def expected(self, passed: float) -> float | None:
        """When a job that is not generated after `passed` seconds will be; None if no job took so long."""
        left = [quantile for quantile in self.quantiles if quantile > passed]
        return statistics.median(left) if left else None

    def progress(self, passed: float) -> int:
        """Percent, from 0 to 95: slower and slower once a job takes longer than most."""
        typical, late = self.typical, max(self.late, self.typical + _NARROWEST)
        if passed <= typical:
            return int(_TYPICAL_PERCENT * max(passed, 0.0) / typical)
        share = min((passed - typical) / (late - typical), 1.0)
        return int(_TYPICAL_PERCENT + (_LATE_PERCENT - _TYPICAL_PERCENT) * share)
