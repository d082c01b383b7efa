"""Jobs that have not ended."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from video_jobs.domain.job import Job


class LiveJob(NamedTuple):
    """A job that has not ended, as the sweeper and the line before a gate know it."""

    backend: str
    key: str  #: arrival time in milliseconds, then the id: in order of arrival
    owner: str
    job_id: str
    waiting: bool = False  #: for a slot at the gate

    @classmethod
    def of(cls, job: Job, *, waiting: bool = False) -> LiveJob:
        return cls(job.backend.name, job.live_key, job.owner, job.id, waiting)

    @property
    def arrived_at(self) -> datetime:
        return datetime.fromtimestamp(int(self.key.partition("_")[0]) / 1000, UTC)


class LiveJobs(Protocol):
    """One row for each job that the app has not finished; the sweeper reads them. Every call may be repeated."""

    def add(self, live: LiveJob) -> None:
        """Insert or replace."""

    def remove(self, live: LiveJob) -> None:
        """No error if it is gone."""

    def all(self, after: LiveJob | None = None) -> Iterator[LiveJob]:
        """The live jobs of every backend without those in line, in order of arrival for each backend. `after`: only
        those that follow this one."""

    def line(self, backend: str, most: int) -> list[LiveJob]:
        """The first of those that wait before this backend, in order of arrival."""

    def ahead_of(self, live: LiveJob, most: int) -> int:
        """How many jobs wait before the same backend and came earlier; counts up to `most`, and up to a thousand.
        Changes by other processes in the last few seconds may be missing."""
