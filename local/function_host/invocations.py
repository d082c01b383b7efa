"""Calls the app's functions: threads for sync handlers, one event loop for async ones, one time limit.

As in Azure, a function that outlives the limit cannot be stopped and takes its process along.
"""

import asyncio
import inspect
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import azure.functions as func

from local.function_host.bindings import Function

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger(__name__)

DEFAULT_THREADS = 32
TIMEOUT_EXIT_CODE = 70


class FunctionFailedError(Exception):
    """The function raised; it is logged already, and the cause is attached."""


def exit_process() -> None:
    """What a timeout does unless a test asks for something else."""
    os._exit(TIMEOUT_EXIT_CODE)


class Invoker:
    """Runs functions for all triggers of one host.

    timeout: seconds a function may take; None for any time.
    on_timeout: called once for each function that outlives it, after the critical log line.
    """

    def __init__(self, app_root: Path, timeout: float | None, on_timeout: Callable[[], None]) -> None:
        self._app_root = app_root
        self._limit = _TimeLimit(timeout, on_timeout) if timeout is not None else None
        threads = int(os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT") or DEFAULT_THREADS)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="function")
        self._loop = _EventLoop()
        self._changed = threading.Condition()
        self._running: dict[str, str] = {}
        self._started = 0

    @property
    def running(self) -> list[str]:
        """The names of the functions that run now, one for each invocation."""
        with self._changed:
            return list(self._running.values())

    @property
    def started(self) -> int:
        """How many invocations were ever started."""
        with self._changed:
            return self._started

    def submit(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Do something on the threads that sync handlers share."""
        return self._pool.submit(work, *args, **kwargs)

    def call_on_pool(self, function: Function, argument: Any) -> Any:
        """Like call, but a sync handler waits for one of the shared threads."""
        if inspect.iscoroutinefunction(function.handler):
            return self.call(function, argument)
        return self.submit(self.call, function, argument).result()

    def call(self, function: Function, argument: Any) -> Any:
        """Call a function in this thread, or on the event loop, and return what it returned.

        Raises FunctionFailedError, after logging it, when the function raised anything at all.
        """
        invocation_id = str(uuid.uuid4())
        arguments = {function.trigger_argument: argument}
        if function.wants_context:
            arguments["context"] = _Context(invocation_id, function.name, str(self._app_root))
        start = time.monotonic()
        log.debug("Executing '%s' (Id=%s)", function.name, invocation_id)
        with self._watched(invocation_id, function.name):
            try:
                result = function.handler(**arguments)
                if inspect.iscoroutine(result):
                    result = self._loop.run(result)
            except BaseException as error:
                log.exception(
                    "Executed '%s' (Failed, Id=%s, %s)", function.name, invocation_id, _since(start)
                )
                raise FunctionFailedError(function.name) from error
        log.info("Executed '%s' (Succeeded, Id=%s, %s)", function.name, invocation_id, _since(start))
        return result

    def close(self) -> None:
        """Let go of the threads. What still runs is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._loop.close()
        if self._limit:
            self._limit.close()

    @contextmanager
    def _watched(self, invocation_id: str, name: str) -> Iterator[None]:
        with self._changed:
            self._running[invocation_id] = name
            self._started += 1
        if self._limit:
            self._limit.begin(invocation_id, name)
        try:
            yield
        finally:
            if self._limit:
                self._limit.end(invocation_id)
            with self._changed:
                del self._running[invocation_id]


def _since(start: float) -> str:
    return f"Duration={(time.monotonic() - start) * 1000:.0f}ms"


class _TimeLimit:
    """One thread that watches the oldest invocation: all have the same limit, so it is the next due."""

    def __init__(self, seconds: float, on_timeout: Callable[[], None]) -> None:
        self._seconds = seconds
        self._on_timeout = on_timeout
        self._changed = threading.Condition()
        self._deadlines: dict[str, tuple[str, float]] = {}
        self._closed = False
        threading.Thread(target=self._watch, name="function-timeout", daemon=True).start()

    def begin(self, invocation_id: str, name: str) -> None:
        with self._changed:
            self._deadlines[invocation_id] = (name, time.monotonic() + self._seconds)
            self._changed.notify()

    def end(self, invocation_id: str) -> None:
        with self._changed:
            self._deadlines.pop(invocation_id, None)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _watch(self) -> None:
        while overdue := self._next_overdue():
            invocation_id, name = overdue
            log.critical(
                "'%s' (Id=%s) outlived functionTimeout (%g s); the process ends with it, as in Azure",
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


class _EventLoop:
    """The one loop that all async handlers share; started when the first is called."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, coroutine: Any) -> Any:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="async-functions", daemon=True).start()
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def close(self) -> None:
        with self._lock:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._loop.stop)


@dataclass(frozen=True)
class _Identity:
    id: str
    name: str
    directory: str


class _Context(func.Context):
    """What a function sees that asks for its ``context``. Traces and retries exist in Azure only."""

    thread_local_storage = threading.local()  # type: ignore[assignment]
    trace_context = None  # type: ignore[assignment]
    retry_context = None  # type: ignore[assignment]

    def __init__(self, invocation_id: str, name: str, directory: str) -> None:
        self._identity = _Identity(invocation_id, name, directory)

    @property
    def invocation_id(self) -> str:
        return self._identity.id

    @property
    def function_name(self) -> str:
        return self._identity.name

    @property
    def function_directory(self) -> str:
        return self._identity.directory
