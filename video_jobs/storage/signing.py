"""Read-only URLs of one hour: signed with the account's key, or with a user delegation key in Azure."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from azure.storage.blob import BlobSasPermissions, BlobServiceClient, UserDelegationKey, generate_blob_sas

from video_jobs.ports import SignedUrl
from video_jobs.storage.connection import translated

VALIDITY = timedelta(hours=1)
_CLOCK_SKEW = timedelta(minutes=15)  # between this machine's clock and the storage service's
_KEY_VALIDITY = timedelta(hours=24)


KeySource = Callable[[datetime], Mapping[str, Any]]
"""Gives the key to sign with at a moment, as the keyword argument of `generate_blob_sas`."""


class BlobSigner:
    def __init__(self, blobs: BlobServiceClient, key: KeySource, clock: Callable[[], datetime]) -> None:
        self._blobs = blobs
        self._key = key
        self._clock = clock

    def sign(self, container: str, name: str, disposition: str) -> SignedUrl:
        """`disposition` is the Content-Disposition that a download answers with."""
        now = self._clock()
        token = generate_blob_sas(
            str(self._blobs.account_name),
            container,
            name,
            permission=BlobSasPermissions(read=True),
            start=now - _CLOCK_SKEW,
            expiry=now + VALIDITY,
            content_disposition=disposition,
            **self._key(now),
        )
        url = f"{self._blobs.url.rstrip('/')}/{container}/{quote(name)}?{token}"
        return SignedUrl(url, now + VALIDITY)


def account_key(key: str) -> KeySource:
    return lambda now: {"account_key": key}


class UserDelegationKeys:
    """Keys that Azure makes for the app's identity, asked for once a day and not once a URL."""

    def __init__(self, blobs: BlobServiceClient) -> None:
        self._blobs = blobs
        self._lock = threading.Lock()
        self._key: UserDelegationKey | None = None
        self._ends_at: datetime | None = None

    def __call__(self, now: datetime) -> Mapping[str, Any]:
        with self._lock:
            if self._ends_at is None or self._ends_at < now + VALIDITY + _CLOCK_SKEW:
                with translated("asking for a user delegation key"):
                    self._key = self._blobs.get_user_delegation_key(now - _CLOCK_SKEW, now + _KEY_VALIDITY)
                self._ends_at = now + _KEY_VALIDITY
            return {"user_delegation_key": self._key}
