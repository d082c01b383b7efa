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
from typing import Any

from video_jobs.domain.logs import log_event
from video_jobs.net.told import header_date

log = logging.getLogger("reelkeep.storage")

_SENT = "reelkeep_sent"
_NOT_EXACT = 1.0  # seconds: a Date is in whole seconds, and a server may make one for all answers of a second


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
        self._least, self._most = -math.inf, math.inf  # what may be added to the ticks
        self._added: float | None = None
        self._differs = False

    def __call__(self) -> datetime:
        added = self._added
        return datetime.fromtimestamp(self._machine() if added is None else self._ticks() + added, UTC)

    def _allows(self, added: float) -> bool:
        return self._least <= added <= self._most

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
        least, most = date.timestamp() - _NOT_EXACT - now, date.timestamp() + 1 + _NOT_EXACT - sent
        with self._lock:
            before = self._least, self._most
            self._least, self._most = max(least, before[0]), min(most, before[1])
            if self._least > self._most:  # a clock has changed
                self._least, self._most = least, most
            own = self._machine() - now
            middle = (self._least + self._most) / 2
            known = (each for each in (own, self._added) if each is not None and self._allows(each))
            self._added = next(known, middle)
            off, differed = round(own - self._added), self._differs
            self._differs = abs(off) > 1
        if self._differs and not differed:
            log_event(
                log,
                logging.WARNING,
                "storage.clock_differs",
                seconds=off,
                problem="This machine's clock is not storage's. The app goes by storage's.",
            )
