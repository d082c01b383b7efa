"""Azurite, Microsoft's storage emulator, as a child process with its own account.

    with Azurite() as azurite:
        QueueServiceClient.from_connection_string(azurite.connection_string)

Every instance listens on free ports of 127.0.0.1 and takes a random account key. So several can run at the same time,
and none accepts Azurite's published key.
"""

import atexit
import base64
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Self

from local.processes import end, uninterrupted

SCRIPT = Path(__file__).parent / "azurite" / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
HOST = "127.0.0.1"
START_SECONDS = 30.0
STOP_SECONDS = 10.0
PORT_ATTEMPTS = 5

Ports = tuple[int, int, int]


class AzuriteError(RuntimeError):
    """Azurite is not installed, did not start or died. The message says what to do, or has Azurite's own words."""


class PortTakenError(AzuriteError):
    """Another process holds one of the three ports."""


class Azurite:
    """One Azurite: blobs, queues and tables under one account.

    ``start`` and ``stop`` may be called again and again: the ports, the account and, with ``data_dir``,
    the data stay the same.

    data_dir: the folder for the data; None keeps it in memory, and ``stop`` deletes it.
    ports: blob, queue and table; None takes free ones.
    debug_log: a file for Azurite's own request log.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        ports: Ports | None = None,
        debug_log: Path | None = None,
    ) -> None:
        self.account_name = "reelkeeplocal"
        self.account_key = base64.b64encode(secrets.token_bytes(64)).decode()
        self._data_dir = data_dir
        self._debug_log = debug_log
        # Ports that the caller named, or that were used once, never change.
        self._ports_are_fixed = ports is not None
        self._ports = ports or free_ports()
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The number of the process group that it leads."""
        return self._process.pid if self._process else None

    @property
    def blob_endpoint(self) -> str:
        return self._endpoint(self._ports[0])

    @property
    def queue_endpoint(self) -> str:
        return self._endpoint(self._ports[1])

    @property
    def table_endpoint(self) -> str:
        return self._endpoint(self._ports[2])

    @property
    def connection_string(self) -> str:
        return (
            f"DefaultEndpointsProtocol=http;AccountName={self.account_name};AccountKey={self.account_key};"
            f"BlobEndpoint={self.blob_endpoint};QueueEndpoint={self.queue_endpoint};"
            f"TableEndpoint={self.table_endpoint};"
        )

    def start(self) -> Self:
        """Start it, and return once all three services answer.

        Raises AzuriteError when it is not installed, dies, or takes longer than 30 seconds.
        """
        if self._process is not None:
            return self
        for attempt in range(1, PORT_ATTEMPTS + 1):
            try:
                self._launch()
                self._wait_until_ready()
            except PortTakenError:
                self.stop()
                if self._ports_are_fixed or attempt == PORT_ATTEMPTS:
                    raise
                self._ports = free_ports()
            except BaseException:
                self.stop()
                raise
            else:
                break
        self._ports_are_fixed = True
        return self

    def stop(self) -> None:
        """End it: SIGTERM, and SIGKILL after ten seconds. Without a running Azurite this does nothing."""
        atexit.unregister(self.stop)
        process, self._process = self._process, None
        if process is not None:
            end(process, STOP_SECONDS)
        if self._output is not None:
            self._output.close()
            self._output = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _endpoint(self, port: int) -> str:
        return f"http://{HOST}:{port}/{self.account_name}"

    def _launch(self) -> None:
        command = [
            find_node(),
            str(installed_script()),
            "--skipApiVersionCheck",
            "--disableTelemetry",
            "--silent",
        ]
        for service, port in zip(("blob", "queue", "table"), self._ports, strict=True):
            command += [f"--{service}Host", HOST, f"--{service}Port", str(port)]
        if self._data_dir is None:
            command.append("--inMemoryPersistence")
        else:
            self._data_dir.mkdir(parents=True, exist_ok=True)
            command += ["--location", str(self._data_dir)]
        if self._debug_log is not None:
            command += ["--debug", str(self._debug_log)]
        # A file, since nobody reads the output: a full pipe would stop Azurite in the middle of a request.
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 (closed by stop)
        with uninterrupted():
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "AZURITE_ACCOUNTS": f"{self.account_name}:{self.account_key}"},
                # Ctrl-C reaches the whole terminal group, but storage must run longer than the programs that use it.
                start_new_session=True,
            )
        atexit.register(self.stop)

    def _wait_until_ready(self) -> None:
        # Wait for Azurite's own words, not for an answer on the port: another Azurite could answer there.
        deadline = time.monotonic() + START_SECONDS
        while not all(
            f"successfully listening at http://{HOST}:{port}" in self._said() for port in self._ports
        ):
            self._raise_if_dead()
            if time.monotonic() > deadline:
                raise AzuriteError(f"Azurite did not start within {START_SECONDS:.0f} s.{self._said()}")
            time.sleep(0.02)

    def _raise_if_dead(self) -> None:
        assert self._process is not None
        code = self._process.poll()
        if code is None:
            return
        said = self._said()
        if "EADDRINUSE" in said:
            raise PortTakenError(f"One of the ports {self._ports} is taken by another process.{said}")
        raise AzuriteError(f"Azurite ended with exit code {code} while it started.{said}")

    def _said(self) -> str:
        assert self._output is not None
        self._output.seek(0)
        text = self._output.read().decode(errors="replace").strip()
        return f" It said:\n{text}" if text else " It said nothing."


def find_node() -> str:
    """The node executable: from PATH, or beside this Python, where the nodejs wheel puts it.

    Raises AzuriteError when there is none.
    """
    # Not resolved: in a virtual environment the interpreter is a link that leads out of it.
    found = shutil.which("node") or shutil.which("node", path=str(Path(sys.executable).parent))
    if found is None:
        raise AzuriteError("There is no Node.js on PATH or beside this Python. Run: make setup")
    return found


def installed_script() -> Path:
    """Azurite's start script. Raises AzuriteError when Azurite is not installed."""
    if not SCRIPT.is_file():
        raise AzuriteError("Azurite is not installed under local/azurite. Run: make setup")
    return SCRIPT


def free_ports() -> Ports:
    """Three different ports of 127.0.0.1 that nobody listens on at this moment."""
    sockets = [socket.create_server((HOST, 0)) for _ in range(3)]
    blob, queue, table = (each.getsockname()[1] for each in sockets)
    for each in sockets:
        each.close()
    return blob, queue, table
