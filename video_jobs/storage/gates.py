"""The gates in Table Storage: one row for each backend, nested values as JSON that a person can read."""

from __future__ import annotations

import functools
import itertools
import json
import logging
from collections.abc import Mapping
from typing import Any

from azure.data.tables import TableClient, TableServiceClient
from pydantic import TypeAdapter
from pydantic_core import SchemaValidator

from video_jobs.domain.errors import UnreadableRow
from video_jobs.domain.gate import Gate
from video_jobs.domain.logs import log_event
from video_jobs.ports import StoredGate
from video_jobs.storage.connection import translated
from video_jobs.storage.etag_rows import GuardedRows
from video_jobs.storage.reading import nested, strict_validator
from video_jobs.storage.schema import refuse_newer
from video_jobs.storage.unreadable import read_as, text

log = logging.getLogger("reelkeep.storage")

GATES_TABLE = "videogates"

_PARTITION = "gate"
_NESTED = ("slots", "creates", "closure")
_PROPERTY = 30_000  # UTF-16 units; a property holds 32K, and the slots of many jobs need several


class TableGates:
    """See `ports.Gates`."""

    def __init__(self, service: TableServiceClient) -> None:
        self._table: TableClient = service.get_table_client(GATES_TABLE)
        self._rows = GuardedRows(self._table)

    def get(self, backend: str) -> StoredGate:
        row = self._rows.get(_PARTITION, backend, f"reading the gate to '{backend}'")
        return StoredGate(Gate(backend), None) if row is None else StoredGate(_from_row(row.fields), row.etag)

    def save(self, stored: StoredGate, gate: Gate) -> StoredGate:
        what = f"saving the gate to '{gate.backend}'"
        if stored.etag is None:
            return StoredGate(gate, self._rows.insert(_to_row(gate), what))
        return StoredGate(gate, self._rows.replace(_to_row(gate), stored.etag, what))

    def all(self) -> list[Gate]:
        with translated("reading the gates"):
            rows = list(self._table.query_entities(f"PartitionKey eq '{_PARTITION}'"))
        found = []
        for row in rows:
            try:
                found.append(_from_row(row))
            except UnreadableRow as error:
                log_event(log, logging.ERROR, "storage.gate_unreadable", backend=row["RowKey"], problem=error)
        return found


@functools.cache
def _adapter() -> TypeAdapter[Gate]:
    """Built when the first row is read or written: a cold start has no time to spare."""
    return TypeAdapter(Gate)


@functools.cache
def _validator() -> SchemaValidator:
    return strict_validator(_adapter())


def _to_row(gate: Gate) -> dict[str, Any]:
    fields = _adapter().dump_python(gate, mode="json", exclude_none=True)
    for name in _NESTED:
        if name in fields:
            # In ASCII, so that no character is cut in two.
            text = json.dumps(fields.pop(name), separators=(",", ":"))
            fields |= {
                _column(name, number): text[start : start + _PROPERTY]
                for number, start in enumerate(range(0, len(text), _PROPERTY))
            }
    return {"PartitionKey": _PARTITION, "RowKey": fields.pop("backend"), **fields}


def _from_row(row: Mapping[str, Any]) -> Gate:
    """Raises NewerVersion and UnreadableRow."""
    refuse_newer(row, f"reading the gate to '{row['RowKey']}'")
    fields = dict(row)
    with read_as("gate", row):
        for name in _NESTED:
            columns = itertools.takewhile(row.__contains__, (_column(name, n) for n in itertools.count()))
            whole = "".join(text(row, column) for column in columns)
            if whole:
                fields[name] = nested(whole)
        gate: Gate = _validator().validate_python({**fields, "backend": row["RowKey"]})
    return gate


def _column(name: str, number: int) -> str:
    """slots, slots_1, slots_2 …"""
    return f"{name}_{number}" if number else name
