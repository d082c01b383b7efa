"""Claims on backend jobs, in Table Storage: the job that inserts the row owns the backend job.

The keys are hashes: a backend's ids are opaque, and a key can't hold `/ \\ # ?`. In the transaction that writes a claim,
a note is written under its job's id, by which a job's claims are found.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import AzureError
from azure.data.tables import TableErrorCode, TableServiceClient

from video_jobs.domain.backend_job import unpacked_id
from video_jobs.domain.errors import Conflict
from video_jobs.ports import Claim
from video_jobs.storage.connection import error_code, may_be_done, transact, translated
from video_jobs.storage.etag_rows import GuardedRows, Row, with_write_id
from video_jobs.storage.unreadable import read_as, text

CLAIMS_TABLE = "videoclaims"

_MOST_TRIES = 20  # each lost race means that another job handed over or released the claim, which is rare
_CHANGED_MEANWHILE = (
    TableErrorCode.ENTITY_ALREADY_EXISTS.value,
    TableErrorCode.UPDATE_CONDITION_NOT_SATISFIED.value,
    TableErrorCode.RESOURCE_NOT_FOUND.value,
    TableErrorCode.ENTITY_NOT_FOUND.value,
)


class TableClaims:
    """See `ports.Claims`."""

    def __init__(self, service: TableServiceClient) -> None:
        self._table = service.get_table_client(CLAIMS_TABLE)
        self._rows = GuardedRows(self._table)

    def claim(self, claim: Claim) -> Claim:
        what = f"claiming a backend's job for {claim.job_id}"
        for _ in range(_MOST_TRIES):
            if self._write(what, claim, ("create", _row(claim)), ("upsert", _note(claim))):
                return claim
            holder = self.find(claim.base_url, claim.backend_job_id)
            if holder is not None:
                return holder
        raise _too_often(claim)

    def find(self, base_url: str, backend_job_id: str) -> Claim | None:
        row = self._read(base_url, backend_job_id)
        return None if row is None else _from_row(row.fields)

    def of_job(self, job_id: str, base_url: str | None = None) -> list[Claim]:
        wanted, parameters = (
            "RowKey ge @first and RowKey lt @end",
            {"first": f"{job_id}_", "end": f"{job_id}`"},
        )
        if base_url is not None:
            wanted, parameters = (
                f"PartitionKey eq @address and {wanted}",
                {**parameters, "address": _partition(base_url)},
            )
        with translated(f"looking for what {job_id} has claimed"):
            return [_from_row(note) for note in self._table.query_entities(wanted, parameters=parameters)]

    def hand_over(self, claim: Claim, from_job_id: str) -> Claim:
        what, before = f"handing a backend's job over to {claim.job_id}", claim._replace(job_id=from_job_id)
        for _ in range(_MOST_TRIES):
            row = self._read(claim.base_url, claim.backend_job_id)
            if row is None:
                return self.claim(claim)
            holder = _from_row(row.fields)
            is_ours = holder.job_id == claim.job_id  # handed over before a crash
            if is_ours or (holder.owner, holder.job_id) != (claim.owner, from_job_id):
                return holder
            operations = (
                ("update", _row(claim), _unchanged(row)),
                ("upsert", _note(claim)),
                ("delete", _note(before)),
            )
            if self._write(what, claim, *operations):
                return claim
        raise _too_often(claim)

    def release(self, claim: Claim) -> None:
        what = f"releasing what {claim.job_id} had claimed"
        for _ in range(_MOST_TRIES):
            row = self._read(claim.base_url, claim.backend_job_id)
            if row is None or _from_row(row.fields).job_id != claim.job_id:
                return
            if self._write(what, None, ("delete", _row(claim), _unchanged(row)), ("delete", _note(claim))):
                return
        raise _too_often(claim)

    def _write(self, what: str, holder: Claim | None, *operations: Any) -> bool:
        """Change the claim's owner in one transaction. False if the rows have changed since they were read."""
        with translated(what):
            try:
                transact(self._table, operations)
            except AzureError as error:
                if error_code(error) in _CHANGED_MEANWHILE:
                    return False
                keys = operations[0][1]
                if not may_be_done(error) or self.find(keys["base_url"], keys["backend_job_id"]) != holder:
                    raise
        return True

    def _read(self, base_url: str, backend_job_id: str) -> Row | None:
        keys = _partition(base_url), _hash(unpacked_id(backend_job_id))
        return self._rows.get(*keys, "looking for who has claimed a backend's job")


def _too_often(claim: Claim) -> Conflict:
    return Conflict(f"The claim of {claim.job_id} was changed by somebody else {_MOST_TRIES} times in a row")


def _partition(base_url: str) -> str:
    return _hash(base_url)[:32]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _unchanged(row: Row) -> dict[str, Any]:
    return {"etag": row.etag, "match_condition": MatchConditions.IfNotModified}


def _row(claim: Claim) -> dict[str, Any]:
    return with_write_id(
        {
            "PartitionKey": _partition(claim.base_url),
            "RowKey": _hash(unpacked_id(claim.backend_job_id)),
            "base_url": claim.base_url,
            "backend_job_id": claim.backend_job_id,
            "owner": claim.owner,
            "job_id": claim.job_id,
        }
    )


def _note(claim: Claim) -> dict[str, Any]:
    return {**_row(claim), "RowKey": f"{claim.job_id}_{_hash(unpacked_id(claim.backend_job_id))}"}


def _from_row(fields: Mapping[str, Any]) -> Claim:
    with read_as("claim", fields):
        return Claim(*(text(fields, name) for name in ("base_url", "backend_job_id", "owner", "job_id")))
