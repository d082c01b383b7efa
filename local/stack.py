"""The whole stack on one machine: Azurite, the simulated video API (unless a real one is named), and the app."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from local.azurite_process import Azurite
from local.processes import end, uninterrupted
from video_jobs.settings.providers import PROVIDERS

ROOT = Path(__file__).resolve().parent.parent

_START_SECONDS = 60.0
_STOP_SECONDS = 50.0  # the function host waits 30 s for requests and 10 for what else runs
MODELS = {"azure-sora": "sora", "openai-videos": "sora-2"}
SIMULATED = (*MODELS, *(provider.name for provider in PROVIDERS))
"""The dialects that the app can speak with the simulated video API."""

WEBHOOK_SETTINGS = {
    "WEBHOOK_SECRETS": "whsec_cmVlbGtlZXAgb24gb25lIG1hY2hpbmU6IG5vdCBhIHNlY3JldA==",  # known to all: on one machine there is nobody to fool
    "WEBHOOK_ALLOW_HTTP_LOOPBACK": "true",
}
# Settings of a shell or a local.settings.json must not lead a demonstration to a backend that costs money.
BACKEND_SETTINGS = (
    "AZURE_OPENAI_ENDPOINT",
    "AZURE_OPENAI_API_KEY",
    "AZURE_OPENAI_DEPLOYMENT",
    "AZURE_OPENAI_TOKEN_SCOPE",
    "VIDEO_BACKENDS",
    "VIDEO_DIALECT",
    *(provider.key_setting for provider in PROVIDERS),
)


class StackError(RuntimeError):
    """A part did not start, or died. The message says which one, and where its log is."""


class Service:
    """One Python module as a child process, ready when it prints its address."""

    def __init__(
        self, name: str, module: str, *arguments: str, environment: Mapping[str, str], logs: Path
    ) -> None:
        self.name = name
        self.url = ""
        self.log = logs / f"{name}.log"
        self._command = [sys.executable, "-u", "-m", module, *arguments]
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The number of the process group that it leads."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Raises StackError."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            end(process, _STOP_SECONDS)

    def kill(self) -> None:
        """Send SIGKILL to it and to the processes that it has started. Like a power cut, it leaves no time to tidy up."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def told(self, pattern: str) -> str:
        """The first group of the pattern in what the process has printed. Raises StackError."""
        found = re.search(pattern, self._said())
        if found is None:
            raise StackError(f"The {self.name} did not say what was expected. Its log: {self.log}")
        return found[1]

    def exit_code(self) -> int | None:
        return self._process.poll() if self._process else None

    def _start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log, uninterrupted():
            self._process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=dict(self._environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches only this process, which ends the parts in their order
            )
        deadline = time.monotonic() + _START_SECONDS
        while not (address := re.search(r"(?:Ready on|API at) (http://\S+)", self._said())):
            if self.exit_code() is not None or time.monotonic() > deadline:
                raise StackError(f"The {self.name} did not start. It said:\n{self._said()[-3000:]}")
            time.sleep(0.05)
        self.url = address[1]

    def _said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")


class Stack:
    """Starts the parts one after another, prints each start, and stops them in the opposite order.

    Args:
        dialect: which of `SIMULATED` the app speaks; None: the environment names a real backend.
        port: of the app; 0 for a free one.
        simulator_port: of the simulated video API; 0 for a free one.
        pace: how many times faster than at the real video API a job is done. The simulated clock keeps the real time,
            since the app compares the list's times with its own when it looks for a job whose answer was lost.
        folder: where data and logs are kept, by one stack at a time; None: data in memory, logs not kept.
        lease: seconds for which a killed host hides its messages; None: as long as Azure's.
        function_key, master_key: the keys that the app requires, as in Azure; None: none.
    """

    def __init__(
        self,
        *,
        dialect: str | None,
        port: int = 0,
        simulator_port: int = 0,
        pace: float = 1.0,
        folder: Path | None = None,
        lease: int | None = None,
        function_key: str | None = None,
        master_key: str | None = None,
    ) -> None:
        self._dialect = dialect
        self._port = port
        self._simulator_port = simulator_port
        self._pace = pace
        self._folder = folder
        self._lease = lease
        self._keys = {"--function-key": function_key, "--master-key": master_key}
        self._parts = contextlib.ExitStack()
        self.simulator: Service | None = None
        self.host: Service | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def api(self) -> str:
        """The address with which the job API's URLs begin."""
        assert self.host is not None
        return f"{self.host.url}/api"

    def stop(self) -> None:
        with uninterrupted():
            self._parts.close()

    def wait(self) -> None:
        """Wait until a part dies that can't be started again. Raises StackError then.

        As in Azure, the host ends when its worker dies for the third time, or storage refuses it for too long, and
        a new host takes over.
        """
        assert self.host is not None
        while True:
            if self.simulator is not None and self.simulator.exit_code() is not None:
                raise StackError(f"The simulated video API has died. Its log: {self.simulator.log}")
            if self.host.exit_code() is not None:
                _say(f"the function host ended with exit code {self.host.exit_code()}; starting another")
                self.host.start()
            time.sleep(0.5)

    def _start(self) -> None:
        for port in (self._port, self._simulator_port if self._dialect else 0):
            if port:
                _refuse_taken(port)
        if self._folder is not None:
            self._parts.enter_context(_alone_in(self._folder))
            logs = self._folder / "logs"
        else:
            logs = Path(self._parts.enter_context(tempfile.TemporaryDirectory(prefix="reelkeep-")))
        started = time.monotonic()
        azurite = Azurite(self._folder and self._folder / "azurite")
        self._parts.callback(azurite.stop)
        azurite.start()
        _say("Azurite, for blobs, queues and tables", started)
        environment = WEBHOOK_SETTINGS | storage_environment(azurite)
        if self._dialect is not None:
            environment |= self._start_simulator(self._dialect, logs)
        started = time.monotonic()
        arguments = ["--port", str(self._port)]
        if self._lease is not None:
            arguments += ["--lease-seconds", str(self._lease)]
        for option, key in self._keys.items():
            arguments += [option, key] if key else []
        self.host = Service(
            "function-host", "local.function_host", *arguments, environment=environment, logs=logs
        )
        self._parts.callback(self.host.stop)
        self.host.start()
        _say("the function host with the app", started, self.host.url)

    def _start_simulator(self, dialect: str, logs: Path) -> dict[str, str]:
        """The app's settings for it."""
        started, key = time.monotonic(), secrets.token_hex(16)
        arguments = ("--port", str(self._simulator_port), "--pace", str(self._pace), "--api-key", key)
        clean = {name: value for name, value in os.environ.items() if name not in BACKEND_SETTINGS}
        self.simulator = Service("simulator", "local.simulator", *arguments, environment=clean, logs=logs)
        self._parts.callback(self.simulator.stop)
        self.simulator.start()
        _say(f"the simulated video API ({dialect})", started, self.simulator.url)
        nothing = dict.fromkeys(BACKEND_SETTINGS, "")
        provider = next((each for each in PROVIDERS if each.name == dialect), None)
        if provider is not None:
            entry = {
                "name": provider.name,
                "dialect": provider.name,
                "base_url": self.simulator.url + urlsplit(provider.base_url).path,
                "download_origins": [self.simulator.told(r"signed links at (http://\S+)")],
            }
            return nothing | {"VIDEO_BACKENDS": json.dumps([entry]), provider.key_setting: key}
        return nothing | {
            "AZURE_OPENAI_ENDPOINT": self.simulator.url,
            "AZURE_OPENAI_API_KEY": key,
            "AZURE_OPENAI_DEPLOYMENT": MODELS[dialect],
            "VIDEO_DIALECT": dialect,
        }


def storage_environment(azurite: Azurite) -> dict[str, str]:
    """This process's environment, changed so that the app keeps everything in that Azurite."""
    # A proxy is for outside addresses. The parts reach each other without it.
    here = ",".join(filter(None, (os.environ.get("no_proxy", ""), "127.0.0.1", "localhost")))
    return {
        **os.environ,
        "no_proxy": here,
        "NO_PROXY": here,
        "AzureWebJobsStorage": azurite.connection_string,
    }


def _refuse_taken(port: int) -> None:
    """Raises StackError before anything is started."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        raise StackError(f"Port {port} is taken. Choose another one: make up PORT={port + 10}") from error


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Two Azurites on one folder would each overwrite what the other one stores. Raises StackError."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StackError(f"Another stack runs on the data in {folder}. Stop that one first.") from error
        yield


def _say(text: str, started: float | None = None, url: str = "") -> None:
    took = f"{time.monotonic() - started:4.1f} s" if started is not None else ""
    print(f"    {text:<42} {took}  {url}".rstrip(), flush=True)
