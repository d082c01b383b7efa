"""The one command of a newcomer, as they type it."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest

from tests.cases import further

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


@pytest.mark.parametrize("dialect", ["azure-sora", further("openai-videos")])
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
    # A status that lasts shorter than the time between two polls may go by unseen.
    seen = re.findall(r"^ +[\d.]+ s  (\w+)", output, re.MULTILINE)
    assert seen[-1] == "succeeded"
    assert set(seen[:-1]) & {"queued", "running", "fetching"}


@pytest.mark.exhaustive
@pytest.mark.parametrize("provider", ["runway", "fal"])
def test_the_demo_shows_a_providers_video_without_an_account(provider: str) -> None:
    process = demo("--provider", provider, "--seconds", "4")
    output, _ = process.communicate(timeout=110)
    assert process.returncode == 0, output
    [path] = [Path(path) for path in re.findall(r"your video: (.+)", output)]
    with av.open(str(path)) as video:
        assert video.streams.video[0].codec_context.name == "h264"
    path.unlink()


@pytest.mark.exhaustive
def test_a_demo_that_can_not_succeed_says_why_and_fails() -> None:
    process = demo("--size", "3x3")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "size" in output


@pytest.mark.exhaustive
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="children are found through Linux's /proc")
@pytest.mark.parametrize(
    ("moment", "signals"),
    [
        ("202 Accepted", [signal.SIGINT]),
        further("202 Accepted", [signal.SIGTERM]),
        further("202 Accepted", [signal.SIGHUP]),
        ("202 Accepted", [signal.SIGINT] * 3),
        further("Azurite, for", [signal.SIGINT]),
        ("simulated video API", [signal.SIGINT]),
    ],
    ids=str,
)
def test_everything_that_was_started_is_stopped_whenever_the_demo_is(
    moment: str, signals: list[signal.Signals]
) -> None:
    process = demo()
    assert process.stdout is not None
    output = ""
    while moment not in output:
        line = process.stdout.readline()
        assert line, output
        output += line
    started = children_of(process)
    assert started
    for number in signals:
        process.send_signal(number)
        started |= children_of(process)
    process.communicate(timeout=60)
    assert process.returncode == 130
    deadline = time.monotonic() + 10
    while left := {pid for pid in started if is_running(pid)}:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


@pytest.mark.exhaustive
def test_a_demo_that_gets_fewer_videos_than_it_asked_for_says_so() -> None:
    process = demo("--size", "480x480", "--seconds", "1", "--variants", "2", PROMPT="fewer-outputs of a boat")
    output, _ = process.communicate(timeout=110)
    assert process.returncode == 1
    assert "1 of the 2" in output
    for path in re.findall(r"your video: (.+)", output):
        Path(path).unlink()


def test_up_refuses_a_taken_port_before_it_starts_anything() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = up("--port", port)
    assert done.returncode == 1
    assert f"Port {port} is taken" in done.stderr
    assert "Azurite" not in done.stdout


def test_up_says_what_is_wrong_with_the_settings() -> None:
    wrong = up("--port", "0", VIDEO_DIALECT="sora")
    assert (wrong.returncode, "azure-sora or openai-videos" in wrong.stderr) == (1, True)


def up(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local.up", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
