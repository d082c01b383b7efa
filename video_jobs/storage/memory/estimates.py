"""The twin of `storage/estimates.py`."""

from __future__ import annotations

import threading

from video_jobs.domain.errors import Conflict
from video_jobs.domain.estimate import Estimate, JobKind
from video_jobs.ports import StoredEstimate


class MemoryEstimates:
    """See `ports.Estimates`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._writes = 0
        self._estimates: dict[JobKind, StoredEstimate] = {}

    def get(self, kind: JobKind) -> StoredEstimate:
        with self._lock:
            return self._estimates.get(kind, StoredEstimate(Estimate(kind), None))

    def save(self, stored: StoredEstimate, estimate: Estimate) -> StoredEstimate:
        with self._lock:
            current = self._estimates.get(estimate.kind)
            if (current and current.etag) != stored.etag:
                raise Conflict("the estimate was changed by somebody else")
            self._writes += 1
            self._estimates[estimate.kind] = StoredEstimate(estimate, str(self._writes))
            return self._estimates[estimate.kind]

    def of_backend(self, backend: str, most: int) -> list[Estimate]:
        with self._lock:
            found = [one.estimate for kind, one in self._estimates.items() if kind.backend == backend]
        return found[:most]
