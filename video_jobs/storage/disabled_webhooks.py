"""Which webhooks are turned off, in Table Storage: PartitionKey owner, RowKey a hash of the URL.

The URL itself may hold a secret, and is not stored here.
"""

from __future__ import annotations

import hashlib

from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableClient, TableServiceClient, UpdateMode

from video_jobs.ports import Hook
from video_jobs.storage.connection import translated

HOOKS_TABLE = "videohooks"

_THE_APPS = "(app)"  # no owner is written like this


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
            self._table.delete_entity(*_keys(hook))  # succeeds where there is none


def _keys(hook: Hook) -> tuple[str, str]:
    return hook.owner or _THE_APPS, hashlib.sha256(hook.url.encode()).hexdigest()
