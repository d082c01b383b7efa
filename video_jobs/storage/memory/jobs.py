"""The twin of `storage/jobs.py`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from video_jobs.domain.errors import Conflict, JobNotFound
from video_jobs.domain.ids import lowest_id_at
from video_jobs.domain.job import Job, Status
from video_jobs.domain.quota import Quota
from video_jobs.ports import Allowance, IdempotencyEntry, JobPage, StoredJob, StoredQuota
from video_jobs.ports.jobs import MOST_PASSED


class MemoryJobs:
    """See `ports.JobStore`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[tuple[str, str], StoredJob] = {}
        self._entries: dict[tuple[str, str], IdempotencyEntry] = {}
        self._quotas: dict[str, StoredQuota] = {}
        self._writes = 0

    def insert(
        self, job: Job, entry: IdempotencyEntry | None, allowance: Allowance | None = None
    ) -> StoredJob | IdempotencyEntry:
        with self._lock:
            winner = self._entries.get((entry.owner, entry.key_hash)) if entry is not None else None
            if winner is not None and entry is not None and winner.etag != entry.etag:
                return winner
            if allowance is not None:
                self._write_quota(allowance.read, allowance.quota)
            if entry is not None:
                self._write_entry(entry)
            return self._write(job)

    def get(self, owner: str, job_id: str) -> StoredJob:
        with self._lock:
            if (owner, job_id) not in self._jobs:
                raise JobNotFound(job_id)
            return self._jobs[owner, job_id]

    def save(self, stored: StoredJob, job: Job) -> StoredJob:
        with self._lock:
            current = self._jobs.get((job.owner, job.id))
            if current is None:
                raise JobNotFound(job.id)
            if current.etag != stored.etag:
                raise Conflict(f"{job.id} was changed by somebody else")
            return self._write(job)

    def delete(self, stored: StoredJob) -> None:
        key = (stored.job.owner, stored.job.id)
        with self._lock:
            current = self._jobs.get(key)
            if current is None:
                return
            if current.etag != stored.etag:
                raise Conflict(f"{stored.job.id} was changed by somebody else")
            del self._jobs[key]

    def find_entry(self, owner: str, key_hash: str) -> IdempotencyEntry | None:
        with self._lock:
            return self._entries.get((owner, key_hash))

    def save_entry(self, entry: IdempotencyEntry) -> None:
        with self._lock:
            if self._entries[entry.owner, entry.key_hash].etag != entry.etag:
                raise Conflict("The idempotency entry was changed by somebody else")
            self._write_entry(entry)

    def entries_before(self, moment: datetime) -> Iterator[IdempotencyEntry]:
        with self._lock:
            found = list(self._entries.values())
        return iter([entry for entry in found if entry.job_id >= lowest_id_at(moment)])

    def delete_entry(self, entry: IdempotencyEntry) -> None:
        key = (entry.owner, entry.key_hash)
        with self._lock:
            if key in self._entries and self._entries[key].etag != entry.etag:
                raise Conflict("The idempotency entry was changed by somebody else")
            self._entries.pop(key, None)

    def quota(self, owner: str) -> StoredQuota:
        with self._lock:
            return self._quotas.get(owner) or StoredQuota(owner, Quota(), None)

    def save_quota(self, stored: StoredQuota, quota: Quota) -> None:
        with self._lock:
            self._write_quota(stored, quota)

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
        with self._lock:
            rest = [
                stored.job
                for (whose, job_id), stored in sorted(self._jobs.items())
                if whose == owner
                and job_id > (after or "")
                and (made is None or made[0] <= stored.job.created_at < made[1])
            ]
        is_cut = bool(statuses or backend) and len(rest) > MOST_PASSED
        read = rest[:MOST_PASSED] if is_cut else rest
        found = [
            job
            for job in read
            if (not statuses or job.status in statuses)
            and (backend is None or job.backend.name == backend)
            and job.deleted_at is None
        ]
        if len(found) > limit:
            return JobPage(found[:limit], found[limit - 1].id)
        return JobPage(found, read[-1].id if is_cut else None)

    def page_oldest_first(self, owner: str, *, limit: int, after: str | None) -> JobPage:
        with self._lock:
            found = [
                stored.job
                for (whose, job_id), stored in sorted(self._jobs.items(), reverse=True)
                if whose == owner and (after is None or job_id < after) and stored.job.deleted_at is None
            ]
        return JobPage(found[:limit], found[limit - 1].id if len(found) > limit else None)

    def ended_before(self, moment: datetime, limit: int) -> list[StoredJob]:
        with self._lock:
            stored = [self._jobs[key] for key in sorted(self._jobs)]
        found: list[StoredJob] = []
        for one in stored:
            of_owner = sum(other.job.owner == one.job.owner for other in found)
            if _ended_before(one.job, moment) and of_owner < limit:
                found.append(one)
        return found

    def ping(self) -> None:
        pass

    def everything(self) -> list[StoredJob]:
        """Of every owner; for tests that read what is left."""
        with self._lock:
            return list(self._jobs.values())

    def _write_entry(self, entry: IdempotencyEntry) -> None:
        self._writes += 1
        self._entries[entry.owner, entry.key_hash] = replace(entry, etag=str(self._writes))

    def _write_quota(self, read: StoredQuota, quota: Quota) -> None:
        current = self._quotas.get(read.owner)
        if (current.etag if current else None) != read.etag:
            raise Conflict(f"The quota of {read.owner} was changed by somebody else")
        self._writes += 1
        self._quotas[read.owner] = StoredQuota(read.owner, quota, str(self._writes))

    def _write(self, job: Job) -> StoredJob:
        self._writes += 1
        self._jobs[job.owner, job.id] = stored = StoredJob(job, str(self._writes))
        return stored


def _ended_before(job: Job, moment: datetime) -> bool:
    ended = job.is_terminal and job.deleted_at is None
    return ended and job.finished_at is not None and job.finished_at < moment
