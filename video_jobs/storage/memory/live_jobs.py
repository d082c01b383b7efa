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
            rows = [row for _, row in sorted(self.rows.items()) if not row.waiting]
        return iter([row for row in rows if after is None or _key(row) > _key(after)])

    def line(self, backend: str, most: int) -> list[LiveJob]:
        return self._in_line(backend)[:most]

    def ahead_of(self, live: LiveJob, most: int) -> int:
        return min(sum(other.key < live.key for other in self._in_line(live.backend)), most)

    def _in_line(self, backend: str) -> list[LiveJob]:
        with self._lock:
            return [row for _, row in sorted(self.rows.items()) if row.backend == backend and row.waiting]


def _key(live: LiveJob) -> tuple[str, str]:
    return live.backend, live.key
