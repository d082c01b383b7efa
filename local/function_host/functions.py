"""The worker's side: runs the app's functions on threads and on one event loop, each call with its own context."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import azure.functions as func

from local.function_host.bindings import Triggers, read_app
from local.function_host.calls import Answer, HttpCall, Invocation, UnusableAnswerError, answer_of
from local.function_host.errors import AppError

log = logging.getLogger(__name__)

DEFAULT_THREADS = 32
_MOST_COROUTINES = 1000  # at once


class FunctionFailedError(Exception):
    """The function raised; it is logged already."""


_current = threading.local()
_said = threading.local()  # the context's thread_local_storage: the app may write its invocation's id into it
_running: dict[str, str] = {}  # functions by invocation
_TASK = "function "  # before the function's name, in that of its asyncio task


def current_function() -> str | None:
    """The function that runs here: in its own thread, or its own task.

    None in a thread that the app has made, also by an executor or `asyncio.to_thread`. The real worker knows no
    invocation there, and loses what such a thread logs, unless the app has set the invocation's id in the context's
    `thread_local_storage`.
    """
    name: str | None = getattr(_current, "function", None)
    if name is not None:
        return name
    if (said := getattr(_said, "invocation_id", None)) is not None:
        return _running.get(said)
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no loop in this thread
        return None
    return task.get_name().removeprefix(_TASK) if task and task.get_name().startswith(_TASK) else None


class Functions:
    """All functions of an app. Raises AppError for one that cannot be run here."""

    def __init__(self, app: func.FunctionApp, app_root: Path) -> None:
        self.triggers: Triggers
        self.triggers, self._handlers = read_app(app)
        self._app_root = app_root
        threads = int(os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT") or DEFAULT_THREADS)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="function")
        # In the real worker a coroutine holds no thread. Here one waits for it, but none of those that the functions share.
        self._beside = ThreadPoolExecutor(_MOST_COROUTINES, thread_name_prefix="coroutine")
        self._loop = _EventLoop()

    def handler(self, function: str) -> Callable[..., Any]:
        return self._handlers[function].function

    def start(self, invocation: Invocation, tell: Callable[[str, Answer | None, bool], None]) -> None:
        """Run it. Returns the answer of an HTTP function, and whether the function succeeded."""
        self._threads_for(invocation).submit(self._run_and_tell, invocation, tell)

    def run_on_pool(self, invocation: Invocation) -> Answer | None:
        """Like `run`, on one of the threads that all functions share, or beside them if it is a coroutine."""
        return self._threads_for(invocation).submit(self.run, invocation).result()

    def run(self, invocation: Invocation) -> Answer | None:
        """The answer of an HTTP function. Raises FunctionFailedError, after logging why."""
        handler, started = self._handlers[invocation.function], time.monotonic()
        arguments: dict[str, Any] = {handler.trigger_argument: invocation.call.argument()}
        if handler.wants_context:
            arguments["context"] = _Context(invocation, str(self._app_root))
        with _in_function(invocation):
            try:
                if inspect.iscoroutinefunction(handler.function):
                    result = self._loop.run(handler.function(**arguments), invocation.function)
                else:
                    result = handler.function(**arguments)
                answer = answer_of(result) if isinstance(invocation.call, HttpCall) else None
            except UnusableAnswerError as error:
                log.error("'%s': %s", invocation.function, error)
                raise FunctionFailedError(invocation.function) from error
            except BaseException as error:
                log.exception(
                    "Executed '%s' (Failed, Id=%s, %s)", invocation.function, invocation.id, _since(started)
                )
                raise FunctionFailedError(invocation.function) from error
            log.info(
                "Executed '%s' (Succeeded, Id=%s, %s)", invocation.function, invocation.id, _since(started)
            )
        return answer

    def close(self) -> None:
        """Release the threads, without waiting for what still runs."""
        for threads in (self._pool, self._beside):
            threads.shutdown(wait=False, cancel_futures=True)
        self._loop.close()

    def _threads_for(self, invocation: Invocation) -> ThreadPoolExecutor:
        is_coroutine = inspect.iscoroutinefunction(self.handler(invocation.function))
        return self._beside if is_coroutine else self._pool

    def _run_and_tell(self, invocation: Invocation, tell: Callable[[str, Answer | None, bool], None]) -> None:
        try:
            answer = self.run(invocation)
        except FunctionFailedError:
            tell(invocation.id, None, False)
        else:
            tell(invocation.id, answer, True)


def load_app(app_root: Path) -> func.FunctionApp:
    """Import function_app from the app root and find the one FunctionApp in it.

    Raises AppError when it is missing or not the only one.
    """
    if not (app_root / "function_app.py").is_file():
        raise AppError(f"There is no function_app.py in {app_root}. Name its folder with --app-root.")
    if str(app_root) not in sys.path:
        sys.path.insert(0, str(app_root))
    module = importlib.import_module("function_app")
    apps = {id(value): value for value in vars(module).values() if isinstance(value, func.FunctionApp)}
    if len(apps) != 1:
        raise AppError(f"function_app.py must hold one FunctionApp, and it holds {len(apps)}.")
    return next(iter(apps.values()))


def _since(started: float) -> str:
    return f"Duration={(time.monotonic() - started) * 1000:.0f}ms"


@contextmanager
def _in_function(invocation: Invocation) -> Iterator[None]:
    before = current_function()
    _current.function = _running[invocation.id] = invocation.function
    try:
        yield
    finally:
        _current.function = before
        del _running[invocation.id]


class _EventLoop:
    """The one loop that all async handlers share; started when the first is called."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, coroutine: Any, name: str) -> Any:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="async-functions", daemon=True).start()

        async def named() -> Any:
            task = asyncio.current_task()
            assert task is not None
            task.set_name(_TASK + name)
            return await coroutine

        return asyncio.run_coroutine_threadsafe(named(), self._loop).result()

    def close(self) -> None:
        with self._lock:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._loop.stop)


class _Trace:
    """As the worker gives it: under both names."""

    def __init__(self, traceparent: str) -> None:
        self.Traceparent = self.trace_parent = traceparent
        self.Tracestate = self.trace_state = ""
        self.Attributes: dict[str, str] = {}
        self.attributes = self.Attributes


class _Context(func.Context):
    """What a function sees that asks for its ``context``."""

    thread_local_storage = _said  # type: ignore[assignment]
    retry_context = None  # type: ignore[assignment]

    def __init__(self, invocation: Invocation, directory: str) -> None:
        self._invocation = invocation
        self._directory = directory

    @property
    def invocation_id(self) -> str:
        return self._invocation.id

    @property
    def function_name(self) -> str:
        return self._invocation.function

    @property
    def function_directory(self) -> str:
        return self._directory

    @property
    def trace_context(self) -> Any:
        return _Trace(self._invocation.traceparent)
