"""Jobs and idempotency keys in Table Storage, an owner's in one partition."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import AzureError
from azure.data.tables import TableErrorCode, TableServiceClient, UpdateMode

from video_jobs.domain.errors import Conflict, JobNotFound, NewerVersion, UnreadableRow
from video_jobs.domain.ids import lowest_id_at
from video_jobs.domain.job import Job
from video_jobs.domain.logs import log_event
from video_jobs.domain.quota import Quota
from video_jobs.ports import Allowance, IdempotencyEntry, StoredJob, StoredQuota
from video_jobs.storage.claims import CLAIMS_TABLE
from video_jobs.storage.connection import ONCE, error_code, may_be_done, transact, translated
from video_jobs.storage.disabled_webhooks import HOOKS_TABLE
from video_jobs.storage.estimates import ESTIMATES_TABLE
from video_jobs.storage.etag_rows import GuardedRows, RowGone, with_write_id
from video_jobs.storage.gates import GATES_TABLE
from video_jobs.storage.job_pages import JobPages
from video_jobs.storage.job_rows import from_row, to_row
from video_jobs.storage.live_jobs import LIVE_TABLE
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


class TableJobs(JobPages):
    """See `ports.JobStore`."""

    def __init__(self, service: TableServiceClient) -> None:
        super().__init__(service.get_table_client(JOBS_TABLE))
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

    def ping(self) -> None:
        with translated("reading the table of jobs"):
            next(iter(self._table.query_entities("PartitionKey eq ''", results_per_page=1, **ONCE)), None)

    def _read(self, owner: str, job_id: str) -> StoredJob | None:
        row = self._rows.get(owner, job_id, f"reading {job_id}")
        return None if row is None else StoredJob(from_row(row.fields), row.etag)


def create_tables(service: TableServiceClient) -> None:
    with translated("creating the tables"):
        for name in (JOBS_TABLE, LIVE_TABLE, CLAIMS_TABLE, GATES_TABLE, ESTIMATES_TABLE, HOOKS_TABLE):
            service.create_table_if_not_exists(name)


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
