"""Everything on one machine: Azurite, the simulated video API unless a real one is named, and the app."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from local.azurite_process import Azurite

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / ".reelkeep" / "logs"

_START_SECONDS = 60.0
_STOP_SECONDS = 40.0  # the function host waits for what runs
_MODELS = {"azure-sora": "sora", "openai-videos": "sora-2"}
# What a shell or a local.settings.json may hold must not lead a demonstration to a backend that costs money.
_BACKEND_SETTINGS = (
    "AZURE_OPENAI_ENDPOINT",
    "AZURE_OPENAI_API_KEY",
    "AZURE_OPENAI_DEPLOYMENT",
    "AZURE_OPENAI_TOKEN_SCOPE",
    "VIDEO_BACKENDS",
    "VIDEO_DIALECT",
)


class StackError(RuntimeError):
    """A part did not start, or died; the message says which, and where its log is."""


class Service:
    """One Python module as a child process, ready when it prints its address."""

    def __init__(self, name: str, module: str, *arguments: str, environment: Mapping[str, str]) -> None:
        self.name = name
        self.url = ""
        self._command = [sys.executable, "-u", "-m", module, *arguments]
        self._environment = environment
        self._log = LOGS / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Raises StackError."""
        LOGS.mkdir(parents=True, exist_ok=True)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=dict(self._environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us, who end the parts in their order
            )
        deadline = time.monotonic() + _START_SECONDS
        while True:
            address = re.search(r"(?:Ready on|API at) (http://\S+)", self._said())
            if address:
                self.url = address[1]
                return self
            if self.exit_code() is not None or time.monotonic() > deadline:
                self.stop()
                raise StackError(f"The {self.name} did not start. It said:\n{self._said()[-3000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def exit_code(self) -> int | None:
        return self._process.poll() if self._process else None

    @property
    def log_path(self) -> str:
        return os.path.relpath(self._log)

    def _said(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")


class Stack:
    """Starts the parts one after another, saying so, and stops them in the opposite order.

    Args:
        port: of the app; 0 for a free one.
        dialect: which of the simulator's two the app speaks; None: the environment names a real backend.
        speed: simulated seconds in a real one.
        data_dir: where Azurite keeps its data; None: in memory.
    """

    def __init__(
        self, *, port: int, dialect: str | None, speed: float = 1.0, data_dir: Path | None = None
    ) -> None:
        self.azurite = Azurite(data_dir)
        self._port = port
        self._dialect = dialect
        self._speed = speed
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
        """The address that the job API's paths follow."""
        assert self.host is not None
        return f"{self.host.url}/api"

    def stop(self) -> None:
        for part in (self.host, self.simulator, self.azurite):
            if part is not None:
                part.stop()

    def wait(self) -> None:
        """Until a part dies that can't be started again. Raises StackError then.

        As in Azure, a function that outlives its time takes the host along, and a new host takes over.
        """
        assert self.host is not None
        while True:
            if self.simulator is not None and self.simulator.exit_code() is not None:
                raise StackError(f"The simulated video API has died. Its log: {self.simulator.log_path}")
            if self.host.exit_code() is not None:
                _say(f"the function host ended with exit code {self.host.exit_code()}; starting another")
                self.host.start()
            time.sleep(0.5)

    def _start(self) -> None:
        started = time.monotonic()
        self.azurite.start()
        _say(f"Azurite, for blobs, queues and tables       {_since(started)}")
        environment = {**os.environ, "AzureWebJobsStorage": self.azurite.connection_string}
        if self._dialect is not None:
            started, key = time.monotonic(), secrets.token_hex(16)
            arguments = ("--port", "0", "--speed", str(self._speed), "--api-key", key)
            clean = {name: value for name, value in os.environ.items() if name not in _BACKEND_SETTINGS}
            self.simulator = Service("simulator", "local.simulator", *arguments, environment=clean).start()
            _say(f"the simulated video API ({self._dialect})   {_since(started)}  {self.simulator.url}")
            environment |= dict.fromkeys(_BACKEND_SETTINGS, "")
            environment |= {
                "AZURE_OPENAI_ENDPOINT": self.simulator.url,
                "AZURE_OPENAI_API_KEY": key,
                "AZURE_OPENAI_DEPLOYMENT": _MODELS[self._dialect],
                "VIDEO_DIALECT": self._dialect,
            }
        started = time.monotonic()
        self.host = Service(
            "function-host", "local.function_host", "--port", str(self._port), environment=environment
        ).start()
        _say(f"the function host with the app              {_since(started)}  {self.host.url}")


def _say(text: str) -> None:
    print(f"    {text}", flush=True)


def _since(started: float) -> str:
    return f"{time.monotonic() - started:4.1f} s"


def stop_on_signals() -> None:
    """Let SIGTERM end us as Ctrl-C does, through every `with`."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
