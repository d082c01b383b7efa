"""The jobs in line, as this process knows them. They are read from the table every few seconds, however many requests ask.

What this process itself changes is known at once; what others change, a few seconds later.
"""

from __future__ import annotations

import bisect
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

_KEPT = 5.0  # seconds


class _Keys(NamedTuple):
    ordered: list[str]
    read_at: float


class KnownLines:
    """The keys of the waiting jobs, by backend. `read` gives them in order."""

    def __init__(self, read: Callable[[str], list[str]], now: Callable[[], float] = time.monotonic) -> None:
        self._read, self._now = read, now
        self._lock = threading.Lock()
        self._known: dict[str, _Keys] = {}

    def before(self, backend: str, key: str) -> int:
        """How many jobs wait for this backend with a smaller key."""
        with self._lock:
            known = self._known.get(backend)
            if known is not None and self._now() - known.read_at < _KEPT:
                return bisect.bisect_left(known.ordered, key)
        known = _Keys(self._read(backend), self._now())
        with self._lock:
            self._known[backend] = known
            return bisect.bisect_left(known.ordered, key)

    def note(self, backend: str, key: str, *, waits: bool) -> None:
        with self._lock:
            known = self._known.get(backend)
            if known is None:
                return
            at = bisect.bisect_left(known.ordered, key)
            is_known = known.ordered[at : at + 1] == [key]
            if waits and not is_known:
                known.ordered.insert(at, key)
            elif is_known and not waits:
                del known.ordered[at]
