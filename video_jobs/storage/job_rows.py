"""A job as a table row. A person can read it: each field has a column, and so has each field of `job_parts`; other nested
values are JSON."""

from __future__ import annotations

import functools
import json
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import SchemaValidator

from video_jobs.domain.ids import is_job_id
from video_jobs.domain.job import Job
from video_jobs.domain.job_parts import Cancellation, Polls, Submission
from video_jobs.storage.reading import nested, strict_validator
from video_jobs.storage.schema import SCHEMA, SCHEMA_COLUMN, refuse_newer
from video_jobs.storage.unreadable import read_as

_NESTED = {
    "request",
    "metadata",
    "backend",
    "chain",
    "outputs",
    "cost",
    "error",
    "history",
    "webhook",
    "forecast",
    "list_search",
}
_PARTS = {
    "submission": {name: name for name in Submission._fields},
    "cancellation": {name: f"cancel_{name}" for name in Cancellation._fields},
    "polls": {name: name for name in Polls._fields},
}
"""The column of each field of a part."""

_PROMPT = "prompt"  # a column of its own: with the rest of the request it would not fit into one property


@functools.cache
def _adapter() -> TypeAdapter[Job]:
    """Built when the first row is read or written: a cold start has no time to spare."""
    return TypeAdapter(Job)


@functools.cache
def _validator() -> SchemaValidator:
    return strict_validator(_adapter())


def to_row(job: Job) -> dict[str, Any]:
    """Without the keys' and writes' columns that the table adds. None is left out."""
    fields = _adapter().dump_python(job, mode="json", exclude_none=True)
    fields[_PROMPT] = fields["request"].pop(_PROMPT)
    for part, columns in _PARTS.items():
        values = zip(columns.values(), fields.pop(part), strict=True)
        fields.update((column, value) for column, value in values if value is not None)
    for name in _NESTED & fields.keys():
        fields[name] = json.dumps(fields[name], ensure_ascii=False, separators=(",", ":"))
    return {"PartitionKey": fields.pop("owner"), "RowKey": fields.pop("id"), SCHEMA_COLUMN: SCHEMA, **fields}


def from_row(row: dict[str, Any]) -> Job:
    """Raises NewerVersion and UnreadableRow."""
    refuse_newer(row, f"reading {row['RowKey']}")
    fields = dict(row)
    with read_as("job", row):
        if "status" not in row:
            raise KeyError("status")  # with the default status, it would be submitted and paid for
        if not is_job_id(row["RowKey"]):
            raise ValueError("its RowKey is no job id")
        for name in _NESTED & fields.keys():
            fields[name] = nested(fields[name])
        for part, columns in _PARTS.items():
            fields[part] = {name: fields.get(column) for name, column in columns.items()}
        fields["request"][_PROMPT] = fields.pop(_PROMPT)
        job: Job = _validator().validate_python({**fields, "owner": row["PartitionKey"], "id": row["RowKey"]})
    return job
