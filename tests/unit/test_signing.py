"""The windows in which a signed URL stays the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from azure.core.exceptions import ServiceRequestError
from azure.storage.blob import BlobServiceClient
from hypothesis import given
from hypothesis import strategies as st

from video_jobs.domain.errors import StorageUnavailable
from video_jobs.ports import SignedUrl
from video_jobs.storage.signing import (
    VALIDITY,
    WINDOW,
    BlobSigner,
    UserDelegationKeys,
    account_key,
    good_until,
    window_at,
)

NOON = datetime(2026, 11, 5, 12, 0, tzinfo=UTC)
KEY = "a2V5"
moments = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


@given(moments)
def test_a_url_is_good_for_an_hour_at_least_and_a_window_more_at_most(now: datetime) -> None:
    assert VALIDITY < good_until(now) - now <= VALIDITY + WINDOW
    assert timedelta() <= now - window_at(now) < WINDOW


def signed_at(now: datetime, key: Any = None) -> SignedUrl:
    service = BlobServiceClient("https://clips.blob.core.windows.net", credential=None)
    return BlobSigner(service, key or account_key(KEY), lambda: now).sign("videos", "a/b/0.mp4", "inline")


def test_it_is_the_same_within_a_window_on_every_instance_and_another_in_the_next() -> None:
    first = signed_at(NOON)
    assert signed_at(NOON + WINDOW - timedelta(milliseconds=1)) == first
    assert signed_at(NOON + WINDOW) != first
    assert first.expires_at == NOON + timedelta(minutes=75)


def test_it_begins_before_now_for_clocks_that_differ() -> None:
    query = parse_qs(urlsplit(signed_at(NOON + timedelta(minutes=7)).url).query)
    assert query["st"] == ["2026-11-05T11:45:00Z"]
    assert query["se"] == ["2026-11-05T13:15:00Z"]


class Delegating:
    """A blob service that gives keys and remembers for when."""

    def __init__(self) -> None:
        self.asked: list[tuple[datetime, datetime]] = []
        self.is_away = False

    def get_user_delegation_key(self, start: datetime, end: datetime) -> Any:
        self.asked.append((start, end))
        if self.is_away:
            raise ServiceRequestError("It is away.")
        return object()


@pytest.mark.parametrize("minutes", range(0, 24 * 60 + 1, 7))
def test_what_a_delegation_key_signs_lies_within_its_own_time(minutes: int) -> None:
    service = Delegating()
    keys = UserDelegationKeys(service)  # type: ignore[arg-type]
    began = NOON + timedelta(minutes=3)
    keys(began)
    now = began + timedelta(minutes=minutes)
    keys(now)
    start, end = service.asked[-1]
    assert start <= window_at(now) - timedelta(minutes=15)
    assert good_until(now) <= end
    assert len(service.asked) <= 2


def test_a_key_that_was_revoked_signs_for_an_hour_at_most() -> None:
    """`az storage account revoke-delegation-keys`: nothing tells the app."""
    service = Delegating()
    keys = UserDelegationKeys(service)  # type: ignore[arg-type]
    revoked = keys(NOON + timedelta(minutes=14))
    assert keys(NOON + timedelta(minutes=59)) == revoked
    assert keys(NOON + timedelta(minutes=60)) != revoked


def test_a_key_that_can_not_be_renewed_signs_as_long_as_it_is_valid() -> None:
    service = Delegating()
    keys = UserDelegationKeys(service)  # type: ignore[arg-type]
    first, service.is_away = keys(NOON), True
    for hours in range(1, 22):
        assert keys(NOON + timedelta(hours=hours)) == first
        assert keys(NOON + timedelta(hours=hours, seconds=59)) == first
        assert len(service.asked) == hours + 1  # not for each URL
    with pytest.raises(StorageUnavailable):
        keys(NOON + timedelta(hours=23))
