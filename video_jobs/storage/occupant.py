"""Reserves a storage account for one function app. Two apps on one account, or two slots of one app, would take each other's
messages and poll each other's jobs, with settings that may differ."""

from __future__ import annotations

from azure.data.tables import TableServiceClient

from video_jobs.domain.errors import Conflict, InvalidSettings
from video_jobs.storage.etag_rows import GuardedRows
from video_jobs.storage.gates import GATES_TABLE

_PARTITION = _KEY = "app"


def claim_account(service: TableServiceClient, app: str, account: str | None) -> None:
    """Reserve the account for the first app that starts. Costs one call, except the first time. Raises InvalidSettings for any
    other app."""
    rows = GuardedRows(service.get_table_client(GATES_TABLE))
    what = "reading whose the storage account is"
    row = rows.get(_PARTITION, _KEY, what)
    if row is None:
        try:
            rows.insert({"PartitionKey": _PARTITION, "RowKey": _KEY, "name": app}, what)
        except Conflict:  # another was faster
            row = rows.get(_PARTITION, _KEY, what)
    other = str(row.fields.get("name")) if row is not None else app
    if other != app:
        raise InvalidSettings(
            [
                f"The storage account belongs to the app '{other}', and this app is '{app}'. Two apps on one account take each "
                f"other's messages: give this app (or deployment slot) its own account. If '{other}' is gone for "
                f"good, hand the account over: az storage entity delete --account-name {account or 'ACCOUNT'} --auth-mode "
                f"login --table-name {GATES_TABLE} --partition-key {_PARTITION} --row-key {_KEY}"
            ]
        )
