"""Read-only URLs: signed with the account's key, or with a user delegation key in Azure.

A URL stays the same for a quarter of an hour, so that an unchanged job has an unchanged answer, and a browser finds
the video in its cache. It is valid for an hour at least.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from azure.storage.blob import BlobSasPermissions, BlobServiceClient, UserDelegationKey, generate_blob_sas

from video_jobs.domain.errors import StorageUnavailable
from video_jobs.ports import SignedUrl
from video_jobs.storage.connection import translated

VALIDITY = timedelta(hours=1)
"""The shortest time for which a URL is valid."""

WINDOW = timedelta(minutes=15)
"""The time in which a URL stays the same."""

_CLOCK_SKEW = timedelta(minutes=15)  # between this machine's clock and the storage service's
_KEY_VALIDITY = timedelta(hours=24)
_RENEWED_AFTER = timedelta(hours=1)
"""An operator may revoke all keys of the account: no URL that is signed with such a key works, and nothing tells the app."""

_RENEWED_AGAIN = timedelta(minutes=1)

_EPOCH = datetime.fromtimestamp(0, UTC)


def window_at(now: datetime) -> datetime:
    """When a moment's window began; the same on every instance."""
    return now - (now - _EPOCH) % WINDOW


def good_until(now: datetime) -> datetime:
    """When a URL that is signed now expires."""
    return window_at(now) + WINDOW + VALIDITY


KeySource = Callable[[datetime], Mapping[str, Any]]
"""Gives the key to sign with at a moment, as the keyword argument of `generate_blob_sas`."""


class BlobSigner:
    """`account`: the storage account's name. The SDK finds none in an endpoint with a DNS zone, or of one's own."""

    def __init__(
        self,
        blobs: BlobServiceClient,
        key: KeySource,
        clock: Callable[[], datetime],
        account: str | None = None,
    ) -> None:
        self._blobs = blobs
        self._account = account or str(blobs.account_name)
        self._key = key
        self._clock = clock

    def sign(self, container: str, name: str, disposition: str) -> SignedUrl:
        """`disposition` is the Content-Disposition that a download answers with."""
        now = self._clock()
        token = generate_blob_sas(
            self._account,
            container,
            name,
            permission=BlobSasPermissions(read=True),
            start=window_at(now) - _CLOCK_SKEW,
            expiry=good_until(now),
            content_disposition=disposition,
            **self._key(now),
        )
        url = f"{self._blobs.url.rstrip('/')}/{container}/{quote(name)}?{token}"
        return SignedUrl(url, good_until(now))


def account_key(key: str) -> KeySource:
    return lambda now: {"account_key": key}


class UserDelegationKeys:
    """Keys that Azure makes for the app's identity. They are requested once an hour, not for each URL."""

    def __init__(self, blobs: BlobServiceClient) -> None:
        self._blobs = blobs
        self._lock = threading.Lock()
        self._key: UserDelegationKey | None = None
        self._ends_at: datetime | None = None
        self._renewed_from: datetime | None = None

    def __call__(self, now: datetime) -> Mapping[str, Any]:
        with self._lock:
            # A URL must expire before the key that signs it.
            is_valid = self._ends_at is not None and self._ends_at >= good_until(now)
            if not is_valid or self._renewed_from is None or now >= self._renewed_from:
                try:
                    self._renew(now)
                except StorageUnavailable:
                    if not is_valid:
                        raise
                    self._renewed_from = now + _RENEWED_AGAIN
            return {"user_delegation_key": self._key}

    def _renew(self, now: datetime) -> None:
        ends_at = now + _KEY_VALIDITY
        with translated("asking for a user delegation key"):
            self._key = self._blobs.get_user_delegation_key(window_at(now) - _CLOCK_SKEW, ends_at)
        # At the beginning of a window: within one, a URL stays the same.
        self._ends_at, self._renewed_from = ends_at, window_at(now) + _RENEWED_AFTER
