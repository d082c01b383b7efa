"""The function host: reads an app, starts what its triggers need, and stops in the same order as the real host."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import azure.functions as func
from azure.core.exceptions import AzureError, HttpResponseError
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from local.function_host.admin import Admin
from local.function_host.bindings import HttpTrigger, QueueTrigger
from local.function_host.dispatcher import Dispatcher
from local.function_host.errors import AppError
from local.function_host.functions import Functions
from local.function_host.host_json import HostJson
from local.function_host.http_server import HOST, HttpServer
from local.function_host.keys import AccessKeys
from local.function_host.leases import LeaseKeeper
from local.function_host.locks import OwnTimer, SharedTimer, TimerStore
from local.function_host.queues import QueueListener, connect
from local.function_host.routes import RouteTable
from local.function_host.timers import Timer
from local.function_host.workers import Worker, WorkerHere

log = logging.getLogger(__name__)

LEASE_SECONDS = 600
_STORAGE_SETTING = "AzureWebJobsStorage"
REQUEST_SECONDS = 30.0  # that open requests have when the host is stopped
FUNCTION_SECONDS = 10.0  # and then running functions
TIMEOUT_EXIT_CODE = 70
_RECHECK_SECONDS = 0.02
_STORAGE_AGAIN_SECONDS = 1.0


def exit_process() -> None:
    """What a timeout does to a worker in this process, unless a test asks for something else."""
    os._exit(TIMEOUT_EXIT_CODE)


class FunctionHost:
    """Runs one app, from start (or entering the block) to stop.

    app: a function app, which then runs in this process, or a worker that has one.
    connection_string: the storage of every queue trigger; None looks up the setting that each names.
    host_json: the settings, the file, or None for the real host's defaults.
    port: where HTTP is served on 127.0.0.1; 0 takes a free port.
    lease_seconds: how long a message stays hidden when this process is killed. Whole seconds, at least 2.
    on_timeout: called when a function in this process outlives functionTimeout; by default the process ends with 70.
    stop_seconds: how long leaving the block waits for what runs, at most.
    keys: the keys that functions require, except anonymous ones; by default none.

    Raises AppError for an app that it cannot run, HostJsonError for host.json, OSError for a taken port.
    """

    def __init__(
        self,
        app: func.FunctionApp | Worker,
        connection_string: str | None = None,
        host_json: HostJson | Path | None = None,
        port: int = 0,
        lease_seconds: int = LEASE_SECONDS,
        on_timeout: Callable[[], None] = exit_process,
        stop_seconds: float = REQUEST_SECONDS + FUNCTION_SECONDS,
        app_root: Path | None = None,
        keys: AccessKeys | None = None,
    ) -> None:
        if lease_seconds < 2:
            raise ValueError("lease_seconds must be at least 2: a lease is renewed at half its time")
        settings = HostJson.read(host_json) if isinstance(host_json, Path) else host_json or HostJson()
        root = app_root or Path.cwd()
        if isinstance(app, func.FunctionApp):
            worker: Worker = WorkerHere(Functions(app, root), on_timeout)
        else:
            worker = app
        self._triggers = triggers = worker.triggers
        self._prefix = settings.route_prefix
        self._stop_seconds = stop_seconds
        self._dispatcher = Dispatcher(worker, settings.function_timeout)
        self._keeper = LeaseKeeper()
        self._stopping = threading.Event()
        self._is_draining = False
        own = connection_string or os.environ.get(_STORAGE_SETTING) or None
        host_id = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:32]
        try:
            routes = RouteTable(triggers.http, self._prefix)
            self._timers = [
                Timer(trigger, self._dispatcher, _timer_store(own, host_id, trigger.function))
                for trigger in triggers.timers
            ]
            services = [connect(connection_string or _setting(trigger)) for trigger in triggers.queues]
            self._storage: QueueServiceClient | None = services[0] if services else None
            self._listeners = [
                QueueListener(
                    trigger, service, settings.queues, lease_seconds, self._dispatcher, self._keeper
                )
                for trigger, service in zip(triggers.queues, services, strict=True)
            ]
            keys = keys or AccessKeys()
            self._http = HttpServer(routes, self._dispatcher, port, keys, settings, Admin(keys, self))
        except BaseException:
            self._dispatcher.close()
            raise
        for listener in self._listeners:
            listener.on_poison = self._wake

    @property
    def url(self) -> str:
        """Where HTTP is served, without the route prefix."""
        return f"http://{HOST}:{self._http.port}"

    @property
    def throttled(self) -> bool:
        """Whether every request is answered 429, as by a host that is too busy."""
        return self._http.throttled

    @throttled.setter
    def throttled(self, value: bool) -> None:
        self._http.throttled = value

    @property
    def storage_endpoint(self) -> str | None:
        """The address of the queues; None for an app without queues."""
        return None if self._storage is None else str(self._storage.url)

    def start(self) -> Self:
        """Start everything; requests are answered when this returns. Without storage it waits."""
        self._await_storage()
        self._keeper.start()
        for listener in self._listeners:
            listener.start()
        for timer in self._timers:
            timer.start()
        if not self._stopping.is_set():
            self._http.start()
        return self

    def stop(self, timeout: float | None = None) -> bool:
        """Close the port; let open requests end, while messages are still taken and timers fire; then take nothing
        more, and let functions end. So many seconds at most (default: stop_seconds).

        False when something still runs; its messages come back when their leases are over.
        """
        self._stopping.set()
        left = _Budget(self._stop_seconds if timeout is None else timeout)
        self._http.stop()
        _wait(lambda: not self._http.busy, left.up_to(REQUEST_SECONDS))
        self.drain()
        finished = _wait(self._nothing_runs, left.up_to(FUNCTION_SECONDS))
        if not finished:
            running = [invocation.function for invocation in self._dispatcher.running]
            log.warning("Cut off: %s", ", ".join(running) or "unfinished requests")
        self._http.close()
        self._keeper.close()
        for listener in self._listeners:
            listener.close()
        self._dispatcher.close()
        return finished

    def drain(self) -> None:
        """Take no more messages and run no more timers; HTTP goes on."""
        self._is_draining = True
        for listener in self._listeners:
            listener.stop()
        for timer in self._timers:
            timer.stop()

    @property
    def drain_state(self) -> str:
        """`Disabled`, `InProgress` or `Completed`, as the real host says it."""
        if not self._is_draining:
            return "Disabled"
        return "InProgress" if self.outstanding else "Completed"

    @property
    def outstanding(self) -> int:
        """The number of messages and timers under way."""
        messages = sum(listener.in_process for listener in self._listeners)
        running = [invocation.function for invocation in self._dispatcher.running]
        return messages + sum(trigger.function in running for trigger in self._triggers.timers)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def wait_idle(self, timeout: float) -> bool:
        """Wait until nothing runs and no queue shows a message. False after so many seconds."""
        return _wait(self._idle, timeout)

    def describe(self) -> list[str]:
        """One line for each function, as Core Tools print them."""
        port = self._http.port
        lines = [_describe_http(trigger, port, self._prefix) for trigger in self._triggers.http]
        lines += [
            f"{trigger.function}: queueTrigger ({trigger.queue_name})" for trigger in self._triggers.queues
        ]
        lines += [
            f"{trigger.function}: timerTrigger ({trigger.schedule})" for trigger in self._triggers.timers
        ]
        return lines

    def _await_storage(self) -> None:
        said = False
        while self._storage is not None and not self._stopping.is_set():
            try:
                self._storage.get_service_properties()
            except HttpResponseError:
                return  # it answers
            except AzureError:
                if not said:
                    log.warning("Storage does not answer; the port stays closed until it does")
                said = True
                self._stopping.wait(_STORAGE_AGAIN_SECONDS)
            else:
                return

    def _wake(self, queue_name: str) -> None:
        for listener in self._listeners:
            if listener.queue_name == queue_name:
                listener.wake()

    def _nothing_runs(self) -> bool:
        return not (
            self._http.busy
            or self._dispatcher.running
            or any(listener.running for listener in self._listeners)
            or any(timer.running for timer in self._timers)
        )

    def _idle(self) -> bool:
        # A function that ends between two rounds may have filled a queue that this round had already read:
        # only a round in which none ran at all counts.
        before = self._dispatcher.started
        try:
            quiet = all(listener.idle() for listener in self._listeners)
        except AzureError:
            return False
        busy = self._http.busy or self._dispatcher.running
        return quiet and not busy and self._dispatcher.started == before


class _Budget:
    """A number of seconds that several waits share."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    def up_to(self, most: float) -> float:
        return max(min(self._until - time.monotonic(), most), 0.0)


def _timer_store(connection_string: str | None, host_id: str, function: str) -> TimerStore:
    if connection_string is None:
        return OwnTimer()
    service = BlobServiceClient.from_connection_string(
        connection_string, retry_total=0, connection_timeout=5, read_timeout=10
    )
    return SharedTimer(service, host_id, function)


def _setting(trigger: QueueTrigger) -> str:
    try:
        return os.environ[trigger.connection]
    except KeyError:
        raise AppError(
            f"Function {trigger.function}: the setting {trigger.connection}, which names the storage of "
            f"queue {trigger.queue_name}, is not set. It belongs into local.settings.json."
        ) from None


def _describe_http(trigger: HttpTrigger, port: int, prefix: str) -> str:
    methods = f"[{','.join(trigger.methods)}] " if trigger.methods else ""
    path = f"{prefix}/{trigger.route.strip('/')}".strip("/")
    return f"{trigger.function}: {methods}http://localhost:{port}/{path}"


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_RECHECK_SECONDS)
    return True
