"""Does once what the app does with storage, on probes: makes, writes, reads and deletes them.

A probe's name is used by nothing else, and tells when the probe was made. If a run is killed, a later run deletes what
is left.
"""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import AzureError
from azure.data.tables import TableServiceClient, UpdateMode
from azure.storage.blob import BlobBlock, BlobServiceClient, ContentSettings
from azure.storage.queue import QueueServiceClient, TextBase64EncodePolicy

from doctor.wire import Response, Wire
from video_jobs.storage.signing import BlobSigner, account_key

PREFIX = "reelkeepdoctor"  # only letters: a table's name must begin with one

_OLD = timedelta(minutes=5)  # longer than any run takes: a younger probe may belong to another running doctor
_CONTENT = b"Reelkeep's doctor wrote this, and deletes it again."

Doing = Callable[[str], None]
"""Called before each step with its description."""


class ProbeFailed(Exception):
    """The data that was read differs from what was written, or could not be read, without an error of the SDK."""


def probe_name(now: datetime) -> str:
    return f"{PREFIX}{int(now.timestamp()):08x}{secrets.token_hex(8)}"


def left_behind(names: Iterable[str], now: datetime) -> list[str]:
    """The probes that an earlier run must have left."""
    found = []
    for name in names:
        made = re.fullmatch(rf"{PREFIX}([0-9a-f]{{8}})[0-9a-f]{{16}}", name)
        if made and now - datetime.fromtimestamp(int(made[1], 16), UTC) > _OLD:
            found.append(name)
    return found


def probe_tables(service: TableServiceClient, now: datetime, doing: Doing) -> None:
    """Raises AzureError, or ProbeFailed."""
    name = probe_name(now)
    with _deleted_in_the_end(lambda: service.delete_table(name), doing, "deleting a table"):
        doing("creating a table")
        table = service.create_table(name)
        row = {"PartitionKey": "probe", "RowKey": "probe", "content": "written"}
        doing("writing a row")
        table.create_entity(row)
        doing("reading a row")
        etag = table.get_entity("probe", "probe").metadata["etag"]
        doing("changing a row")
        table.update_entity(
            {**row, "content": "changed"},
            UpdateMode.REPLACE,
            etag=etag,
            match_condition=MatchConditions.IfNotModified,
        )
        doing("listing rows")
        if [entity["content"] for entity in table.query_entities("PartitionKey eq 'probe'")] != ["changed"]:
            raise ProbeFailed("A row that was changed is not listed as it is.")
        doing("deleting a row")
        table.delete_entity("probe", "probe")
    doing("listing the tables")
    wanted = f"TableName ge '{PREFIX}' and TableName lt '{PREFIX}~'"
    for old in left_behind([table.name for table in service.query_tables(wanted)], now):
        service.delete_table(old)


def probe_queues(service: QueueServiceClient, now: datetime, doing: Doing) -> None:
    """Raises AzureError, or ProbeFailed."""
    name = probe_name(now)
    with _deleted_in_the_end(lambda: service.delete_queue(name), doing, "deleting a queue"):
        doing("creating a queue")
        service.create_queue(name)
        queue = service.get_queue_client(name, message_encode_policy=TextBase64EncodePolicy())
        doing("sending a message")
        queue.send_message("probe", time_to_live=3600)
        doing("receiving a message")
        message = queue.receive_message()
        if message is None:
            raise ProbeFailed("A message that was sent can't be received.")
        doing("deleting a message")
        queue.delete_message(message)
    doing("listing the queues")
    for old in left_behind([queue.name for queue in service.list_queues(name_starts_with=PREFIX)], now):
        service.delete_queue(old)


def probe_blobs(service: BlobServiceClient, now: datetime, key: str | None, doing: Doing) -> None:
    """Uses a signed URL, as clients do. `key` is the account's, or None if an identity signs in.

    Raises AzureError, or ProbeFailed.
    """
    name = probe_name(now)
    with _deleted_in_the_end(lambda: service.delete_container(name), doing, "deleting a container"):
        doing("creating a container")
        container = service.create_container(name)
        blob = container.get_blob_client("probe.txt")
        doing("writing a blob")
        blob.stage_block("cHJvYmU=", _CONTENT)
        blob.commit_block_list(
            [BlobBlock("cHJvYmU=")],
            content_settings=ContentSettings(content_type="text/plain"),
            metadata={"probe": "1"},
        )
        doing("reading a blob")
        if blob.download_blob().readall() != _CONTENT:
            raise ProbeFailed("A blob does not hold what was written into it.")
        _read_signed(service, name, now, key, doing)
        doing("deleting a blob")
        blob.delete_blob()
    doing("listing the containers")
    for old in left_behind([c.name for c in service.list_containers(name_starts_with=PREFIX)], now):
        service.delete_container(old)


def _read_signed(
    service: BlobServiceClient, container: str, now: datetime, key: str | None, doing: Doing
) -> None:
    if key is not None:
        source = account_key(key)
    else:
        doing("asking for a user delegation key")
        delegation = service.get_user_delegation_key(now - timedelta(minutes=15), now + timedelta(hours=1))

        def source(moment: datetime) -> dict[str, Any]:
            return {"user_delegation_key": delegation}

    doing("signing a URL")
    signed = BlobSigner(service, source, lambda: now).sign(container, "probe.txt", "inline")
    doing("reading through a signed URL")
    response: Response = Wire(signed.url, dict).get(signed.url)
    if response.status != 200 or response.body != _CONTENT:
        raise ProbeFailed(f"A signed URL does not work: {response.status or response.problem}.")


@contextlib.contextmanager
def _deleted_in_the_end(delete: Callable[[], object], doing: Doing, what: str) -> Iterator[None]:
    """Delete the probe whatever happens, also after an interruption. If the deletion then fails too, that is ignored."""
    try:
        yield
        doing(what)
    except BaseException:
        with contextlib.suppress(AzureError):
            delete()
        raise
    delete()
