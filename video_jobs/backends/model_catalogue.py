"""Keeps the providers' lists of models for a while: a submit need not request a list, and does not fail without
one."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from itertools import islice
from typing import NamedTuple

from video_jobs.domain.capabilities import ModelTakes
from video_jobs.domain.errors import BackendError
from video_jobs.domain.logs import log_event

log = logging.getLogger("reelkeep.models")

KEPT = 600.0
"""Seconds after which a provider is asked again."""

_AGAIN = 30.0  # seconds until a provider that gave no list is asked again
_MOST_MODELS = 500
_LONGEST_NAME = 200  # characters, as in the settings

Ask = Callable[[], Mapping[str, ModelTakes]]


class _Told(NamedTuple):
    models: Mapping[str, ModelTakes]
    good_until: float


class ModelCatalogue:
    """By backend. Only one thread at a time requests a backend's list; the other threads use the last list, or wait
    for the first one."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._asking: dict[str, threading.Lock] = {}
        self._told: dict[str, _Told] = {}

    def of(self, backend: str, ask: Ask) -> Mapping[str, ModelTakes]:
        """Empty as long as the provider has never given its list."""
        with self._lock:
            told = self._told.get(backend)
            asking = self._asking.setdefault(backend, threading.Lock())
        if told is not None and self._now() < told.good_until:
            return told.models
        if not asking.acquire(blocking=told is None):
            return told.models if told is not None else {}
        try:
            return self._refreshed(backend, ask)
        finally:
            asking.release()

    def _refreshed(self, backend: str, ask: Ask) -> Mapping[str, ModelTakes]:
        told = self._told.get(backend)
        if told is not None and self._now() < told.good_until:  # another thread has asked meanwhile
            return told.models
        models: Mapping[str, ModelTakes]
        try:
            models, kept = _bounded(ask()), KEPT
        except BackendError as error:
            log_event(log, logging.WARNING, "backend.models_unreadable", backend=backend, problem=error)
            models, kept = told.models if told is not None else {}, _AGAIN
        self._told[backend] = _Told(models, self._now() + kept)
        return models


def _bounded(models: Mapping[str, ModelTakes]) -> dict[str, ModelTakes]:
    usable = ((name, takes) for name, takes in models.items() if _is_name(name))
    return dict(islice(usable, _MOST_MODELS))


def _is_name(name: str) -> bool:
    return 0 < len(name) <= _LONGEST_NAME and name.isprintable() and name.isascii()
