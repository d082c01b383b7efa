"""What the transfers are measured on: simulated API and Azurite, each a process of its own."""

from __future__ import annotations

import contextlib
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from local.azurite_process import Azurite

MODEL = "sora"
_STOP_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class SimulatedApi:
    """A running `python -m local.simulator` that speaks openai-videos."""

    url: str
    api_key: str
    pid: int  #: it leads a process group of this number

    def ledger(self) -> dict[str, Any]:
        """What was asked of it, and what it has made."""
        answer = requests.get(f"{self.url}/_simulator/ledger", timeout=60)
        answer.raise_for_status()
        told: dict[str, Any] = answer.json()
        return told

    def configure(self, **settings: Any) -> None:
        """Holds for videos made from now on."""
        requests.post(f"{self.url}/_simulator/settings", json=settings, timeout=10).raise_for_status()

    def make_video(self, size: int) -> str:
        """The id of a finished video whose MP4 has `size` bytes."""
        self.configure(pad_to_bytes=size, any_size=True, queue_seconds=0, run_seconds=0)
        order = {"model": MODEL, "prompt": "a benchmark", "size": "64x64", "seconds": "1"}
        made = requests.post(f"{self._videos}", json=order, headers=self.headers, timeout=30)
        made.raise_for_status()
        video_id = str(made.json()["id"])
        while self._status(video_id) != "completed":
            time.sleep(0.05)
        return video_id

    def content_url(self, video_id: str) -> str:
        return f"{self._videos}/{video_id}/content"

    @property
    def headers(self) -> dict[str, str]:
        return {"api-key": self.api_key}

    @property
    def _videos(self) -> str:
        return f"{self.url}/openai/v1/videos"

    def _status(self, video_id: str) -> str:
        look = requests.get(f"{self._videos}/{video_id}", headers=self.headers, timeout=30)
        look.raise_for_status()
        return str(look.json()["status"])


@dataclass(frozen=True, slots=True)
class Stack:
    api: SimulatedApi
    azurite: Azurite

    @property
    def environment(self) -> dict[str, str]:
        """The app settings that point Reelkeep at both."""
        return {
            "AzureWebJobsStorage": self.azurite.connection_string,
            "AZURE_OPENAI_ENDPOINT": self.api.url,
            "AZURE_OPENAI_API_KEY": self.api.api_key,
            "AZURE_OPENAI_DEPLOYMENT": MODEL,
            "VIDEO_DIALECT": "openai-videos",
        }


@contextlib.contextmanager
def running_stack(debug_log: Path | None = None) -> Iterator[Stack]:
    """Azurite keeps its data on disk: in memory it would grow with every transfer."""
    with (
        tempfile.TemporaryDirectory(prefix="reelkeep-bench-") as folder,
        Azurite(data_dir=Path(folder), debug_log=debug_log) as azurite,
        _simulated_api() as api,
    ):
        yield Stack(api, azurite)


@contextlib.contextmanager
def _simulated_api() -> Iterator[SimulatedApi]:
    key = secrets.token_hex(8)
    command = [sys.executable, "-m", "local.simulator", "--port", "0", "--api-key", key]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        found = re.search(r"http://\S+", said)
        if found is None:
            raise RuntimeError(f"The simulated API did not start: {said or 'it said nothing'}")
        yield SimulatedApi(found[0], key, process.pid)
    finally:
        process.terminate()
        process.wait(_STOP_SECONDS)
