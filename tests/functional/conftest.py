"""What the tests of storage adapters and of strange video APIs share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.azurite_process import Azurite
from tests.functional.storage_adapters import (
    Forgetful,
    Storage,
    a_name,
    forgetful_tables,
    in_memory,
    on_azurite,
    settings_for,
)
from tests.strange_api import Clock, StrangeApi
from video_jobs.storage.connection import StorageServices, connect


@pytest.fixture(scope="session")
def real_services(azurite: Azurite) -> StorageServices:
    return connect(settings_for(azurite).storage)


@pytest.fixture(params=["memory", "azurite"])
def storage(request: pytest.FixtureRequest) -> Storage:
    if request.param == "memory":
        return in_memory()
    return on_azurite(request.getfixturevalue("azurite"))


@pytest.fixture
def owner() -> str:
    return a_name("owner")


@pytest.fixture
def backend() -> str:
    return a_name("backend")


@pytest.fixture
def forgetful(azurite: Azurite) -> Forgetful:
    return forgetful_tables(azurite)


@pytest.fixture
def api() -> Iterator[StrangeApi]:
    with StrangeApi(Clock()) as running:
        yield running
