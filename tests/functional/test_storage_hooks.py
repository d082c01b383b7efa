"""Which webhooks are turned off, on Azurite and in memory alike."""

from __future__ import annotations

from tests.functional.storage_adapters import Storage
from video_jobs.ports import Hook

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
