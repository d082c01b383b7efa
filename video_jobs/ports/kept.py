"""Rows that this process stored or read last, kept to save a read before the next write."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

from video_jobs.ports.estimates import StoredEstimate
from video_jobs.ports.gates import StoredGate
from video_jobs.ports.jobs import StoredJob

K = TypeVar("K", bound=Hashable)
V = TypeVar("V", StoredJob, StoredGate, StoredEstimate)

_MOST = 300  # the oldest is dropped first
_NOT_KEPT = 60.0  # seconds after a write on it was refused


class Kept(Generic[K, V]):
    """Rows by key, each with its ETag. A decision from a kept row is valid only after a write under that ETag has
    succeeded.

    If such a write is refused, other processes write the row, too. Then reading it first is cheaper, so it is not
    kept for a while.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: OrderedDict[K, tuple[V, float]] = OrderedDict()
        self._refused_at: dict[K, float] = {}

    def keep(self, key: K, stored: V) -> None:
        now = time.monotonic()
        with self._lock:
            if now - self._refused_at.get(key, -_NOT_KEPT) < _NOT_KEPT:
                return
            self._refused_at.pop(key, None)
            self._rows[key] = stored, now
            self._rows.move_to_end(key)
            if len(self._rows) > _MOST:
                self._rows.popitem(last=False)

    def of(self, key: K, seconds: float = float("inf")) -> V | None:
        """The row, if it was kept in the last `seconds`."""
        with self._lock:
            stored, kept_at = self._rows.get(key, (None, 0.0))
        return stored if time.monotonic() - kept_at <= seconds else None

    def take(self, key: K, seconds: float = float("inf")) -> V | None:
        """The same, and removes the row from here."""
        stored = self.of(key, seconds)
        with self._lock:
            self._rows.pop(key, None)
        return stored

    def refused(self, key: K) -> None:
        """A write under the row's ETag was refused."""
        with self._lock:
            self._rows.pop(key, None)
            self._refused_at[key] = time.monotonic()
            while len(self._refused_at) > _MOST:
                del self._refused_at[next(iter(self._refused_at))]
