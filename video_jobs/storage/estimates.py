"""How long jobs took, in Table Storage: one row for each kind, a backend's in one partition."""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
from collections.abc import Mapping
from typing import Any

from azure.data.tables import TableClient, TableServiceClient

from video_jobs.domain.errors import UnreadableRow
from video_jobs.domain.estimate import Estimate, JobKind, can_be_one
from video_jobs.domain.logs import log_event
from video_jobs.ports import StoredEstimate
from video_jobs.storage.connection import translated
from video_jobs.storage.etag_rows import GuardedRows
from video_jobs.storage.schema import refuse_newer
from video_jobs.storage.unreadable import read_as

log = logging.getLogger("reelkeep.storage")

ESTIMATES_TABLE = "videoestimates"


class TableEstimates:
    """See `ports.Estimates`."""

    def __init__(self, service: TableServiceClient) -> None:
        self._table: TableClient = service.get_table_client(ESTIMATES_TABLE)
        self._rows = GuardedRows(self._table)

    def get(self, kind: JobKind) -> StoredEstimate:
        row = self._rows.get(kind.backend, _key(kind), "reading how long jobs take")
        return (
            StoredEstimate(Estimate(kind), None)
            if row is None
            else StoredEstimate(_from_row(row.fields), row.etag)
        )

    def save(self, stored: StoredEstimate, estimate: Estimate) -> StoredEstimate:
        what = "saving how long a job took"
        if stored.etag is None:
            return StoredEstimate(estimate, self._rows.insert(_to_row(estimate), what))
        return StoredEstimate(estimate, self._rows.replace(_to_row(estimate), stored.etag, what))

    def of_backend(self, backend: str, most: int) -> list[Estimate]:
        with translated("reading how long jobs take"):
            rows = self._table.query_entities(
                "PartitionKey eq @backend", parameters={"backend": backend}, results_per_page=most
            )
            return [each for row in itertools.islice(rows, most) if (each := _readable(row)) is not None]


def _key(kind: JobKind) -> str:
    """A model's name may hold what a key can't."""
    model = hashlib.sha256(kind.model.encode("utf-8")).hexdigest()[:16]
    return f"{kind.size}_{kind.seconds}_{model}"


def _to_row(estimate: Estimate) -> dict[str, Any]:
    kind = estimate.kind
    return {
        "PartitionKey": kind.backend,
        "RowKey": _key(kind),
        "model": kind.model,
        "size": kind.size,
        "seconds": kind.seconds,
        "durations": json.dumps(estimate.durations, separators=(",", ":")),
        "jobs": estimate.jobs,
    }


def _readable(row: Mapping[str, Any]) -> Estimate | None:
    """None for a row that this version can't read."""
    try:
        refuse_newer(row, "reading how long jobs take")
        return _from_row(row)
    except UnreadableRow as error:
        log_event(log, logging.WARNING, "storage.estimate_unreadable", problem=error)
        return None


def _from_row(row: Mapping[str, Any]) -> Estimate:
    """Raises UnreadableRow."""
    with read_as("estimate", row):
        kind = JobKind(row["PartitionKey"], row["model"], row["size"], int(row["seconds"]))
        durations = tuple(map(float, json.loads(row["durations"])))
        if not all(map(can_be_one, durations)):
            raise ValueError("it has a duration that no job takes")
        return Estimate(kind, durations, int(row["jobs"]))
