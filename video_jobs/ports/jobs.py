"""Jobs, and what is stored in one transaction with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from video_jobs.domain.job import Job, Status
from video_jobs.domain.quota import Quota


class StoredJob(NamedTuple):
    """A job as it was read, with the ETag that the next write is conditional on."""

    job: Job
    etag: str


@dataclass(frozen=True)
class IdempotencyEntry:
    """The job and the request of a client's idempotency key."""

    owner: str
    key_hash: str
    request_hash: str
    job_id: str
    etag: str | None = field(default=None, compare=False)
    """Of the row as it was read; the next write is conditional on it. None if there is no row yet."""


MOST_PASSED = 3000
"""How many rows one page reads to find those that match a filter."""


class JobPage(NamedTuple):
    jobs: list[Job]
    after: str | None  #: the next page begins after this job id, which may not be in `jobs`; None: no more


class StoredQuota(NamedTuple):
    """An owner's quota as it was read; `etag` is None if there is no row yet."""

    owner: str
    quota: Quota
    etag: str | None


class Allowance(NamedTuple):
    """The owner's quota as it was read, and as it is with one more job."""

    read: StoredQuota
    quota: Quota


class JobStore(Protocol):
    def insert(
        self, job: Job, entry: IdempotencyEntry | None, allowance: Allowance | None = None
    ) -> StoredJob | IdempotencyEntry:
        """Store a new job, with its idempotency entry and its owner's quota in the same transaction.

        An entry with an ETag replaces the one that was read. If the key is taken, or its entry has changed since,
        gives the winner's entry and stores nothing. Raises Conflict, and stores nothing, when the quota has changed
        since it was read.
        """

    def get(self, owner: str, job_id: str) -> StoredJob:
        """Raises JobNotFound."""

    def save(self, stored: StoredJob, job: Job) -> StoredJob:
        """Raises Conflict when the row has changed since `stored` was read, JobNotFound when it is gone."""

    def delete(self, stored: StoredJob) -> None:
        """Raises Conflict when the row has changed since `stored` was read; no error if it is gone."""

    def find_entry(self, owner: str, key_hash: str) -> IdempotencyEntry | None: ...

    def save_entry(self, entry: IdempotencyEntry) -> None:
        """Replace the entry that was read, without a job. Raises Conflict when it has changed since."""

    def entries_before(self, moment: datetime) -> Iterator[IdempotencyEntry]:
        """The entries of all owners whose job was made before then, whether or not the job still exists."""

    def delete_entry(self, entry: IdempotencyEntry) -> None:
        """Raises Conflict when it has changed since it was read; no error if it is gone."""

    def quota(self, owner: str) -> StoredQuota:
        """An unused one if there is none yet."""

    def save_quota(self, stored: StoredQuota, quota: Quota) -> None:
        """Raises Conflict when the row has changed since `stored` was read."""

    def page(
        self,
        owner: str,
        *,
        limit: int,
        after: str | None,
        statuses: frozenset[Status],
        backend: str | None = None,
        made: tuple[datetime, datetime] | None = None,
    ) -> JobPage:
        """The owner's jobs, newest first, without those being deleted; an empty `statuses` means all.

        `made`: created from the first moment until before the second. If `statuses` or `backend` leave jobs out, at
        most `MOST_PASSED` rows are skipped: a page may be short or empty although there are more.
        """

    def page_oldest_first(self, owner: str, *, limit: int, after: str | None) -> JobPage:
        """The owner's jobs, oldest first; `after` names a job, and newer ones follow."""

    def ended_before(self, moment: datetime, limit: int) -> list[StoredJob]:
        """Up to `limit` jobs of each owner that ended before then and are not being deleted."""

    def ping(self) -> None:
        """Raises StorageUnavailable if it can't be used."""
