"""The Python worker: in this process, or in a separate one that may die and is started again, as in Azure."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

from local.function_host.bindings import Triggers
from local.function_host.calls import Answer, Invocation
from local.function_host.console import log_to_stderr
from local.function_host.errors import AppError
from local.function_host.functions import FunctionFailedError, Functions, load_app
from local.function_host.log_filter import LogFilter

log = logging.getLogger(__name__)

MOST_CRASHES = 3
CRASH_WINDOW = 30 * 60.0  # seconds
YOUNG = 5.0  # seconds
START_SECONDS = 60.0


class WorkerGoneError(Exception):
    """The process died under the function. `was_young`: so soon after its start that HTTP clients get no answer."""

    def __init__(self, was_young: bool) -> None:
        super().__init__("the worker process died")
        self.was_young = was_young


class Worker(Protocol):
    @property
    def triggers(self) -> Triggers: ...

    def call(self, invocation: Invocation) -> Answer | None:
        """What an HTTP function answers. Raises FunctionFailedError and WorkerGoneError."""

    def restart(self) -> None:
        """Give up everything that runs: a function has exceeded its time."""

    def close(self) -> None: ...


class WorkerHere:
    """In this process. It can't be restarted: `on_timeout` is called instead."""

    def __init__(self, functions: Functions, on_timeout: Callable[[], None]) -> None:
        self.triggers = functions.triggers
        self._functions = functions
        self.restart = on_timeout

    def call(self, invocation: Invocation) -> Answer | None:
        return self._functions.run_on_pool(invocation)

    def close(self) -> None:
        self._functions.close()


class WorkerProcess:
    """A separate process. When it dies, the functions in it fail, and calls wait for the next process. At the third death
    within half an hour, `on_third_crash` is called.

    Raises AppError for an app that can't be run.
    """

    def __init__(self, app_root: Path, levels: LogFilter, on_third_crash: Callable[[], None]) -> None:
        self._app_root = app_root
        self._levels = levels
        self._on_third_crash = on_third_crash
        self._changed = threading.Condition()
        self._pending: dict[str, Future[Answer | None]] = {}
        self._crashes: list[float] = []
        self._is_closed = self._is_restarting = False
        self._child: _Child | None = None
        self.triggers = self._start()

    @property
    def pid(self) -> int | None:
        with self._changed:
            return self._child.pid if self._child is not None else None

    def call(self, invocation: Invocation) -> Answer | None:
        future: Future[Answer | None] = Future()
        with self._changed:
            self._changed.wait_for(lambda: self._child is not None or self._is_closed)
            if self._child is None:
                raise WorkerGoneError(was_young=False)
            self._pending[invocation.id] = future
            child = self._child
        child.send(invocation)
        return future.result()

    def restart(self) -> None:
        with self._changed:
            self._is_restarting = True
            child = self._child
        if child is not None:
            child.kill()

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            child, self._child = self._child, None
            self._changed.notify_all()
        if child is not None:
            child.kill()

    def _start(self) -> Triggers:
        child = _Child(self._app_root, self._levels)
        with self._changed:
            self._child = child
            self._changed.notify_all()
        threading.Thread(target=self._listen, args=(child,), name="worker", daemon=True).start()
        return child.triggers

    def _listen(self, child: _Child) -> None:
        while (told := child.receive()) is not None:
            invocation_id, answer, succeeded = told
            with self._changed:
                future = self._pending.pop(invocation_id, None)
            if future is not None and succeeded:
                future.set_result(answer)
            elif future is not None:
                future.set_exception(FunctionFailedError(invocation_id))
        self._bury(child)

    def _bury(self, child: _Child) -> None:
        with self._changed:
            if self._child is child:
                self._child = None
            failed, self._pending = self._pending, {}
            was_restart, self._is_restarting = self._is_restarting, False
            closed = self._is_closed
        for future in failed.values():
            future.set_exception(WorkerGoneError(time.monotonic() - child.started_at < YOUNG))
        if closed:
            return
        if not was_restart:
            now = time.monotonic()
            self._crashes = [*(at for at in self._crashes if now - at < CRASH_WINDOW), now]
            log.error(
                "The Python worker (pid %s) died; crash %s of %s", child.pid, len(self._crashes), MOST_CRASHES
            )
            if len(self._crashes) >= MOST_CRASHES:
                self._on_third_crash()
                return
        try:
            self._start()
        except AppError:
            log.exception("The Python worker does not start again")
            self._on_third_crash()


class _Child:
    """One worker process, which has loaded the app. Raises AppError."""

    def __init__(self, app_root: Path, levels: LogFilter) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_work, args=(theirs, app_root, levels), name="worker", daemon=True
        )
        self._process.start()
        theirs.close()
        self._sending = threading.Lock()
        self.pid = self._process.pid
        try:
            if not self._connection.poll(START_SECONDS):
                raise AppError("The app took too long to load.")
            told = self._connection.recv()
        except (EOFError, OSError):
            told = AppError("The Python worker died while it loaded the app.")
        if isinstance(told, AppError):
            self.kill()
            raise told
        self.triggers: Triggers = told
        self.started_at = time.monotonic()

    def send(self, invocation: Invocation) -> None:
        try:
            with self._sending:
                self._connection.send(invocation)
        except OSError:
            return  # it is dead, and the thread that reads from it notices

    def receive(self) -> tuple[str, Answer | None, bool] | None:
        """None when it has died."""
        try:
            told: tuple[str, Answer | None, bool] = self._connection.recv()
        except (EOFError, OSError):
            return None
        return told

    def kill(self) -> None:
        self._process.kill()
        self._process.join()


def _work(connection: Connection, app_root: Path, levels: LogFilter) -> None:
    """The main function of a worker process, which ends with the host."""
    for each in (signal.SIGINT, signal.SIGTERM):  # they are for the host, which ends it
        signal.signal(each, signal.SIG_IGN)
    sending = threading.Lock()
    try:
        os.chdir(app_root)
        log_to_stderr(levels)
        functions = Functions(load_app(app_root), app_root)
    except AppError as error:
        connection.send(AppError(str(error)))
        return
    connection.send(functions.triggers)

    def tell(invocation_id: str, answer: Answer | None, succeeded: bool) -> None:
        with sending:
            connection.send((invocation_id, answer, succeeded))

    while True:
        try:
            functions.start(connection.recv(), tell)
        except (EOFError, OSError):
            os._exit(0)
