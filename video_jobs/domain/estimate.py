"""How long a video API takes over a job, from how long the last ones of its kind took. Pure; `learning.py` has
the effects.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, replace

FEWEST = 3
"""Jobs that must have been timed before anything is said of the next one."""

MOST_KEPT = 50
"""Durations; older ones go, so that a video API that has become faster or slower is soon known for it."""

_SHORTEST, _LONGEST = 0.1, 86_400.0  # seconds; anything else is no duration, but a clock that is wrong
_MOST_QUANTILES = 21  # the shortest, the longest, and every twentieth between them
_NARROWEST = 1.0  # seconds; video APIs tell time in whole ones
_LATE = 0.9
_TYPICAL_PERCENT, _LATE_PERCENT = 80, 95


@dataclass(frozen=True)
class JobKind:
    """Jobs that take about as long as each other."""

    backend: str  #: name
    model: str
    size: str  #: WIDTHxHEIGHT, pixels, or what was asked for in its place
    seconds: int  #: of video


@dataclass(frozen=True)
class Estimate:
    """What is known of one kind; kept in one row, guarded by its ETag."""

    kind: JobKind
    durations: tuple[
        float, ...
    ] = ()  #: seconds from the video API's taking a job to its end, the oldest first
    jobs: int = 0  #: that were ever timed

    def with_one_more(self, duration: float) -> Estimate:
        """What is no duration teaches nothing."""
        if not _SHORTEST <= duration <= _LONGEST:
            return self
        kept = (*self.durations, round(duration, 1))[-MOST_KEPT:]
        return replace(self, durations=kept, jobs=self.jobs + 1)

    def forecast(self) -> Forecast | None:
        """For the next job of the kind; None while too little is known."""
        count = len(self.durations)
        if count < FEWEST:
            return None
        ordered = sorted(self.durations)
        steps = min(count, _MOST_QUANTILES) - 1
        quantiles = tuple(ordered[round(step * (count - 1) / steps)] for step in range(steps + 1))
        return Forecast(quantiles)


@dataclass(frozen=True)
class Forecast:
    """When a job is likely to be generated, in seconds from its submission. Small: each job's row holds one.

    Between two neighbouring `quantiles` lie equally many of the durations that it was learned from.
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
        """When a job that is not generated after `passed` seconds will be; None where none took so long."""
        left = [quantile for quantile in self.quantiles if quantile > passed]
        return statistics.median(left) if left else None

    def progress(self, passed: float) -> int:
        """Percent, from 0 to 95: slower and slower once a job takes longer than most."""
        typical, late = self.typical, max(self.late, self.typical + _NARROWEST)
        if passed <= typical:
            return int(_TYPICAL_PERCENT * max(passed, 0.0) / typical)
        share = min((passed - typical) / (late - typical), 1.0)
        return int(_TYPICAL_PERCENT + (_LATE_PERCENT - _TYPICAL_PERCENT) * share)
