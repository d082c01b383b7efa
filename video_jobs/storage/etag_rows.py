"""Rows of a table that are changed only by whoever read them last.

Every write is conditional on the ETag and bears a random id. The SDK repeats a request whose reply was lost,
and the repeat then fails with 412 (update) or 409 (insert) although the first one was stored: so on a conflict
the row is read again, and if it bears our id, the write succeeded.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, NamedTuple

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.data.tables import TableClient, TableErrorCode, UpdateMode

from video_jobs.domain.errors import Conflict, StorageNotSetUp
from video_jobs.storage.connection import REPEATED, error_code, may_be_done, translated
from video_jobs.storage.schema import SCHEMA, SCHEMA_COLUMN, refuse_newer

_WRITE_ID = "write_id"


class RowGone(Conflict):
    """The row was deleted since it was read."""


class Row(NamedTuple):
    """A row as it was read, with the ETag for the condition of the next write."""

    fields: dict[str, Any]
    etag: str


class GuardedRows:
    """Every method says in `what` what is being done, for the error that it may end in."""

    def __init__(self, table: TableClient) -> None:
        self._table = table

    def get(self, partition: str, key: str, what: str) -> Row | None:
        """Raises NewerVersion."""
        with translated(what):
            try:
                row = self._table.get_entity(partition, key)
            except ResourceNotFoundError as error:
                _refuse_missing_table(error, what)
                return None
        refuse_newer(row, what)
        return Row(dict(row), str(row.metadata["etag"]))

    def insert(self, fields: Mapping[str, Any], what: str) -> str:
        """Gives the ETag. Raises Conflict if there is a row of somebody else."""
        row = with_write_id(fields)
        with translated(what):
            try:
                return str(self._table.create_entity(row, **REPEATED)["etag"])
            except ResourceExistsError:
                return self._own_etag(row, what)
            except AzureError as error:
                if not may_be_done(error) or self.get(row["PartitionKey"], row["RowKey"], what) is None:
                    raise
                return self._own_etag(row, what)

    def replace(self, fields: Mapping[str, Any], etag: str, what: str) -> str:
        """Gives the new ETag. Raises Conflict if the row has changed, and RowGone if it was deleted."""
        row = with_write_id(fields)
        with translated(what):
            try:
                written = self._table.update_entity(
                    row,
                    mode=UpdateMode.REPLACE,
                    etag=etag,
                    match_condition=MatchConditions.IfNotModified,
                )
                return str(written["etag"])
            except ResourceModifiedError:
                return self._own_etag(row, what)
            except ResourceNotFoundError as error:
                _refuse_missing_table(error, what)
                raise RowGone(f"The row was deleted by somebody else while {what}") from None

    def delete(self, partition: str, key: str, etag: str, what: str) -> None:
        """Raises Conflict if the row has changed. A deleted row is no error.

        After a lost reply the SDK's repeat finds nothing, which is no error either.
        """
        with translated(what):
            try:
                self._table.delete_entity(
                    partition, key, etag=etag, match_condition=MatchConditions.IfNotModified
                )
            except ResourceModifiedError:
                raise Conflict(f"The row was changed by somebody else while {what}") from None

    def _own_etag(self, row: Mapping[str, Any], what: str) -> str:
        """After a conflict: the row's ETag, if the row contains our own write."""
        found = self.get(row["PartitionKey"], row["RowKey"], what)
        if found is None:
            raise RowGone(f"The row was deleted by somebody else while {what}")
        if found.fields.get(_WRITE_ID) != row[_WRITE_ID]:
            raise Conflict(f"The row was changed by somebody else while {what}")
        return found.etag


def _refuse_missing_table(error: ResourceNotFoundError, what: str) -> None:
    """Raises StorageNotSetUp if the whole table is missing: that says nothing about a row."""
    if error_code(error) == TableErrorCode.TABLE_NOT_FOUND.value:
        raise StorageNotSetUp(
            f"A table of the app is missing while {what} (TableNotFound). The app makes its tables when it starts."
        ) from None


def with_write_id(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {SCHEMA_COLUMN: SCHEMA, **fields, _WRITE_ID: secrets.token_hex(8)}
