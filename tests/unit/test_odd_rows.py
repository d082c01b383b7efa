"""Rows that a person or another program changed: what would fail later is refused when the row is read."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.jobs import NOW, a_job
from video_jobs.domain.chain import Chain
from video_jobs.domain.errors import UnreadableRow
from video_jobs.domain.gate import Gate, Slot
from video_jobs.domain.job_parts import Polls, Submission
from video_jobs.storage.estimates import _from_row as estimate_of
from video_jobs.storage.gates import _from_row as gate_of
from video_jobs.storage.gates import _to_row as gate_row
from video_jobs.storage.job_rows import from_row, to_row

JOB = a_job(
    expires_at=NOW,
    polls=Polls(last_polled_at=NOW),
    submission=Submission(submitted_at=NOW),
    chain=Chain(2, NOW),
    metadata={"scene": "1"},
)
UNUSABLE_TIMES = pytest.mark.parametrize(
    "time", ["2026-11-05T12:00:00", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"]
)


@UNUSABLE_TIMES
@pytest.mark.parametrize("column", ["expires_at", "last_polled_at", "submitted_at", "created_at"])
def test_a_jobs_time_without_a_zone_or_at_the_end_of_the_calendar_is_refused(column: str, time: str) -> None:
    with pytest.raises(UnreadableRow, match=column):
        from_row({**to_row(JOB), column: time})


@UNUSABLE_TIMES
def test_so_is_one_in_a_nested_column(time: str) -> None:
    with pytest.raises(UnreadableRow):
        from_row({**to_row(JOB), "chain": json.dumps({"turn": 2, "due_at": time})})


def test_times_in_any_zone_are_read() -> None:
    row = {**to_row(JOB), "expires_at": (NOW + timedelta(hours=2)).isoformat().replace("+00:00", "+02:00")}
    assert from_row(row) == replace(JOB, expires_at=NOW)


@pytest.mark.parametrize("column", ["backend", "metadata"])
def test_half_of_a_surrogate_pair_in_a_nested_column_is_refused(column: str) -> None:
    row = to_row(JOB)
    value = {**json.loads(row[column]), "scene" if column == "metadata" else "model": "\ud800"}
    with pytest.raises(UnreadableRow, match="surrogate"):
        from_row({**row, column: json.dumps(value)})


@pytest.mark.parametrize("key", ["job_foo", "job_0123456789abcdefghjkmnpqr", "job_", "JOB"])
def test_a_row_whose_key_is_no_job_id_is_no_job(key: str) -> None:
    with pytest.raises(UnreadableRow, match="job id"):
        from_row({**to_row(JOB), "RowKey": key})


@UNUSABLE_TIMES
def test_a_gates_slot_with_such_a_time_is_refused(time: str) -> None:
    row = gate_row(Gate("default", (Slot("job_x", "default", NOW),)))
    assert gate_of(row).slots[0].taken_at == NOW
    row["slots"] = json.dumps([{"job_id": "job_x", "owner": "default", "taken_at": time}])
    with pytest.raises(UnreadableRow):
        gate_of(row)


@pytest.mark.parametrize("duration", ["NaN", "Infinity", "-1", "0", "1e12"])
def test_an_estimate_with_a_duration_that_no_job_takes_is_refused(duration: str) -> None:
    row: dict[str, Any] = {"PartitionKey": "default", "RowKey": "k", "model": "m", "size": "1x1"}
    row |= {"seconds": 5, "jobs": 3, "durations": "[5.0, 6.0, 7.0]"}
    assert estimate_of(row).forecast() is not None
    with pytest.raises(UnreadableRow):
        estimate_of({**row, "durations": f"[5.0, 6.0, {duration}]"})


@pytest.mark.parametrize("value", ["a secret", 'the "secret"', "it's secret"])
@pytest.mark.parametrize("column", ["seconds", "jobs", "durations"])
def test_an_error_about_a_row_repeats_no_value(column: str, value: str) -> None:
    row = {
        "PartitionKey": "b",
        "RowKey": "r",
        "model": "m",
        "size": "1x1",
        "seconds": 4,
        "jobs": 1,
        "durations": "[9]",
    }
    odd = json.dumps([value]) if column == "durations" else value
    with pytest.raises(UnreadableRow) as raised:
        estimate_of({**row, column: odd})
    assert "secret" not in str(raised.value)
