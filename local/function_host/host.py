"""The function host: reads an app, starts what its triggers need, and stops without losing anything."""

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import azure.functions as func
from azure.core.exceptions import AzureError

from local.function_host.bindings import HttpTrigger, QueueTrigger, Triggers, read_app
from local.function_host.errors import AppError
from local.function_host.host_json import HostJson
from local.function_host.http_server import HOST, HttpServer
from local.function_host.invocations import Invoker, exit_process
from local.function_host.keys import AccessKeys
from local.function_host.leases import LeaseKeeper
from local.function_host.queues import QueueListener, connect
from local.function_host.routes import RouteTable
from local.function_host.timers import Timer

log = logging.getLogger(__name__)

LEASE_SECONDS = 600
STOP_SECONDS = 30.0
_LOOK_AGAIN_SECONDS = 0.02


class FunctionHost:
    """Runs one app, from start (or entering the block) to stop.

    connection_string: the storage of every queue trigger; None looks up the setting that each names.
    host_json: the settings, the file, or None for the real host's defaults.
    port: where HTTP is served on 127.0.0.1; 0 takes a free port.
    lease_seconds: how long a message stays hidden when this process is killed. Whole seconds, at least 2.
    on_timeout: called when a function outlives functionTimeout; by default the process ends with code 70.
    stop_seconds: how long leaving the block waits for what runs.
    keys: what functions that are not anonymous ask for; by default nothing.

    Raises AppError for an app that it cannot run, HostJsonError for host.json, OSError for a taken port.
    """

    def __init__(
        self,
        app: func.FunctionApp,
        connection_string: str | None = None,
        host_json: HostJson | Path | None = None,
        port: int = 0,
        lease_seconds: int = LEASE_SECONDS,
        on_timeout: Callable[[], None] = exit_process,
        stop_seconds: float = STOP_SECONDS,
        app_root: Path | None = None,
        keys: AccessKeys | None = None,
    ) -> None:
        if lease_seconds < 2:
            raise ValueError("lease_seconds must be at least 2: a lease is renewed at half its time")
        settings = HostJson.read(host_json) if isinstance(host_json, Path) else host_json or HostJson()
        self._triggers: Triggers = read_app(app)
        self._prefix = settings.route_prefix
        self._stop_seconds = stop_seconds
        routes = RouteTable(self._triggers.http, self._prefix)
        strings = [connection_string or _setting(trigger) for trigger in self._triggers.queues]
        self._invoker = Invoker(app_root or Path.cwd(), settings.function_timeout, on_timeout)
        self._keeper = LeaseKeeper()
        self._timers = [Timer(trigger, self._invoker) for trigger in self._triggers.timers]
        self._listeners = [
            QueueListener(
                trigger, connect(string), settings.queues, lease_seconds, self._invoker, self._keeper
            )
            for trigger, string in zip(self._triggers.queues, strings, strict=True)
        ]
        self._http = HttpServer(routes, self._invoker, port, keys or AccessKeys())

    @property
    def url(self) -> str:
        """Where HTTP is served, without the route prefix."""
        return f"http://{HOST}:{self._http.port}"

    def start(self) -> Self:
        """Start everything; requests are answered and queues exist when this returns."""
        self._keeper.start()
        for listener in self._listeners:
            listener.start()
        for timer in self._timers:
            timer.start()
        self._http.start()
        return self

    def stop(self, timeout: float | None = None) -> bool:
        """Take nothing new, wait so many seconds for what runs (default: stop_seconds), and let go.

        False when something still runs; its messages come back when their leases are over.
        """
        self._http.stop()
        for listener in self._listeners:
            listener.stop()
        for timer in self._timers:
            timer.stop()
        finished = _wait(self._nothing_runs, self._stop_seconds if timeout is None else timeout)
        if not finished:
            log.warning("Left behind: %s", ", ".join(self._invoker.running) or "unfinished requests")
        self._http.close()
        self._keeper.close()
        self._invoker.close()
        return finished

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
        """One line a function, as Core Tools print them."""
        port = self._http.port
        lines = [_describe_http(trigger, port, self._prefix) for trigger in self._triggers.http]
        lines += [
            f"{trigger.function.name}: queueTrigger ({trigger.queue_name})"
            for trigger in self._triggers.queues
        ]
        lines += [
            f"{trigger.function.name}: timerTrigger ({trigger.schedule})" for trigger in self._triggers.timers
        ]
        return lines

    def _nothing_runs(self) -> bool:
        return not (
            self._http.busy
            or self._invoker.running
            or any(listener.running for listener in self._listeners)
            or any(timer.running for timer in self._timers)
        )

    def _idle(self) -> bool:
        # A function that ends between two looks may have filled a queue that was already looked at:
        # only a round in which none ran at all counts.
        before = self._invoker.started
        try:
            quiet = all(listener.idle() for listener in self._listeners)
        except AzureError:
            return False
        return quiet and not self._http.busy and not self._invoker.running and self._invoker.started == before


def _setting(trigger: QueueTrigger) -> str:
    try:
        return os.environ[trigger.connection]
    except KeyError:
        raise AppError(
            f"Function {trigger.function.name}: the setting {trigger.connection}, which names the storage of "
            f"queue {trigger.queue_name}, is not set. It belongs into local.settings.json."
        ) from None


def _describe_http(trigger: HttpTrigger, port: int, prefix: str) -> str:
    methods = f"[{','.join(trigger.methods)}] " if trigger.methods else ""
    path = f"{prefix}/{trigger.route.strip('/')}".strip("/")
    return f"{trigger.function.name}: {methods}http://localhost:{port}/{path}"


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_AGAIN_SECONDS)
    return True
