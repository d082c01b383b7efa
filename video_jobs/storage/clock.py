"""The time by the storage service's clock, which all instances share: it decides when a message becomes visible and how long
a signed URL is valid. An instance's own clock may be wrong, or jump: jobs would then stand still, be given up during their
paid call, or be deleted before their retention is over.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from video_jobs.domain.logs import log_event
from video_jobs.net.told import header_date

log = logging.getLogger("reelkeep.storage")

_SENT = "reelkeep_sent"
_NOT_EXACT = 1.0  # seconds: a Date is in whole seconds, and a server may make one for all answers of a second
_WORTH_TELLING = 5  # seconds


class _Range(NamedTuple):
    """Seconds."""

    least: float
    most: float

    @property
    def middle(self) -> float:
        return (self.least + self.most) / 2

    def has(self, seconds: float) -> bool:
        return self.least <= seconds <= self.most

    def within(self, other: _Range) -> _Range | None:
        both = _Range(max(self.least, other.least), min(self.most, other.most))
        return both if both.least <= both.most else None


def _ticks() -> float:
    """Seconds, which no change of the machine's clock changes. They count while the machine sleeps, where the system can tell."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class StorageClock:
    """This machine's clock, as long as the answers of storage allow it; else the time that they tell, to a second or two."""

    def __init__(self, machine: Callable[[], float] = time.time, ticks: Callable[[], float] = _ticks) -> None:
        self._machine, self._ticks = machine, ticks
        self._lock = threading.Lock()
        self._allowed = _Range(-math.inf, math.inf)  # what may be added to the ticks
        self._doubted: _Range | None = None  # by the last answer, if it contradicts those before it
        self._added: float | None = None
        self._differs = False

    def __call__(self) -> datetime:
        added = self._added
        return datetime.fromtimestamp(self._machine() if added is None else self._ticks() + added, UTC)

    def sends(self, request: Any) -> None:
        """A call is about to be made: the SDKs' `raw_request_hook`."""
        request.context[_SENT] = self._ticks()

    def hears(self, response: Any) -> None:
        """An answer of storage has come."""
        date, sent, now = (
            header_date(response.http_response.headers),
            response.context.get(_SENT),
            self._ticks(),
        )
        if date is None or sent is None:
            return
        told = _Range(date.timestamp() - _NOT_EXACT - now, date.timestamp() + 1 + _NOT_EXACT - sent)
        with self._lock:
            own, allowed = self._machine() - now, self._allowed.within(told)
            if allowed is None and told.has(own):  # both clocks say so: the ticks stood still in between
                allowed = told
            elif allowed is None:  # a clock has changed, if the next answer says the same
                allowed = self._doubted.within(told) if self._doubted is not None else None
            self._doubted = told if allowed is None else None
            self._allowed = allowed or self._allowed
            known = (each for each in (own, self._added) if each is not None and self._allowed.has(each))
            self._added = next(known, self._allowed.middle)
            off, differed = round(own - self._added), self._differs
            self._differs = abs(off) > _WORTH_TELLING
        if self._differs and not differed:
            log_event(
                log,
                logging.WARNING,
                "storage.clock_differs",
                seconds=off,
                problem="This machine's clock is not storage's. The app goes by storage's.",
            )
