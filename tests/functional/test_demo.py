"""The one command of a newcomer, as they type it."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest

ROOT = Path(__file__).resolve().parents[2]


def demo(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "local.demo", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def children_of(process: subprocess.Popen[str]) -> set[int]:
    """All processes below this one, by Linux's /proc."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # ended meanwhile
        parents[int(stat.parent.name)] = int(fields[1])
    found = {process.pid}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {process.pid}


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("dialect", ["azure-sora", "openai-videos"])
def test_the_demo_leaves_the_video_that_it_names(dialect: str) -> None:
    small = ["--size", "480x480", "--seconds", "1", "--variants", "2"] if dialect == "azure-sora" else []
    process = demo("--dialect", dialect, *small, PROMPT='it\'s a "boat" & more')
    output, _ = process.communicate(timeout=110)
    assert process.returncode == 0, output
    paths = [Path(path) for path in re.findall(r"your video: (.+)", output)]
    hashes = re.findall(r"sha256 (\w+)", output)
    assert len(paths) == len(hashes) == (2 if small else 1)
    for path, sha256 in zip(paths, hashes, strict=True):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == sha256
        with av.open(str(path)) as video:
            assert video.streams.video[0].codec_context.name == "h264"
        path.unlink()
    for status in ("queued", "fetching", "succeeded"):
        assert status in output


def test_a_demo_that_can_not_succeed_says_why_and_fails() -> None:
    process = demo("--size", "3x3")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "size" in output


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="children are found through Linux's /proc")
@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_everything_that_was_started_is_stopped_when_the_demo_is(signal_number: int) -> None:
    process = demo()
    assert process.stdout is not None
    output = ""
    while "202 Accepted" not in output:
        line = process.stdout.readline()
        assert line, output
        output += line
    started = children_of(process)
    assert len(started) >= 3
    process.send_signal(signal_number)
    process.communicate(timeout=60)
    assert process.returncode == 130
    deadline = time.monotonic() + 10
    while left := {pid for pid in started if is_running(pid)}:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)
