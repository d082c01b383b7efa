"""The whole app under the local function host, as processes of its own, and the processor time that they have used."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import requests

from local.stack import BACKEND_SETTINGS, Service, storage_environment
from tests.bench.stack import Stack

_TICKS = os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def running_host(stack: Stack, logs: Path, name: str = "host", **settings: str) -> Iterator[Service]:
    environment = storage_environment(stack.azurite) | dict.fromkeys(BACKEND_SETTINGS, "")
    environment |= stack.environment | {"PYTHON_THREADPOOL_THREAD_COUNT": "32"} | settings
    host = Service(name, "local.function_host", "--port", "0", environment=environment, logs=logs)
    host.start()
    try:
        yield host
    finally:
        host.stop()


def processor_seconds(pid: int | None) -> Mapping[str, float]:
    """Of a process that leads a group, and of the others in it (a host's worker), since each began."""
    used: dict[str, float] = {"leader": 0.0, "others": 0.0}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            number, _, rest = stat.read_text(encoding="ascii", errors="replace").partition(" ")
            fields = rest.rpartition(") ")[2].split()
        except OSError:
            continue  # it has just ended
        if int(fields[2]) == pid:  # the group
            whose = "leader" if int(number) == pid else "others"
            used[whose] += (int(fields[11]) + int(fields[12])) / _TICKS
    return used


def submit(session: requests.Session, url: str, prompt: str) -> str:
    answer = session.post(f"{url}/api/jobs", json={"prompt": prompt}, timeout=60)
    answer.raise_for_status()
    return str(answer.json()["id"])
