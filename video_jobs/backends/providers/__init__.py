"""The providers whose API is "create a task, poll the task, fetch an address": one file each, found by dialect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from video_jobs.backends.task_api import TaskApi
from video_jobs.settings.providers import PROVIDERS


class _TaskApis(Mapping[str, TaskApi]):
    """A provider's file is read when its description is first needed: most apps use one provider, or none."""

    _names = tuple(provider.name for provider in PROVIDERS)

    def __getitem__(self, dialect: str) -> TaskApi:
        if dialect not in self._names:
            raise KeyError(dialect)
        api: TaskApi = import_module(f"{__name__}.{dialect}").API
        return api

    def __contains__(self, dialect: object) -> bool:
        return dialect in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


TASK_APIS = _TaskApis()
