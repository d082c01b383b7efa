"""Azurite with its data on disk, the simulated video API, a receiver of webhooks and the function host with the
app: real processes, some of which are killed."""

from __future__ import annotations

import contextlib
import json
import random
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import requests

from local.azurite_process import HOST, Azurite
from local.stack import BACKEND_SETTINGS, WEBHOOK_SETTINGS, Service, storage_environment
from tests.faults.soak_receiver import SoakReceiver
from video_jobs.settings.app import Settings

LEASE_SECONDS = 5
TRUE_LEASE_SECONDS = 600
CREATE_DEADLINE = 5  # seconds; the least that the app takes
FETCH_DEADLINE = 20
RUNNING_LIMIT = 4  # of the azure-sora backend, so that jobs wait in line
MOST_AT_ONCE = 1000  # jobs of one owner: nobody is refused, and every place is taken and given back

AZURE_SORA, OPENAI_VIDEOS = "azure-sora", "openai-videos"
_PATHS = {AZURE_SORA: "/openai/v1/video/generations", OPENAI_VIDEOS: "/openai/v1"}

# The work is short, and the clock keeps the real time: the app compares the times in the API's list with its own when it
# looks for a job whose answer was lost.
_SIMULATED: dict[str, Any] = {
    "queue_seconds": 1,
    "run_seconds": 3,
    "running_limit": RUNNING_LIMIT,
    "any_size": True,
    "pad_to_bytes": 5_000_000,
}
# What takes no time on one machine takes some here, or no kill would ever come in the middle of it.
_SLOW = [
    {"operation": "create", "times": -1, "delay": 0.6},
    {"operation": "video", "times": -1, "drip": 5_000_000},
]


@dataclass(frozen=True)
class Kill:
    at: datetime
    answers_at: datetime  #: when the next host's HTTP was there


class SoakMachine:
    """shortened: whether the app's longest waits are (`soak_host.WAITS`). lease_seconds: how long a killed host hides its
    messages."""

    def __init__(self, folder: Path, *, shortened: bool, lease_seconds: int = LEASE_SECONDS) -> None:
        self._folder = folder
        self.shortened = shortened
        self.lease_seconds = lease_seconds
        self._key = secrets.token_hex(16)
        self._parts = contextlib.ExitStack()
        self._lives = 0
        self._port = _free_port()
        self.azurite = Azurite(folder / "azurite")
        self.receiver = SoakReceiver(WEBHOOK_SETTINGS["WEBHOOK_SECRETS"])
        self.environment: dict[str, str] = {}
        self.kills: list[Kill] = []
        self.azurite_stops: list[float] = []  #: seconds that each took
        self.died: list[str] = []  #: hosts that ended by themselves
        self._simulator: Service
        self._host: Service

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._parts.close()

    @property
    def api(self) -> str:
        return f"http://{HOST}:{self._port}/api"

    @property
    def logs(self) -> Path:
        return self._folder / "logs"

    @property
    def settings(self) -> Settings:
        """As the app reads them."""
        return Settings.from_environment(self.environment)

    def _start(self) -> None:
        self._parts.enter_context(self.receiver)
        self._parts.callback(self.azurite.stop)
        self.azurite.start()
        self.environment = storage_environment(self.azurite) | dict.fromkeys(BACKEND_SETTINGS, "")
        arguments = ("--port", "0", "--api-key", self._key)
        self._simulator = Service(
            "simulator", "local.simulator", *arguments, environment=self.environment, logs=self.logs
        )
        self._parts.callback(self._simulator.stop)
        self._simulator.start()
        self.simulator("POST", "settings", _SIMULATED)
        self.simulator("POST", "faults", {"faults": _SLOW})
        self.environment |= {
            "VIDEO_BACKENDS": json.dumps([self._backend(AZURE_SORA), self._backend(OPENAI_VIDEOS)]),
            "SOAK_API_KEY": self._key,
            "VIDEO_CREATE_DEADLINE_SECONDS": str(CREATE_DEADLINE),
            "VIDEO_FETCH_DEADLINE_SECONDS": str(FETCH_DEADLINE),
            **WEBHOOK_SETTINGS,
            "WEBHOOK_URL": self.receiver.url,
            "OWNER_JOBS_AT_ONCE": str(MOST_AT_ONCE),
        }
        self._start_host()
        self._parts.callback(self.stop_host)

    def _backend(self, dialect: str) -> dict[str, Any]:
        """Both are the same simulator; one has slots to wait for, the other has none."""
        more: dict[str, Any] = {"running_limit": RUNNING_LIMIT}
        if dialect == OPENAI_VIDEOS:
            more = {"sizes": "any", "seconds": "any"}
        return {
            "name": dialect,
            "dialect": dialect,
            "base_url": self._simulator.url + _PATHS[dialect],
            "model": "sora",
            "api_key_setting": "SOAK_API_KEY",
            "auth": "api-key",
            **more,
        }

    # --- what befalls it ---

    def kill_host(self) -> None:
        """SIGKILL, and another host on the same port, as an orchestrator would start one."""
        self._note_death()
        self._host.kill()
        at = datetime.now(UTC)
        self._start_host()
        self.kills.append(Kill(at, datetime.now(UTC)))

    def stop_host(self) -> None:
        """In order."""
        self._note_death()
        self._host.stop()

    def restart_azurite(self, down: float, stopping: threading.Event) -> None:
        """In order, never with SIGKILL: Azurite answers before it has written its tables and queues to disk,
        which it does every few seconds and when it is told to stop. What a SIGKILL makes it forget, though it
        said that it was stored, Azure Storage would not."""
        started = time.monotonic()
        self.azurite.stop()
        self.azurite_stops.append(time.monotonic() - started)
        stopping.wait(down)
        self.azurite.start()

    def _note_death(self) -> None:
        if (code := self._host.exit_code()) is not None:
            self.died.append(f"{self._host.name} ended by itself with exit code {code}")

    def _start_host(self) -> None:
        self._lives += 1
        module = "tests.faults.soak_host" if self.shortened else "local.function_host"
        self._host = Service(
            f"function-host-{self._lives:02}",  # a log for each life
            module,
            *("--port", str(self._port), "--lease-seconds", str(self.lease_seconds)),
            environment=self.environment,
            logs=self.logs,
        )
        self._host.start()

    # --- the simulated API's books ---

    def simulator(self, method: str, path: str, content: Any = None) -> Any:
        """A call to its control endpoints."""
        url = f"{self._simulator.url}/_simulator/{path}"
        answer = call(method, url, json=content, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def generated(self, dialect: str, generation_id: str) -> bytes:
        """The bytes that the API made. Raises requests.HTTPError where it has none."""
        base = self._simulator.url + _PATHS[dialect]
        path = (
            f"/{generation_id}/content/video?api-version=preview"
            if dialect == AZURE_SORA
            else f"/videos/{generation_id}/content"
        )
        answer = call("GET", base + path, headers={"api-key": self._key}, timeout=60)
        answer.raise_for_status()
        return answer.content


class Storm(threading.Thread):
    """Kills the host and restarts Azurite at the moments that the seed gives, each without regard to the other."""

    def __init__(
        self, machine: SoakMachine, rng: random.Random, *, kills: int, restarts: int, over: float
    ) -> None:
        super().__init__(name="storm", daemon=True)
        self._machine = machine
        self._kills_at = sorted(rng.uniform(1, over) for _ in range(kills))
        self._restarts_at = [
            (at, rng.uniform(0, 2)) for at in sorted(rng.uniform(1, over) for _ in range(restarts))
        ]
        self._stopping = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        started = time.monotonic()
        other = threading.Thread(target=self._guarded, args=(self._restart_azurite, started), daemon=True)
        other.start()
        self._guarded(self._kill, started)
        other.join()

    def stop(self) -> None:
        """Do no more harm; what is being started is started."""
        self._stopping.set()
        self.join()

    def _kill(self, started: float) -> None:
        for at in self._kills_at:
            if self._stopping.wait(max(started + at - time.monotonic(), 0)):
                return
            self._machine.kill_host()

    def _restart_azurite(self, started: float) -> None:
        for at, down in self._restarts_at:
            if self._stopping.wait(max(started + at - time.monotonic(), 0)):
                return
            self._machine.restart_azurite(down, self._stopping)

    def _guarded(self, what: Callable[[float], None], started: float) -> None:
        try:
            what(started)
        except BaseException as error:  # noqa: BLE001 (told by the main thread, which waits for us)
            self.failure = self.failure or error


def call(method: str, url: str, **request: Any) -> requests.Response:
    """One request on a connection of its own. A proxy is for the world outside."""
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, url, **request)


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as found:
        return int(found.getsockname()[1])
