"""The three storage services, by connection string or by identity."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    DeserializationError,
    HttpResponseError,
    ResourceExistsError,
    ServiceResponseError,
)
from azure.data.tables import TableClient, TableServiceClient
from azure.storage.blob import BlobServiceClient
from azure.storage.blob import LinearRetry as BlobRetry
from azure.storage.queue import LinearRetry as QueueRetry
from azure.storage.queue import QueueServiceClient
from requests import RequestException

from video_jobs.domain.errors import InvalidSettings, StorageUnavailable
from video_jobs.net.environment import Environment
from video_jobs.settings.storage import StorageSettings, client_id_in
from video_jobs.storage.clock import StorageClock

# Seconds. If storage does not answer, a call and its two retries end within 15 s, and the HTTP request is answered with 503.
# With the SDKs' default times it would wait for minutes.
_TIMEOUTS: dict[str, Any] = {"connection_timeout": 3, "read_timeout": 4, "retry_total": 2}
_TABLE_PAUSES: dict[str, Any] = {"retry_backoff_factor": 0.5}  # 0 s, then 1 s

ONCE: dict[str, Any] = {"retry_total": 0}
"""The option of a call that turns its retries off."""

REPEATED: dict[str, Any] = {"retry_on_methods": frozenset({"POST"})}
"""An option of a table's insert or transaction: with it the SDK also retries these if the answer is lost, for example
because the service has closed the connection. After a conflict, read the row: it may be our own."""


class StorageServices(NamedTuple):
    blobs: BlobServiceClient
    queues: QueueServiceClient
    tables: TableServiceClient
    clock: StorageClock  #: right after the first call
    account_key: str | None  #: None: an identity signs in
    account: str | None = None  #: the account's name


def connect(settings: StorageSettings, **changes: Any) -> StorageServices:
    """Builds clients, and calls nothing yet; `changes` are the SDKs' own options. Raises InvalidSettings."""
    clock = StorageClock()
    hooks = {"raw_request_hook": clock.sends, "raw_response_hook": partial(_checked, clock)}
    options = {**_TIMEOUTS, **hooks, **changes}
    table_hook = partial(_checked_and_without_waits, clock)
    table_options = {**_TIMEOUTS, **_TABLE_PAUSES, **hooks, "raw_response_hook": table_hook, **changes}
    retries = options.pop("retry_total")
    queue_options = {**options, "retry_policy": QueueRetry(1, retry_total=retries, random_jitter_range=1)}
    options["retry_policy"] = BlobRetry(1, retry_total=retries, random_jitter_range=1)
    if settings.connection_string:
        text = settings.connection_string
        try:
            blobs = _built(BlobServiceClient, text, options)
            queues = _built(QueueServiceClient, text, queue_options)
            tables = _built(TableServiceClient, text, table_options)
            account = blobs.credential
            return StorageServices(blobs, queues, tables, clock, account.account_key, account.account_name)
        except ValueError:
            raise InvalidSettings(
                ["AzureWebJobsStorage is a connection string that the SDK can't read. Copy it again."]
            ) from None
    # Imported only where it is used: this import takes longer than all others here.
    from azure.identity import DefaultAzureCredential

    credential: Any = DefaultAzureCredential(managed_identity_client_id=settings.client_id)
    blob_url, queue_url, table_url = (
        settings.blob_endpoint or "",
        settings.queue_endpoint or "",
        settings.table_endpoint or "",
    )
    return StorageServices(
        BlobServiceClient(blob_url, credential, **options, **_environment(blob_url)),
        QueueServiceClient(queue_url, credential, **queue_options, **_environment(queue_url)),
        TableServiceClient(
            endpoint=table_url, credential=credential, **table_options, **_environment(table_url)
        ),
        clock,
        None,
        settings.account,
    )


class NotFromStorage(ServiceResponseError):
    """Another server answered, such as a proxy with a page of its own."""


def _checked(clock: StorageClock, response: Any) -> None:
    """Refuse an answer without any header of Azure Storage's. The SDKs would take a proxy's page with status 200 for an empty answer,
    for the bytes of a blob or for a write that was done, and a page with 404 for a missing row."""
    answer = response.http_response
    if any(name.lower().startswith("x-ms-") for name in answer.headers):
        clock.hears(response)
    elif answer.status_code < 500:
        raise NotFromStorage("The answer has no header of Azure Storage's.")


def _checked_and_without_waits(clock: StorageClock, response: Any) -> None:
    """Also remove from the answer of a table how long to wait: the SDK would sleep for so long, without a limit, in the middle of
    a request, and fails at a value that it can't read. The SDKs of blobs and queues don't look at it."""
    _checked(clock, response)
    for name in ("Retry-After", "retry-after-ms", "x-ms-retry-after-ms"):
        response.http_response.headers.pop(name, None)


def _built(service: Any, connection_string: str, options: dict[str, Any]) -> Any:
    """A client of this class. A first one, which calls nothing, tells the URL."""
    url = service.from_connection_string(connection_string).url
    return service.from_connection_string(connection_string, **options, **_environment(url))


def _environment(url: str) -> dict[str, Any]:
    """As options of a client."""
    found = Environment.for_url(url)
    if isinstance(found.certificates, str) and not Path(found.certificates).exists():
        raise InvalidSettings(
            [
                "The file of certificates that REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names does not exist. Put it there, or leave "
                "the setting out."
            ]
        )
    return {
        "use_env_settings": False,
        "proxies": found.proxies or None,
        "connection_verify": found.certificates,
    }


@functools.cache
def blob_origin(settings: StorageSettings) -> str:
    """Scheme, host and port of the URLs of blobs. Raises InvalidSettings."""
    url = urlsplit(str(connect(settings).blobs.url))
    return f"{url.scheme}://{url.netloc}"


@contextlib.contextmanager
def translated(what: str) -> Iterator[None]:
    """Translates the SDKs' errors into ours. `what` describes the action, for the message.

    Their own text is left out, of tracebacks too: it may repeat a request, signature and all.
    """
    try:
        yield
    except ClientAuthenticationError as error:
        if error.status_code is not None:
            raise StorageUnavailable(_refusal(error, what)) from None
        client_id = client_id_in(os.environ)
        identity = (
            f"the user-assigned identity with client id {client_id}" if client_id else "the app's identity"
        )
        raise StorageUnavailable(
            f"There is no token for Azure Storage while {what}: {identity} can't sign in. Is it assigned to the app? "
            f"AzureWebJobsStorage__clientId names a user-assigned one; leave it out for the system-assigned one."
        ) from None
    except HttpResponseError as error:
        raise StorageUnavailable(_refusal(error, what)) from None
    except (NotFromStorage, DeserializationError):
        raise StorageUnavailable(
            f"Something that is not this service of Azure Storage answered while {what}. Is there a proxy in between, or is the "
            f"endpoint another service's?"
        ) from None
    except AzureError as error:
        raise StorageUnavailable(
            f"Azure Storage could not be reached while {what} ({type(error).__name__})."
        ) from None


def transact(table: TableClient, operations: Iterable[Any]) -> list[Mapping[str, Any]]:
    """Carry out a transaction, with repeats. The SDK reads its answer later than other answers: one that is cut off is an error
    of the HTTP library, here ServiceResponseError like every lost answer."""
    try:
        return table.submit_transaction(operations, **REPEATED)
    except RequestException as error:
        raise ServiceResponseError("The answer to a transaction was cut off.", error=error) from None


def may_be_done(error: AzureError) -> bool:
    """Whether a write may have been done although it ended in this error: its answer was lost, or the service failed at it. The
    error is that of the last try; an earlier one may have been successful."""
    if isinstance(error, HttpResponseError):
        return error.status_code is None or error.status_code >= 500
    return isinstance(error, ServiceResponseError)


@contextlib.contextmanager
def unless_there(code: str) -> Iterator[None]:
    """Suppresses the refusal to create what exists. One that is being deleted is refused under another code: it is gone soon."""
    try:
        yield
    except ResourceExistsError as error:
        if error_code(error) != code:
            raise


def _refusal(error: HttpResponseError, what: str) -> str:
    refused = isinstance(error, ClientAuthenticationError) or error.status_code in (401, 403)
    advice = (
        " With a connection string: is the key current? With an identity: does it have the Data "
        "Contributor roles for blobs, queues and tables? Do the account's network rules let us in?"
    )
    said = f"Azure Storage answered {error.status_code} ({error_code(error)}) while {what}."
    return f"{said}{advice if refused else ''}"


def error_code(error: AzureError) -> str:
    """The service's own error code, like `BlobAlreadyExists`. The SDKs' types do not declare it."""
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or getattr(error, "reason", None) or "no code")
