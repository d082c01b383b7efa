"""What is shipped for clients, at a host that is busy, or whose worker dies under a request: one job, paid for once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
import requests

from local.azurite_process import Azurite
from local.function_host import http_server
from local.function_host.calls import Answer
from local.function_host.host import FunctionHost
from local.simulator.server import Simulator
from tests.leaks import SECRETS
from tests.pipeline import API_KEY
from tests.whole_app import running_app

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PROGRAMS = {"curl": ["bash", "curl.sh"], "python": [sys.executable, "python/generate.py"]}
COMPAT_API_KEY = "the-key-of-a-client-0123"
SECRETS[COMPAT_API_KEY] = "a key of the OpenAI-compatible API"
FIRST_TRIES = ("busy", "lost", "busy", "died")


class Trouble:
    """What befalls the first submissions: 429 without a body, and after the job was made no answer, or a bare 500."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._left = list(FIRST_TRIES)
        self._lock = threading.Lock()
        call = http_server._Handler._call

        def call_in_trouble(handler: Any, function: str, request: Any, headers: Any) -> Answer:
            kind = self._next() if function in ("submit_job", "create_video") else None
            if kind == "busy":
                return Answer(429)
            answer: Answer = call(handler, function, request, headers)
            if kind == "lost":
                raise http_server._CutError
            return Answer(500) if kind == "died" else answer

        monkeypatch.setattr(http_server._Handler, "_call", call_in_trouble)

    def _next(self) -> str | None:
        with self._lock:
            return self._left.pop(0) if self._left else None

    @property
    def is_over(self) -> bool:
        return not self._left


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(api_key=API_KEY, speed=30, running_limit=None) as running:
        yield running


@pytest.fixture
def host(azurite: Azurite, simulator: Simulator) -> Iterator[FunctionHost]:
    with running_app(
        azurite, simulator, VIDEO_RUNNING_LIMIT="0", OPENAI_COMPAT_API_KEYS=COMPAT_API_KEY
    ) as running:
        requests.get(f"{running.url}/api/health", timeout=30)
        yield running


@pytest.mark.exhaustive
@pytest.mark.parametrize("program", PROGRAMS)
def test_an_example_pays_once_whatever_the_host_answers_first(
    host: FunctionHost, simulator: Simulator, tmp_path: Path, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble = Trouble(monkeypatch)
    file = tmp_path / "boat.mp4"
    done = subprocess.run(
        [*PROGRAMS[program], "a paper boat", str(file)],
        cwd=EXAMPLES,
        env={**os.environ, "REELKEEP_API": f"{host.url}/api", "REELKEEP_KEY": "key-of-a-function"},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert trouble.is_over
    assert file.read_bytes()[4:8] == b"ftyp"
    assert len(simulator.world.everything()) == 1


@pytest.mark.exhaustive
def test_openais_package_pays_once_whatever_the_host_answers_first(
    host: FunctionHost, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble = Trouble(monkeypatch)
    client = openai.OpenAI(base_url=f"{host.url}/api/v1", api_key=COMPAT_API_KEY, max_retries=6)
    video = client.videos.create(prompt="a paper boat", size="480x480", seconds="1")  # type: ignore[arg-type]
    assert trouble.is_over
    deadline = time.monotonic() + 90
    while video.status not in ("completed", "failed"):
        assert time.monotonic() < deadline
        time.sleep(0.5)  # as a client polls
        video = client.videos.retrieve(video.id)
    assert video.status == "completed"
    assert len(simulator.world.everything()) == 1
