"""Which webhooks are turned off or given up, on Azurite and in memory alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.functional.storage_adapters import Storage
from video_jobs.domain.ids import new_job_id
from video_jobs.ports import GivenUp, Hook

URL = "https://hooks.example.test/a?b=/c#d\\e"  # with what a key can't hold


def test_turning_off_and_on_may_be_repeated(storage: Storage, owner: str) -> None:
    hook = Hook(owner, URL)
    assert not storage.hooks.is_off(hook)
    storage.hooks.turn_on(hook)
    for _ in range(2):
        storage.hooks.turn_off(hook, "job_1")
        assert storage.hooks.is_off(hook)
    for _ in range(2):
        storage.hooks.turn_on(hook)
        assert not storage.hooks.is_off(hook)


def test_a_hook_is_turned_off_for_its_owner_and_its_url_alone(storage: Storage, owner: str) -> None:
    storage.hooks.turn_off(Hook(owner, URL), "job_1")
    others = [Hook(f"{owner}x", URL), Hook(owner, f"{URL}x"), Hook(None, f"{URL}{owner}")]
    assert not any(storage.hooks.is_off(other) for other in others)


def test_the_apps_own_hook_is_nobodys_else(storage: Storage, owner: str) -> None:
    url = f"{URL}{owner}"
    storage.hooks.turn_off(Hook(None, url), "job_1")
    assert storage.hooks.is_off(Hook(None, url))
    assert not storage.hooks.is_off(Hook(owner, url))


def test_given_up_webhooks_are_listed_over_all_owners_the_newest_jobs_first(
    storage: Storage, owner: str
) -> None:
    at = datetime(2099, 1, 1, tzinfo=UTC)  # before what other tests note
    old, new, newest = (GivenUp(f"{owner}{n}", new_job_id(at + timedelta(minutes=n))) for n in range(3))
    for which in (new, old, newest, newest):
        storage.hooks.note_given_up(which)
    assert storage.hooks.given_up(None, 2) == [newest, new]
    assert storage.hooks.given_up(new.job_id, 1) == [old]
    for _ in range(2):
        storage.hooks.forget_given_up(new)
    assert storage.hooks.given_up(None, 2) == [newest, old]
    for which in (old, newest):
        storage.hooks.forget_given_up(which)
