"""Whose a backend's job is, in Table Storage: whoever inserts the row owns it.

The keys are hashes: a backend's ids are opaque, and a key can't hold `/ \\ # ?`. Beside each claim lies a note
under the job's id, written before it and removed after it, so that a job's claims can be found. A note without
its claim means nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from azure.data.tables import TableServiceClient, UpdateMode

from video_jobs.domain.errors import Conflict
from video_jobs.ports import Claim
from video_jobs.storage.connection import translated
from video_jobs.storage.etag_rows import GuardedRows, Row

CLAIMS_TABLE = "videoclaims"

_MOST_TRIES = 20  # each lost race is somebody else's hand-over or release, and those are rare


class TableClaims:
    """See `ports.Claims`."""

    def __init__(self, service: TableServiceClient) -> None:
        self._table = service.get_table_client(CLAIMS_TABLE)
        self._rows = GuardedRows(self._table)

    def claim(self, claim: Claim) -> Claim:
        what = f"claiming a backend's job for {claim.job_id}"
        self._note(claim)
        for _ in range(_MOST_TRIES):
            try:
                self._rows.insert(_to_row(claim), what)
            except Conflict:
                holder = self.find(claim.base_url, claim.backend_job_id)
                if holder is not None:
                    if holder.job_id != claim.job_id:
                        self._forget(claim)
                    return holder
            else:
                return claim
        raise _too_often(claim)

    def find(self, base_url: str, backend_job_id: str) -> Claim | None:
        row = self._read(base_url, backend_job_id)
        return None if row is None else _from_row(row)

    def of_job(self, job_id: str) -> list[Claim]:
        with translated(f"looking for what {job_id} has claimed"):
            notes = list(self._table.query_entities("PartitionKey eq @job", parameters={"job": job_id}))
        found = [self.find(note["base_url"], note["backend_job_id"]) for note in notes]
        return [claim for claim in found if claim is not None and claim.job_id == job_id]

    def hand_over(self, claim: Claim, from_job_id: str) -> Claim:
        what = f"handing a backend's job over to {claim.job_id}"
        self._note(claim)
        for _ in range(_MOST_TRIES):
            row = self._read(claim.base_url, claim.backend_job_id)
            try:
                if row is None:
                    self._rows.insert(_to_row(claim), what)
                    return claim
                holder = _from_row(row)
                if (holder.job_id, holder.owner) != (from_job_id, claim.owner):
                    if holder.job_id != claim.job_id:
                        self._forget(claim)
                    return holder
                self._rows.replace(_to_row(claim), row.etag, what)
            except Conflict:
                continue
            self._forget(replace(claim, job_id=from_job_id))
            return claim
        raise _too_often(claim)

    def release(self, claim: Claim) -> None:
        partition, key = _keys(claim.base_url, claim.backend_job_id)
        for _ in range(_MOST_TRIES):
            row = self._read(claim.base_url, claim.backend_job_id)
            if row is None or _from_row(row).job_id != claim.job_id:
                break
            try:
                self._rows.delete(partition, key, row.etag, f"releasing what {claim.job_id} had claimed")
            except Conflict:
                continue
            break
        else:
            raise _too_often(claim)
        self._forget(claim)

    def _note(self, claim: Claim) -> None:
        with translated(f"noting what {claim.job_id} claims"):
            names = {"base_url": claim.base_url, "backend_job_id": claim.backend_job_id}
            self._table.upsert_entity({**_note_keys(claim), **names}, mode=UpdateMode.REPLACE)

    def _forget(self, claim: Claim) -> None:
        keys = _note_keys(claim)
        with translated(f"forgetting what {claim.job_id} had claimed"):
            self._table.delete_entity(keys["PartitionKey"], keys["RowKey"])

    def _read(self, base_url: str, backend_job_id: str) -> Row | None:
        return self._rows.get(*_keys(base_url, backend_job_id), "looking for who has claimed a backend's job")


def _too_often(claim: Claim) -> Conflict:
    return Conflict(f"The claim of {claim.job_id} was changed by somebody else again and again")


def _keys(base_url: str, backend_job_id: str) -> tuple[str, str]:
    return _hash(base_url)[:32], _hash(backend_job_id)


def _note_keys(claim: Claim) -> dict[str, str]:
    return {"PartitionKey": claim.job_id, "RowKey": "_".join(_keys(claim.base_url, claim.backend_job_id))}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _to_row(claim: Claim) -> dict[str, Any]:
    partition, key = _keys(claim.base_url, claim.backend_job_id)
    return {
        "PartitionKey": partition,
        "RowKey": key,
        "base_url": claim.base_url,
        "backend_job_id": claim.backend_job_id,
        "owner": claim.owner,
        "job_id": claim.job_id,
    }


def _from_row(row: Row) -> Claim:
    fields = row.fields
    return Claim(fields["base_url"], fields["backend_job_id"], fields["owner"], fields["job_id"])
