"""The twin of `storage/live_jobs.py`."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from video_jobs.ports import LiveJob


class MemoryLiveJobs:
    """See `ports.LiveJobs`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.rows: dict[tuple[str, str], LiveJob] = {}

    @property
    def keys(self) -> set[tuple[str, str]]:
        """Backend and key of each."""
        with self._lock:
            return set(self.rows)

    def add(self, live: LiveJob) -> None:
        with self._lock:
            self.rows[live.backend, live.key] = live

    def remove(self, live: LiveJob) -> None:
        with self._lock:
            self.rows.pop((live.backend, live.key), None)

    def all(self, after: LiveJob | None = None) -> Iterator[LiveJob]:
        with self._lock:
            keys = sorted(self.rows)
            return iter([self.rows[key] for key in keys if after is None or key > (after.backend, after.key)])

    def line(self, backend: str, most: int) -> list[LiveJob]:
        return [live for live in self.all() if live.backend == backend and live.waiting][:most]

    def ahead_of(self, live: LiveJob, most: int) -> int:
        earlier = [other for other in self.all() if other.backend == live.backend and other.key < live.key]
        return min(sum(other.waiting for other in earlier), most)
