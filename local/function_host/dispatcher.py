"""Calls functions for all triggers of one host. It knows which run, and for how long they may."""

from __future__ import annotations

import logging
import secrets
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from local.function_host.calls import Answer, HttpCall, Invocation, QueueCall, TimerCall
from local.function_host.workers import Worker

log = logging.getLogger(__name__)


class Dispatcher:
    """timeout: seconds that a function may take; None for any time. A function that takes longer ends the worker."""

    def __init__(self, worker: Worker, timeout: float | None) -> None:
        self._worker = worker
        self._limit = _TimeLimit(timeout, worker.restart) if timeout is not None else None
        self._changed = threading.Condition()
        self._running: dict[str, Invocation] = {}
        self._started = 0

    @property
    def running(self) -> list[Invocation]:
        with self._changed:
            return list(self._running.values())

    @property
    def started(self) -> int:
        """How many invocations were ever started."""
        with self._changed:
            return self._started

    def call(
        self, function: str, call: HttpCall | QueueCall | TimerCall, traceparent: str | None = None
    ) -> Answer | None:
        """The answer of an HTTP function. Raises FunctionFailedError and WorkerGoneError."""
        new_trace = f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
        invocation = Invocation(str(uuid.uuid4()), function, call, traceparent or new_trace)
        with self._watched(invocation):
            return self._worker.call(invocation)

    def close(self) -> None:
        """Stop waiting for functions that still run."""
        if self._limit:
            self._limit.close()
        self._worker.close()

    @contextmanager
    def _watched(self, invocation: Invocation) -> Iterator[None]:
        with self._changed:
            self._running[invocation.id] = invocation
            self._started += 1
        if self._limit:
            self._limit.begin(invocation)
        try:
            yield
        finally:
            if self._limit:
                self._limit.end(invocation)
            with self._changed:
                del self._running[invocation.id]


class _TimeLimit:
    """One thread that watches the oldest invocation. All have the same limit, so the oldest reaches it first."""

    def __init__(self, seconds: float, on_timeout: Callable[[], None]) -> None:
        self._seconds = seconds
        self._on_timeout = on_timeout
        self._changed = threading.Condition()
        self._deadlines: dict[str, tuple[str, float]] = {}
        self._closed = False
        threading.Thread(target=self._watch, name="function-timeout", daemon=True).start()

    def begin(self, invocation: Invocation) -> None:
        with self._changed:
            self._deadlines[invocation.id] = (invocation.function, time.monotonic() + self._seconds)
            self._changed.notify()

    def end(self, invocation: Invocation) -> None:
        with self._changed:
            self._deadlines.pop(invocation.id, None)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _watch(self) -> None:
        while overdue := self._next_overdue():
            invocation_id, name = overdue
            log.critical(
                "'%s' (Id=%s) outlived functionTimeout (%g s); the worker ends with it, and with all that runs in it",
                name,
                invocation_id,
                self._seconds,
            )
            self._on_timeout()

    def _next_overdue(self) -> tuple[str, str] | None:
        """Wait for the next invocation to outlive the limit; None once closed."""
        with self._changed:
            while not self._closed:
                oldest = next(iter(self._deadlines.items()), None)
                if oldest is None:
                    self._changed.wait()
                    continue
                invocation_id, (name, deadline) = oldest
                if (left := deadline - time.monotonic()) > 0:
                    self._changed.wait(left)
                    continue
                del self._deadlines[invocation_id]
                return invocation_id, name
            return None
