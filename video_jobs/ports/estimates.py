"""How long jobs took."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from video_jobs.domain.estimate import Estimate, JobKind


class StoredEstimate(NamedTuple):
    """An estimate as it was read; `etag` is None if there is no row yet."""

    estimate: Estimate
    etag: str | None


class Estimates(Protocol):
    """How long jobs of each kind took."""

    def get(self, kind: JobKind) -> StoredEstimate:
        """An estimate without durations if nothing is known yet."""

    def save(self, stored: StoredEstimate, estimate: Estimate) -> StoredEstimate:
        """Raises Conflict when the row has changed since `stored` was read."""

    def of_backend(self, backend: str, most: int) -> list[Estimate]:
        """Up to so many of the stored ones."""
