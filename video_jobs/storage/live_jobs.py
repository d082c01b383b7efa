"""The live jobs in Table Storage: PartitionKey backend, RowKey arrival time and job id.

Keys are in order of arrival, so the line before a gate is a range of a partition.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator
from typing import Any

from azure.data.tables import TableClient, TableServiceClient, UpdateMode

from video_jobs.domain.errors import UnreadableRow
from video_jobs.domain.logs import log_event
from video_jobs.ports import LiveJob
from video_jobs.storage.connection import translated
from video_jobs.storage.known_line import KnownLines
from video_jobs.storage.schema import SCHEMA, SCHEMA_COLUMN, refuse_newer
from video_jobs.storage.unreadable import read_as, text

log = logging.getLogger("reelkeep.storage")

LIVE_TABLE = "livejobs"

_LARGEST_PAGE = 1000  # rows; the service gives no more at once


class TableLiveJobs:
    """See `ports.LiveJobs`."""

    def __init__(self, service: TableServiceClient) -> None:
        self._table: TableClient = service.get_table_client(LIVE_TABLE)
        self._lines = KnownLines(self._keys_in_line)

    def add(self, live: LiveJob) -> None:
        with translated(f"noting {live.job_id} as live"):
            self._table.upsert_entity(to_live_row(live), mode=UpdateMode.REPLACE)
        self._lines.note(live.backend, live.key, waits=live.waiting)

    def remove(self, live: LiveJob) -> None:
        with translated(f"removing {live.job_id} from the live jobs"):
            self._table.delete_entity(live.backend, live.key)  # succeeds if there is none
        self._lines.note(live.backend, live.key, waits=False)

    def all(self, after: LiveJob | None = None) -> Iterator[LiveJob]:
        wanted, parameters = "not (waiting eq true)", dict[str, str]()
        if after is not None:
            wanted += " and (PartitionKey gt @backend or (PartitionKey eq @backend and RowKey gt @key ) )"
            parameters = {"backend": after.backend, "key": after.key}
        with translated("listing the live jobs"):
            yield from _readable(self._table.query_entities(wanted, parameters=parameters))

    def line(self, backend: str, most: int) -> list[LiveJob]:
        wanted = "PartitionKey eq @backend and waiting eq true"
        with translated("reading who waits"):
            rows = self._table.query_entities(
                wanted, parameters={"backend": backend}, results_per_page=_page_of(most)
            )
            return list(itertools.islice(_readable(itertools.islice(rows, most + _LARGEST_PAGE)), most))

    def ahead_of(self, live: LiveJob, most: int) -> int:
        return min(self._lines.before(live.backend, live.key), most)

    def _keys_in_line(self, backend: str) -> list[str]:
        """Of as many as one call gives."""
        wanted = "PartitionKey eq @backend and waiting eq true"
        with translated("counting who waits"):
            rows = self._table.query_entities(
                wanted,
                parameters={"backend": backend},
                select=["RowKey"],
                results_per_page=_LARGEST_PAGE,
            )
            return [row["RowKey"] for row in itertools.islice(rows, _LARGEST_PAGE)]


def to_live_row(live: LiveJob) -> dict[str, Any]:
    return {
        "PartitionKey": live.backend,
        "RowKey": live.key,
        "owner": live.owner,
        "job_id": live.job_id,
        "waiting": live.waiting,
        SCHEMA_COLUMN: SCHEMA,
    }


def _page_of(most: int) -> int:
    return max(1, min(most, _LARGEST_PAGE))


def _readable(rows: Iterable[dict[str, Any]]) -> Iterator[LiveJob]:
    """Without those that this version can't read."""
    for row in rows:
        try:
            refuse_newer(row, "reading the live jobs")
            live = _live_job(row)
        except UnreadableRow as error:
            log_event(
                log,
                logging.ERROR,
                "storage.live_row_unreadable",
                row=row["RowKey"],
                backend=row["PartitionKey"],
                problem=error,
            )
        else:
            yield live


def _live_job(row: dict[str, Any]) -> LiveJob:
    waiting = bool(row.get("waiting", False))  # rows of an older version lack it
    with read_as("live job", row):
        return LiveJob(row["PartitionKey"], row["RowKey"], text(row, "owner"), text(row, "job_id"), waiting)
