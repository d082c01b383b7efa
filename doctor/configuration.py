"""Reads the settings part by part: if one is wrong, the others can still be checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from video_jobs.domain.errors import InvalidSettings
from video_jobs.settings.app import Settings
from video_jobs.settings.backend_list import read_api_keys, read_backends
from video_jobs.settings.backends import BackendSettings
from video_jobs.settings.storage import StorageSettings, read_storage


@dataclass(frozen=True)
class Configuration:
    problems: tuple[str, ...]  #: what keeps the app from starting
    storage: StorageSettings | None
    backends: tuple[BackendSettings, ...]
    api_keys: Mapping[str, str] = field(repr=False)  #: backend name → key; empty where it is missing
    settings: Settings | None  #: None where there are problems

    def key_is_missing(self, backend: BackendSettings) -> bool:
        return backend.api_key_setting is not None and not self.api_keys.get(backend.name)


def read_configuration(environment: Mapping[str, str]) -> Configuration:
    settings: Settings | None = None
    problems: list[str] = []
    try:
        settings = Settings.from_environment(environment)
    except InvalidSettings as error:
        problems = error.problems
    ignored: list[str] = []  # from_environment has reported these problems
    storage = read_storage(environment, ignored)
    backends = read_backends(environment, ignored)
    keys = read_api_keys(environment, backends, ignored)
    return Configuration(tuple(problems), storage, tuple(backends), keys, settings)
