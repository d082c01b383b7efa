"""The settings of storage: a connection string, or an account and an identity."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from video_jobs.settings.backends import base_url

_ACCOUNT = r"[a-z0-9]{3,24}"
_DEVELOPMENT_STORAGE = "UseDevelopmentStorage=true"
# The emulator's account, the same on every machine and documented by Microsoft: no secret.
_DEVELOPMENT_ACCOUNT = "devstoreaccount1"
_DEVELOPMENT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass(frozen=True)
class StorageSettings:
    """Where Blob, Queue and Table Storage are: a connection string, or endpoints and an identity."""

    connection_string: str | None = field(default=None, repr=False)
    blob_endpoint: str | None = None
    queue_endpoint: str | None = None
    table_endpoint: str | None = None
    client_id: str | None = None  #: of a user-assigned identity
    account: str | None = None  #: its name, which signed URLs contain; None: as the connection string says

    def __post_init__(self) -> None:
        if self.connection_string is None and self.blob_endpoint is not None and self.account is None:
            object.__setattr__(self, "account", _account_of(self.blob_endpoint))


def client_id_in(environment: Mapping[str, str]) -> str | None:
    """Of the user-assigned identity that the app signs in with, at storage and at video APIs; None: the system's own."""
    named = (
        environment.get(name, "").strip() for name in ("AzureWebJobsStorage__clientId", "AZURE_CLIENT_ID")
    )
    return next(filter(None, named), None)


def read_storage(environment: Mapping[str, str], problems: list[str]) -> StorageSettings | None:
    name = "AzureWebJobsStorage"
    connection_string = environment.get(name, "").strip()
    if connection_string.rstrip(";").lower() == _DEVELOPMENT_STORAGE.lower():
        return StorageSettings(connection_string=_development_connection_string())
    if re.search(r"[\s\"']", connection_string):
        problems.append(
            f"{name} has quotes or white space in it. Copy the connection string again, without them."
        )
        return None
    if connection_string:
        parts = dict(part.partition("=")[::2] for part in connection_string.strip(";").split(";"))
        named = re.fullmatch(_ACCOUNT, parts.get("AccountName", "")) and all(parts) and all(parts.values())
        if not (named and _is_base64(parts.get("AccountKey", ""))):
            problems.append(
                f"{name} is no connection string with AccountName and AccountKey. Copy it from the storage "
                f"account's 'Access keys', use {_DEVELOPMENT_STORAGE} with Azurite, or set "
                f"{name}__accountName to use an identity."
            )
            return None
        wrong = _wrong_part(parts)
        if wrong is not None:
            problems.append(f"{name}: its part {wrong}. Copy the connection string anew.")
            return None
        return StorageSettings(connection_string=connection_string)
    account = environment.get(f"{name}__accountName", "").strip()
    if account and not re.fullmatch(_ACCOUNT, account):
        problems.append(
            f"{name}__accountName must be a storage account's name: 3 to 24 small letters and digits."
        )
        return None
    endpoints = {}
    for service in ("blob", "queue", "table"):
        given = environment.get(f"{name}__{service}ServiceUri", "").strip()
        if not given and not account:
            problems.append(
                f"Storage is not configured: set {name} to a connection string ({_DEVELOPMENT_STORAGE} for "
                f"Azurite), or {name}__accountName (or {name}__blobServiceUri, __queueServiceUri and "
                f"__tableServiceUri) to use an identity."
            )
            return None
        try:
            given = given and base_url(given)
        except ValueError as error:
            problems.append(f"{name}__{service}ServiceUri: {error}.")
            return None
        if given.startswith("http://"):
            problems.append(
                f"{name}__{service}ServiceUri: it must begin with https://, since an identity's token goes over "
                f"nothing else. For Azurite, set {name} to a connection string."
            )
            return None
        endpoints[f"{service}_endpoint"] = given or f"https://{account}.{service}.core.windows.net"
    account = account or _account_of(endpoints["blob_endpoint"]) or ""
    if not account:
        problems.append(
            f"{name}__accountName is not set, and {name}__blobServiceUri is a domain of your own: signed URLs need the "
            f"storage account's name."
        )
        return None
    return StorageSettings(**endpoints, client_id=client_id_in(environment), account=account)


def _wrong_part(parts: Mapping[str, str]) -> str | None:
    """Says what is wrong without the part's text, which may hold a signature."""
    if parts.get("DefaultEndpointsProtocol", "https").lower() not in ("http", "https"):
        return "DefaultEndpointsProtocol is neither https nor http"
    if not re.fullmatch(r"[A-Za-z0-9.-]+/?", parts.get("EndpointSuffix", "core.windows.net")):
        return "EndpointSuffix is no domain name, like core.windows.net"
    for service in ("BlobEndpoint", "QueueEndpoint", "TableEndpoint"):
        try:
            base_url(parts.get(service, "https://core.windows.net"))
        except ValueError:
            return f"{service} is no URL, or has more to it than host and path"
    return None


def _account_of(blob_endpoint: str) -> str | None:
    """Out of a host name of Azure's, with a DNS zone or without: `ACCOUNT.blob.…`, `ACCOUNT.z12.blob.…`."""
    host = urlsplit(blob_endpoint).hostname or ""
    found = re.fullmatch(rf"({_ACCOUNT})(?:\.z[0-9]{{1,3}})?\.blob\..+", host)
    return found[1] if found else None


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except ValueError:
        return False


def _development_connection_string() -> str:
    """The Python SDKs don't know the short form that the Functions host takes."""
    endpoints = "".join(
        f"{service}Endpoint=http://127.0.0.1:{port}/{_DEVELOPMENT_ACCOUNT};"
        for service, port in (("Blob", 10000), ("Queue", 10001), ("Table", 10002))
    )
    account = f"AccountName={_DEVELOPMENT_ACCOUNT};AccountKey={_DEVELOPMENT_KEY};"
    return f"DefaultEndpointsProtocol=http;{account}{endpoints}"
