"""Reads many job rows: an owner's list, and the jobs whose retention is over. A list costs as much as it shows, not as much as
there are jobs."""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from azure.data.tables import TableClient

from video_jobs.domain.errors import UnreadableRow
from video_jobs.domain.ids import POSITIONS, id_at, is_job_id, lowest_id_at, position_of
from video_jobs.domain.job import Job, Status
from video_jobs.domain.logs import log_event
from video_jobs.ports import JobPage, StoredJob
from video_jobs.ports.jobs import MOST_PASSED
from video_jobs.storage.connection import translated
from video_jobs.storage.job_rows import from_row
from video_jobs.storage.oldest_first import last_rows

log = logging.getLogger("reelkeep.storage")

_TERMINAL = frozenset(status for status in Status if status.is_terminal)
_WINDOW = 1000  # rows; the service gives no more at once
_MILLISECOND = timedelta(milliseconds=1)
_OF_BACKEND = "backend ge @named and backend lt @beyond"
_JOB_PREFIX, _JOB_END = "job_", "job`"  # '`' comes after '_': the end of the range of job ids


class JobPages:
    """The lists of `ports.JobStore`."""

    def __init__(self, table: TableClient) -> None:
        self._table = table

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
