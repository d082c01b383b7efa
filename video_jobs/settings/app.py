"""The app's settings: read from the environment once, checked at start, never written anywhere.

docs/reference/settings.md has the table for people; `Settings.from_environment` is what it describes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from video_jobs.domain.errors import InvalidSettings
from video_jobs.domain.quota import MOST_AT_ONCE, OwnerLimits
from video_jobs.settings.api_keys import ApiKeys, read_compat_api_keys
from video_jobs.settings.backend_list import read_api_keys, read_backends
from video_jobs.settings.backends import BackendSettings
from video_jobs.settings.pasted import badly_pasted, unresolved
from video_jobs.settings.sign_in import SignIn
from video_jobs.settings.storage import StorageSettings, read_storage
from video_jobs.settings.webhooks import WebhookSettings

DEFAULT_MAX_BYTES = 4 << 30
"""Bytes of one video. Today's models make about a hundredth of that."""

_SHORTEST_RETENTION = 0.042  # days

_LONGEST_NUMBER = 15  # characters; a key has more

_LARGEST_MAX_BYTES = 190 << 30  # what a block blob holds in the blocks that we stage


@dataclass(frozen=True)
class Settings:
    storage: StorageSettings
    backends: tuple[BackendSettings, ...]  #: the first is the default
    api_keys: Mapping[str, str] = field(repr=False)  #: backend name → key
    create_deadline: float  #: seconds for the whole paid call
    fetch_deadline: float  #: seconds for one download
    retention: timedelta | None  #: how long ended jobs are kept; None: for ever
    compat_api_keys: ApiKeys  #: of the OpenAI-compatible API
    sign_in: SignIn
    owner_limits: OwnerLimits
    webhooks: WebhookSettings
    max_bytes: int = DEFAULT_MAX_BYTES  #: of one video
    app_name: str | None = None  #: the function app's in Azure, and its slot's; None on other machines

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Raises InvalidSettings with every problem at once."""
        problems = unresolved(environment) + badly_pasted(environment)
        storage = read_storage(environment, problems)
        backends = read_backends(environment, problems)
        api_keys = read_api_keys(environment, backends, problems)
        create_deadline = _seconds(environment, "VIDEO_CREATE_DEADLINE_SECONDS", 90, 5, 200, problems)
        fetch_deadline = _seconds(environment, "VIDEO_FETCH_DEADLINE_SECONDS", 480, 10, 500, problems)
        days = _number(environment, "RETENTION_DAYS", 0, 0, 36500, problems, "days, or 0 for ever")
        if 0 < days < _SHORTEST_RETENTION:
            problems.append(
                f"RETENTION_DAYS is '{days:g}': videos would be deleted before anybody has them. Set {_SHORTEST_RETENTION:g} "
                f"(an hour) or more, or 0 to keep them for ever."
            )
        compat_api_keys = read_compat_api_keys(environment, problems)
        sign_in = SignIn.from_environment(environment, problems)
        owner_limits = _owner_limits(environment, problems)
        webhooks = WebhookSettings.read(environment, problems)
        max_bytes = _number(
            environment, "VIDEO_MAX_BYTES", DEFAULT_MAX_BYTES, 1 << 20, _LARGEST_MAX_BYTES, problems, "bytes"
        )
        if problems or storage is None:
            raise InvalidSettings(problems)
        retention = timedelta(days=days) if days else None
        return cls(
            storage,
            tuple(backends),
            api_keys,
            create_deadline,
            fetch_deadline,
            retention,
            compat_api_keys,
            sign_in,
            owner_limits,
            webhooks,
            int(max_bytes),
            _app_name(environment),
        )

    def backend(self, name: str) -> BackendSettings | None:
        return next((backend for backend in self.backends if backend.name == name), None)


def _app_name(environment: Mapping[str, str]) -> str | None:
    name, slot = (environment.get(f"WEBSITE_{what}_NAME", "").strip().lower() for what in ("SITE", "SLOT"))
    return f"{name}/{slot}" if name and slot not in ("", "production") else name or None


def _owner_limits(environment: Mapping[str, str], problems: list[str]) -> OwnerLimits:
    at_once = _jobs(environment, "OWNER_JOBS_AT_ONCE", MOST_AT_ONCE, problems)
    return OwnerLimits(at_once, _jobs(environment, "OWNER_JOBS_PER_DAY", 1_000_000, problems))


def _jobs(environment: Mapping[str, str], name: str, high: int, problems: list[str]) -> int | None:
    """None for 0: no limit."""
    text = environment.get(name, "").strip() or "0"
    if not (re.fullmatch("[0-9]{1,7}", text) and int(text) <= high):
        problems.append(
            f"{name} is {_shown(text)}: it must be a whole number of jobs, from 1 to {high}, or 0 for no limit."
        )
        return None
    return int(text) or None


def _seconds(
    environment: Mapping[str, str], name: str, default: float, low: float, high: float, problems: list[str]
) -> float:
    return _number(environment, name, default, low, high, problems, "seconds")


def _number(
    environment: Mapping[str, str],
    name: str,
    default: float,
    low: float,
    high: float,
    problems: list[str],
    unit: str,
) -> float:
    text = environment.get(name, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        problems.append(
            f"{name} is {_shown(text)}: it must be a number of {unit}, from {low:.15g} to {high:.15g}."
        )
        return default
    return value


def _shown(text: str) -> str:
    """A number that can't be used. A longer text is not shown: it may be a key in the wrong place."""
    return f"'{text}'" if len(text) <= _LONGEST_NUMBER else "no number"
