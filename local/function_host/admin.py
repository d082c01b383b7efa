"""The host's own answers: its home page, its status, and the drain before a stop."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from typing import Protocol

from local.function_host.calls import Answer
from local.function_host.keys import AccessKeys

HOMEPAGE_SETTING = "AzureWebJobsDisableHomepage"

_HOME = b"<!doctype html><title>Functions</title><p>Your Functions host is up and running.</p>"


class Drainable(Protocol):
    """The parts of the host that this module uses."""

    def drain(self) -> None:
        """Take no more messages and run no more timers; HTTP goes on."""

    @property
    def drain_state(self) -> str:
        """`Disabled`, `InProgress` or `Completed`."""

    @property
    def outstanding(self) -> int:
        """Functions that run for messages and timers."""


class Admin:
    """Requires the master key, if there are keys."""

    def __init__(self, keys: AccessKeys, host: Drainable) -> None:
        self._keys = keys
        self._host = host
        self._started = time.monotonic()

    def answer(
        self, method: str, path: str, headers: Mapping[str, str], query: Mapping[str, str]
    ) -> Answer | None:
        """None if the path is not one of the host's own."""
        if path == "/":
            return _home(method)
        what = {
            ("GET", "/admin/host/status"): self._status,
            ("POST", "/admin/host/drain"): self._drain,
            ("GET", "/admin/host/drain/status"): self._drain_status,
        }.get((method, path.lower()))
        if what is None:
            return None
        return what() if self._keys.admit("admin", headers, query) else Answer(401)

    def _status(self) -> Answer:
        uptime = int((time.monotonic() - self._started) * 1000)
        return _json(200, {"id": "local", "state": "Running", "version": "local", "processUptime": uptime})

    def _drain(self) -> Answer:
        self._host.drain()
        return Answer(202)

    def _drain_status(self) -> Answer:
        state = {"state": self._host.drain_state, "outstandingInvocations": self._host.outstanding}
        return _json(200, {**state, "outstandingRetries": 0})


def _home(method: str) -> Answer | None:
    if method != "GET":
        return None
    if os.environ.get(HOMEPAGE_SETTING, "").strip().lower() == "true":
        return Answer(204)
    return Answer(200, [("Content-Type", "text/html; charset=utf-8")], _HOME)


def _json(status: int, document: Mapping[str, object]) -> Answer:
    return Answer(status, [("Content-Type", "application/json")], json.dumps(document).encode())
