"""Which webhooks are turned off, and which were given up, in Table Storage.

Turned off: PartitionKey owner, RowKey a hash of the URL, which may hold a secret and is not stored here. Given up:
PartitionKey `(given up)`, RowKey the job's id. Ids begin with the time, newest first, so a page of them is a range.
"""

from __future__ import annotations

import hashlib
import itertools

from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableClient, TableServiceClient, UpdateMode

from video_jobs.ports import GivenUp, Hook
from video_jobs.storage.connection import translated

HOOKS_TABLE = "videohooks"

_THE_APPS = "(app)"  # no owner is written like these
_GIVEN_UP = "(given up)"


class TableHooks:
    """See `ports.Hooks`."""

    def __init__(self, service: TableServiceClient) -> None:
        self._table: TableClient = service.get_table_client(HOOKS_TABLE)

    def is_off(self, hook: Hook) -> bool:
        with translated("looking whether a webhook is turned off"):
            try:
                self._table.get_entity(*_keys(hook), select=["RowKey"])
            except ResourceNotFoundError:
                return False
        return True

    def turn_off(self, hook: Hook, job_id: str) -> None:
        partition, key = _keys(hook)
        row = {"PartitionKey": partition, "RowKey": key, "turned_off_by": job_id}
        with translated(f"turning the webhook of {job_id} off"):
            self._table.upsert_entity(row, mode=UpdateMode.REPLACE)

    def turn_on(self, hook: Hook) -> None:
        with translated("turning a webhook on again"):
            self._table.delete_entity(*_keys(hook))  # succeeds if there is none

    def note_given_up(self, which: GivenUp) -> None:
        row = {"PartitionKey": _GIVEN_UP, "RowKey": which.job_id, "owner": which.owner}
        with translated(f"noting that the webhook of {which.job_id} is given up"):
            self._table.upsert_entity(row, mode=UpdateMode.REPLACE)

    def forget_given_up(self, which: GivenUp) -> None:
        with translated(f"removing the note that the webhook of {which.job_id} is given up"):
            self._table.delete_entity(_GIVEN_UP, which.job_id)  # succeeds if there is none

    def given_up(self, after: str | None, most: int) -> list[GivenUp]:
        wanted = "PartitionKey eq @partition and RowKey gt @after"
        with translated("listing the webhooks that were given up"):
            rows = self._table.query_entities(
                wanted, parameters={"partition": _GIVEN_UP, "after": after or ""}, results_per_page=most
            )
            # A row without an owner is a note of no job: its reader finds none, and removes it.
            return [GivenUp(str(row.get("owner")), row["RowKey"]) for row in itertools.islice(rows, most)]


def _keys(hook: Hook) -> tuple[str, str]:
    return hook.owner or _THE_APPS, hashlib.sha256(hook.url.encode()).hexdigest()
