"""The rows of the gates."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from video_jobs.domain.gate import Gate


class StoredGate(NamedTuple):
    """A gate as it was read; `etag` is None if there is no row yet."""

    gate: Gate
    etag: str | None


class Gates(Protocol):
    def get(self, backend: str) -> StoredGate:
        """An open gate if there is none yet."""

    def save(self, stored: StoredGate, gate: Gate) -> StoredGate:
        """Raises Conflict when the row has changed since `stored` was read."""

    def all(self) -> list[Gate]: ...
