"""Jobs, idempotency keys and live jobs in Table Storage.

Every write bears a random id. The SDK repeats a request whose reply was lost, and the repeat then fails with
412 (update) or 409 (insert) although the first one was stored: so on a conflict the row is read again, and if
it bears our id, the write succeeded.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError, ServiceResponseError
from azure.data.tables import (
    TableClient,
    TableErrorCode,
    TableServiceClient,
    TableTransactionError,
    UpdateMode,
)

from video_jobs.errors import Conflict, JobNotFound
from video_jobs.job import Job, Status
from video_jobs.ports import IdempotencyEntry, JobPage, StoredJob
from video_jobs.storage.connection import error_code, translated
from video_jobs.storage.job_rows import from_row, to_row

JOBS_TABLE = "videojobs"
LIVE_TABLE = "livejobs"

_WRITE_ID = "write_id"
_KEY_PREFIX = "key_"  # of idempotency rows, which share the partition with the owner's jobs
_JOB_PREFIX, _JOB_END = "job_", "job`"  # '`' comes after '_': the end of the range of job ids


class TableJobs:
    """See `ports.JobStore`."""

    def __init__(self, service: TableServiceClient) -> None:
        self._table: TableClient = service.get_table_client(JOBS_TABLE)

    def insert(self, job: Job, entry: IdempotencyEntry | None) -> StoredJob | IdempotencyEntry:
        write_id = secrets.token_hex(8)
        row = {**to_row(job), _WRITE_ID: write_id}
        operations: list[Any] = [("create", row)]
        if entry is not None:
            operations.append(("create", _entry_row(entry, write_id)))
        with translated(f"storing {job.id}"):
            try:
                results = self._table.submit_transaction(operations)
            except (TableTransactionError, ServiceResponseError) as error:
                taken = error_code(error) == TableErrorCode.ENTITY_ALREADY_EXISTS.value
                winner = self.find_entry(job.owner, entry.key_hash) if taken and entry else None
                if winner is not None and winner.job_id != job.id:
                    return winner
                # Nobody else knows this id yet: a row that bears it is the one that we wrote.
                found = self._read(job.owner, job.id)
                if found is None:
                    raise
                return found[0]
        return StoredJob(job, results[0]["etag"])

    def get(self, owner: str, job_id: str) -> StoredJob:
        stored = self._read(owner, job_id)
        if stored is None:
            raise JobNotFound(job_id)
        return stored[0]

    def save(self, stored: StoredJob, job: Job) -> StoredJob:
        write_id = secrets.token_hex(8)
        with translated(f"saving {job.id}"):
            try:
                result = self._table.update_entity(
                    {**to_row(job), _WRITE_ID: write_id},
                    mode=UpdateMode.REPLACE,
                    etag=stored.etag,
                    match_condition=MatchConditions.IfNotModified,
                )
            except ResourceModifiedError:
                return self._own_write(job, write_id)
            except ResourceNotFoundError as error:
                raise JobNotFound(job.id) from error
        return StoredJob(job, str(result["etag"]))

    def find_entry(self, owner: str, key_hash: str) -> IdempotencyEntry | None:
        with translated("looking an idempotency key up"):
            try:
                row = self._table.get_entity(owner, _KEY_PREFIX + key_hash)
            except ResourceNotFoundError:
                return None
        return IdempotencyEntry(owner, key_hash, row["request_hash"], row["job_id"])

    def page(self, owner: str, *, limit: int, after: str | None, statuses: frozenset[Status]) -> JobPage:
        wanted = ["PartitionKey eq @owner", "RowKey gt @after", "RowKey lt @end"]
        if statuses:
            wanted.append("(" + " or ".join(f"status eq '{status}'" for status in sorted(statuses)) + ")")
        parameters = {"owner": owner, "after": after or _JOB_PREFIX, "end": _JOB_END}
        jobs: list[Job] = []
        with translated("listing jobs"):
            rows = self._table.query_entities(
                " and ".join(wanted), parameters=parameters, results_per_page=limit + 1
            )
            for row in rows:
                if len(jobs) == limit:
                    return JobPage(jobs, jobs[-1].id)
                jobs.append(from_row(row))
        return JobPage(jobs, None)

    def ping(self) -> None:
        with translated("reading the table of jobs"):
            next(iter(self._table.query_entities("PartitionKey eq ''", results_per_page=1)), None)

    def _own_write(self, job: Job, write_id: str) -> StoredJob:
        """After a conflict: the row, if what it holds is our own write. Raises Conflict if it isn't."""
        found = self._read(job.owner, job.id)
        if found is None:
            raise JobNotFound(job.id)
        if found[1].get(_WRITE_ID) != write_id:
            raise Conflict(f"{job.id} was changed by somebody else")
        return found[0]

    def _read(self, owner: str, job_id: str) -> tuple[StoredJob, Mapping[str, Any]] | None:
        with translated(f"reading {job_id}"):
            try:
                row = self._table.get_entity(owner, job_id)
            except ResourceNotFoundError:
                return None
        return StoredJob(from_row(row), str(row.metadata["etag"])), row


class TableLiveJobs:
    """See `ports.LiveJobs`. PartitionKey backend, RowKey arrival time and job id."""

    def __init__(self, service: TableServiceClient) -> None:
        self._table: TableClient = service.get_table_client(LIVE_TABLE)

    def add(self, job: Job) -> None:
        with translated(f"noting {job.id} as live"):
            self._table.upsert_entity(
                {
                    "PartitionKey": job.backend.name,
                    "RowKey": job.live_key,
                    "owner": job.owner,
                    "job_id": job.id,
                }
            )

    def remove(self, job: Job) -> None:
        with translated(f"removing {job.id} from the live jobs"):
            self._table.delete_entity(job.backend.name, job.live_key)  # succeeds where there is none


def create_tables(service: TableServiceClient) -> None:
    with translated("creating the tables"):
        for name in (JOBS_TABLE, LIVE_TABLE):
            service.create_table_if_not_exists(name)


def _entry_row(entry: IdempotencyEntry, write_id: str) -> dict[str, Any]:
    return {
        "PartitionKey": entry.owner,
        "RowKey": _KEY_PREFIX + entry.key_hash,
        "request_hash": entry.request_hash,
        "job_id": entry.job_id,
        _WRITE_ID: write_id,
    }
