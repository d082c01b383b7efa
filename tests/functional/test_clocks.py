"""Instances whose clocks are wrong, on one storage account."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from unittest.mock import patch

import pytest
import requests

from local.azurite_process import Azurite
from tests.functional.storage_adapters import a_job, a_name, settings_for
from video_jobs.domain.job import Status
from video_jobs.ports import VideoKey
from video_jobs.services import Services
from video_jobs.storage.clock import StorageClock
from video_jobs.wiring import build, utc_now

Instance = Callable[[timedelta], Services]

OFF = pytest.mark.parametrize(
    "off",
    [timedelta(hours=-2), timedelta(hours=2), timedelta(days=400)],
    ids=["behind", "ahead", "far ahead"],
)


@pytest.fixture
def instance(azurite: Azurite) -> Instance:
    def whose_clock_is(off: timedelta) -> Services:
        wrong = partial(StorageClock, lambda: time.time() + off.total_seconds())
        with patch("video_jobs.storage.connection.StorageClock", wrong):
            return build(settings_for(azurite))

    return whose_clock_is


@OFF
def test_all_instances_have_the_time_of_storage(instance: Instance, off: timedelta) -> None:
    assert abs(instance(off).clock() - utc_now()) < timedelta(seconds=3)


@OFF
def test_retention_takes_nothing_before_its_time(instance: Instance, owner: str, off: timedelta) -> None:
    services, now = instance(off), utc_now()
    job = a_job(owner, status=Status.SUCCEEDED, finished_at=now, created_at=now - timedelta(hours=1))
    services.jobs.insert(job, None)
    found = services.jobs.ended_before(services.clock() - timedelta(days=30), 20)
    assert job.id not in [stored.job.id for stored in found]


@OFF
def test_a_signed_url_is_valid_at_once(instance: Instance, off: timedelta) -> None:
    services, key = instance(off), VideoKey(a_name("owner"), "job_1", 0)
    assert services.blobs.put_video(key, iter([b"video"]), dict)
    assert requests.get(services.blobs.sign_video(key).url, timeout=10).content == b"video"
