"""A storage account is one app's: a second one, or a slot, is refused in words, and takes nothing of the first one's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from local.azurite_process import Azurite
from tests.functional.storage_adapters import settings_for
from video_jobs.domain.errors import InvalidSettings
from video_jobs.settings.app import Settings, _app_name
from video_jobs.storage.connection import StorageServices
from video_jobs.storage.gates import GATES_TABLE
from video_jobs.wiring import build


@pytest.fixture
def settings(azurite: Azurite, real_services: StorageServices) -> Iterator[Settings]:
    """Of an account that is nobody's, before and after."""
    settings = settings_for(azurite)
    build(settings)
    yield settings
    real_services.tables.get_table_client(GATES_TABLE).delete_entity("app", "app")


def test_the_app_that_began_goes_on_and_another_is_told_whose_the_account_is(
    settings: Settings, real_services: StorageServices
) -> None:
    for _ in range(2):
        build(replace(settings, app_name="func-one"))
    with pytest.raises(InvalidSettings) as refused:
        build(replace(settings, app_name="func-two"))
    [words] = refused.value.problems
    assert "belongs to the app 'func-one', and this app is 'func-two'" in words
    assert "az storage entity delete --account-name reelkeeplocal" in words
    # As that command does it.
    real_services.tables.get_table_client(GATES_TABLE).delete_entity("app", "app")
    build(replace(settings, app_name="func-two"))


def test_a_machine_that_is_no_app_in_azure_claims_nothing(settings: Settings) -> None:
    build(replace(settings, app_name="func-one"))
    build(settings)


def test_the_row_is_no_gate(settings: Settings) -> None:
    services = build(replace(settings, app_name="func-one"))
    assert "app" not in [gate.backend for gate in services.gates.all()]


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({}, None),
        ({"WEBSITE_SITE_NAME": "Func-One"}, "func-one"),
        ({"WEBSITE_SITE_NAME": "func-one", "WEBSITE_SLOT_NAME": "Production"}, "func-one"),
        ({"WEBSITE_SITE_NAME": "func-one", "WEBSITE_SLOT_NAME": "staging"}, "func-one/staging"),
        ({"WEBSITE_SLOT_NAME": "staging"}, None),
    ],
)
def test_a_slot_is_told_apart_from_its_app(environment: dict[str, str], name: str | None) -> None:
    assert _app_name(environment) == name
