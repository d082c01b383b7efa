"""Jobs and idempotency keys in Table Storage, an owner's in one partition."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import AzureError
from azure.data.tables import (
    TableClient,
    TableErrorCode,
    TableServiceClient,
    UpdateMode,
)

from video_jobs.domain.errors import Conflict, JobNotFound, NewerVersion, UnreadableRow
from video_jobs.domain.ids import POSITIONS, id_at, is_job_id, lowest_id_at, position_of
from video_jobs.domain.job import Job, Status
from video_jobs.domain.logs import log_event
from video_jobs.domain.quota import Quota
from video_jobs.ports import Allowance, IdempotencyEntry, JobPage, StoredJob, StoredQuota
from video_jobs.ports.jobs import MOST_PASSED
from video_jobs.storage.claims import CLAIMS_TABLE
from video_jobs.storage.connection import ONCE, error_code, may_be_done, transact, translated
from video_jobs.storage.disabled_webhooks import HOOKS_TABLE
from video_jobs.storage.estimates import ESTIMATES_TABLE
from video_jobs.storage.etag_rows import GuardedRows, RowGone, with_write_id
from video_jobs.storage.gates import GATES_TABLE
from video_jobs.storage.job_rows import from_row, to_row
from video_jobs.storage.live_jobs import LIVE_TABLE
from video_jobs.storage.oldest_first import last_rows
from video_jobs.storage.quota_rows import QUOTA_KEY, from_quota_row, to_quota_row
from video_jobs.storage.schema import refuse_newer
from video_jobs.storage.unreadable import read_as, text

log = logging.getLogger("reelkeep.storage")

JOBS_TABLE = "videojobs"

_KEY_END = "key`"
_KEY_PREFIX = "key_"  # of idempotency rows, which share the partition with the owner's jobs
_REFUSED_BY_WHAT_IS_THERE = (
    TableErrorCode.ENTITY_ALREADY_EXISTS.value,
    TableErrorCode.UPDATE_CONDITION_NOT_SATISFIED.value,
)
_TERMINAL = frozenset(status for status in Status if status.is_terminal)
_WINDOW = 1000  # rows; the service gives no more at once
_MILLISECOND = timedelta(milliseconds=1)
_OF_BACKEND = "backend ge @named and backend lt @beyond"
_JOB_PREFIX, _JOB_END = "job_", "job`"  # '`' comes after '_': the end of the range of job ids


class TableJobs:
    """See `ports.JobStore`."""

    def __init__(self, service: TableServiceClient) -> None:
        self._table: TableClient = service.get_table_client(JOBS_TABLE)
        self._rows = GuardedRows(self._table)

    def insert(
        self, job: Job, entry: IdempotencyEntry | None, allowance: Allowance | None = None
    ) -> StoredJob | IdempotencyEntry:
        operations: list[Any] = [("create", with_write_id(to_row(job)))]
        if entry is not None:
            operations.append(_operation(_entry_row(entry), entry.etag))
        if allowance is not None:
            operations.append(_quota_operation(allowance))
        with translated(f"storing {job.id}"):
            try:
                results = transact(self._table, operations)
            except AzureError as error:
                refused = error_code(error) in _REFUSED_BY_WHAT_IS_THERE
                if not refused and not may_be_done(error):
                    raise
                # Nobody else knows this id yet, so a row with it is the one that we wrote.
                found = self._read(job.owner, job.id)
                if found is not None:
                    return found
                winner = self.find_entry(job.owner, entry.key_hash) if refused and entry else None
                if winner is not None and entry is not None and winner.etag != entry.etag:
                    return winner
                if refused and allowance is not None:
                    raise Conflict(
                        f"Somebody else changed the owner's quota while storing {job.id}"
                    ) from None
                raise
        return StoredJob(job, results[0]["etag"])

    def get(self, owner: str, job_id: str) -> StoredJob:
        stored = self._read(owner, job_id)
        if stored is None:
            raise JobNotFound(job_id)
        return stored

    def save(self, stored: StoredJob, job: Job) -> StoredJob:
        try:
            return StoredJob(job, self._rows.replace(to_row(job), stored.etag, f"saving {job.id}"))
        except RowGone as error:
            raise JobNotFound(job.id) from error

    def delete(self, stored: StoredJob) -> None:
        job = stored.job
        self._rows.delete(job.owner, job.id, stored.etag, f"deleting {job.id}")

    def find_entry(self, owner: str, key_hash: str) -> IdempotencyEntry | None:
        row = self._rows.get(owner, _KEY_PREFIX + key_hash, "looking an idempotency key up")
        if row is None:
            return None
        return _entry_of(row.fields, row.etag)

    def save_entry(self, entry: IdempotencyEntry) -> None:
        self._rows.replace(_entry_row(entry), entry.etag or "", "saving an idempotency key")

    def entries_before(self, moment: datetime) -> Iterator[IdempotencyEntry]:
        wanted = "PartitionKey eq @owner and RowKey ge @first and RowKey lt @end and job_id ge @oldest"
        with translated("looking for old idempotency keys"):
            for owner in self._owners():
                parameters = {
                    "owner": owner,
                    "first": _KEY_PREFIX,
                    "end": _KEY_END,
                    "oldest": lowest_id_at(moment),
                }
                for row in self._table.query_entities(wanted, parameters=parameters):
                    if (entry := _readable_entry(row)) is not None:
                        yield entry

    def delete_entry(self, entry: IdempotencyEntry) -> None:
        key, what = _KEY_PREFIX + entry.key_hash, "deleting an idempotency key"
        self._rows.delete(entry.owner, key, entry.etag or "", what)

    def quota(self, owner: str) -> StoredQuota:
        row = self._rows.get(owner, QUOTA_KEY, "reading an owner's quota")
        return (
            StoredQuota(owner, Quota(), None)
            if row is None
            else StoredQuota(owner, from_quota_row(row.fields), row.etag)
        )

    def save_quota(self, stored: StoredQuota, quota: Quota) -> None:
        row, what = to_quota_row(stored.owner, quota), "saving an owner's quota"
        if stored.etag is None:
            self._rows.insert(row, what)
        else:
            self._rows.replace(row, stored.etag, what)

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
        first, end = _JOB_PREFIX, _JOB_END
        if made is not None:
            first, end = (lowest_id_at(moment - _MILLISECOND) for moment in reversed(made))
        # '!' sorts before every character of an id.
        begin = f"{after}!" if after and after >= first else first
        wanted = [_any_of(statuses)] if statuses else []
        if backend is not None:
            wanted.append(_OF_BACKEND)
        jobs: list[Job] = []
        with translated("listing jobs"):
            for start, stop, is_last in self._windows(owner, begin, end, whole=not wanted):
                for row in self._range(owner, start, stop, wanted, backend, limit + 1):
                    if "deleted_at" in row:  # a query can't ask for rows without a property
                        continue
                    if len(jobs) == limit:
                        return JobPage(jobs, jobs[-1].id)
                    if (job := _readable(row)) is not None:
                        jobs.append(job)
                if is_last and stop != end:
                    return JobPage(jobs, stop.removesuffix("!"))
        return JobPage(jobs, None)

    def _windows(self, owner: str, begin: str, end: str, *, whole: bool) -> Iterator[tuple[str, str, bool]]:
        """Ranges of keys to read, each of a thousand rows at most, and whether it is the last.

        Without ranges, a filter that few jobs pass would read all jobs that were ever made.
        """
        passed, start = 0, begin
        while not whole:
            keys = self._table.query_entities(
                "PartitionKey eq @owner and RowKey ge @start and RowKey lt @end",
                parameters={"owner": owner, "start": start, "end": end},
                select=["RowKey"],
                results_per_page=_WINDOW,
            )
            found = [row["RowKey"] for row in itertools.islice(keys, _WINDOW)]
            passed += len(found)
            if len(found) < _WINDOW:
                break
            stop = f"{found[-1]}!"
            yield start, stop, passed >= MOST_PASSED
            if passed >= MOST_PASSED:
                return
            start = stop
        yield start, end, True

    def _range(
        self, owner: str, start: str, stop: str, wanted: list[str], backend: str | None, per_page: int
    ) -> Iterable[dict[str, Any]]:
        # The backend's column is JSON that begins with its name.
        name = json.dumps(backend, ensure_ascii=False)
        return self._table.query_entities(
            " and ".join(["PartitionKey eq @owner", "RowKey ge @start", "RowKey lt @stop", *wanted]),
            parameters={
                "owner": owner,
                "start": start,
                "stop": stop,
                "named": f'{{"name":{name},',
                "beyond": f'{{"name":{name}-',
            },
            results_per_page=per_page,
        )

    def page_oldest_first(self, owner: str, *, limit: int, after: str | None) -> JobPage:
        jobs: list[Job] = []
        end = POSITIONS if after is None else position_of(after)
        with translated("listing jobs"):
            while last := last_rows(partial(self._positions, owner), end, limit + 1):
                for row in reversed(self._between(owner, last[0], end)):
                    if "deleted_at" in row:
                        continue
                    if len(jobs) == limit:
                        return JobPage(jobs, jobs[-1].id)
                    if (job := _readable(row)) is not None:
                        jobs.append(job)
                if len(last) <= limit:
                    break
                end = last[0]
        return JobPage(jobs, None)

    def ended_before(self, moment: datetime, limit: int) -> list[StoredJob]:
        with translated("looking for jobs that ended long ago"):
            return [
                stored
                for owner in self._owners()
                for stored in itertools.islice(self._ended(owner, moment), limit)
            ]

    def _ended(self, owner: str, moment: datetime) -> Iterator[StoredJob]:
        for stored in self._ended_and_made_before(owner, moment):
            if stored.job.finished_at is not None and stored.job.finished_at < moment:
                yield stored

    def ping(self) -> None:
        with translated("reading the table of jobs"):
            next(iter(self._table.query_entities("PartitionKey eq ''", results_per_page=1, **ONCE)), None)

    def _read(self, owner: str, job_id: str) -> StoredJob | None:
        row = self._rows.get(owner, job_id, f"reading {job_id}")
        return None if row is None else StoredJob(from_row(row.fields), row.etag)

    def _positions(self, owner: str, low: int, high: int, most: int) -> list[int]:
        """The keys of the first jobs between the two, both excluded, in one call."""
        wanted = "PartitionKey eq @owner and RowKey gt @low and RowKey lt @high"
        parameters = {
            "owner": owner,
            "low": id_at(low) if low >= 0 else _JOB_PREFIX,
            "high": id_at(high) if high < POSITIONS else _JOB_END,
        }
        rows = self._table.query_entities(
            wanted, parameters=parameters, select=["RowKey"], results_per_page=most
        )
        keys = (row["RowKey"] for row in rows)
        return [position_of(key) for key in itertools.islice(filter(is_job_id, keys), most)]

    def _between(self, owner: str, first: int, end: int) -> list[dict[str, Any]]:
        wanted = "PartitionKey eq @owner and RowKey ge @first and RowKey lt @end"
        parameters = {
            "owner": owner,
            "first": id_at(first),
            "end": id_at(end) if end < POSITIONS else _JOB_END,
        }
        return list(self._table.query_entities(wanted, parameters=parameters))

    def _owners(self) -> Iterator[str]:
        """The owners in order. It reads one row of each, however many jobs they have."""
        wanted, parameters = "", dict[str, str]()
        while True:
            rows = self._table.query_entities(
                wanted, parameters=parameters, select=["PartitionKey"], results_per_page=1
            )
            first = next(iter(rows), None)
            if first is None:
                return
            yield first["PartitionKey"]
            wanted, parameters = "PartitionKey gt @last", {"last": first["PartitionKey"]}

    def _ended_and_made_before(self, owner: str, moment: datetime) -> Iterator[StoredJob]:
        """Jobs created before a time are a range of the owner's keys, so newer jobs are not read."""
        rows = self._table.query_entities(
            f"PartitionKey eq @owner and RowKey ge @first and RowKey lt @end and {_any_of(_TERMINAL)}",
            parameters={"owner": owner, "first": lowest_id_at(moment), "end": _JOB_END},
        )
        for row in rows:
            if "deleted_at" in row:
                continue
            if (job := _readable(row)) is not None:
                yield StoredJob(job, str(row.metadata["etag"]))


def create_tables(service: TableServiceClient) -> None:
    with translated("creating the tables"):
        for name in (JOBS_TABLE, LIVE_TABLE, CLAIMS_TABLE, GATES_TABLE, ESTIMATES_TABLE, HOOKS_TABLE):
            service.create_table_if_not_exists(name)


def _readable(row: Any) -> Job | None:
    """None for a row that this version can't read. It may be a newer version's, which then handles it."""
    try:
        return from_row(row)
    except UnreadableRow as error:
        log_event(
            log,
            logging.WARNING,
            "storage.job_unreadable",
            job_id=row["RowKey"],
            owner=row["PartitionKey"],
            problem=error,
        )
        return None


def _any_of(statuses: frozenset[Status]) -> str:
    return "(" + " or ".join(f"status eq '{status}'" for status in sorted(statuses)) + ")"


def _quota_operation(allowance: Allowance) -> Any:
    read = allowance.read
    return _operation(to_quota_row(read.owner, allowance.quota), read.etag)


def _operation(fields: dict[str, Any], etag: str | None) -> Any:
    """Of a transaction: create the row, or replace the one that was read."""
    row = with_write_id(fields)
    if etag is None:
        return ("create", row)
    unchanged = {"etag": etag, "match_condition": MatchConditions.IfNotModified}
    return ("update", row, {"mode": UpdateMode.REPLACE, **unchanged})


def _entry_of(fields: Mapping[str, Any], etag: str) -> IdempotencyEntry:
    """Raises UnreadableRow."""
    key_hash = fields["RowKey"].removeprefix(_KEY_PREFIX)
    with read_as("idempotency key", fields):
        request_hash, job_id = text(fields, "request_hash"), text(fields, "job_id")
    return IdempotencyEntry(fields["PartitionKey"], key_hash, request_hash, job_id, etag)


def _readable_entry(row: Any) -> IdempotencyEntry | None:
    with contextlib.suppress(NewerVersion):
        refuse_newer(row, "looking for old idempotency keys")
        try:
            return _entry_of(row, str(row.metadata["etag"]))
        except UnreadableRow as error:
            log_event(
                log, logging.WARNING, "storage.key_unreadable", owner=row["PartitionKey"], problem=error
            )
    return None


def _entry_row(entry: IdempotencyEntry) -> dict[str, Any]:
    return {
        "PartitionKey": entry.owner,
        "RowKey": _KEY_PREFIX + entry.key_hash,
        "request_hash": entry.request_hash,
        "job_id": entry.job_id,
    }
