"""How fast a video gets from the video API into Blob Storage: Reelkeep, the obvious way, and rclone.

rclone is a fresh process for each transfer, as it is for those who use it; `rclone version` shows what of that
is its start. Reelkeep sends an MD5 with each block, and where none comes, Azurite computes a checksum that is far
slower: what is won by that is won on Azurite only, and the obvious way with `validate_content` wins it too.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import requests
from azure.storage.blob import BlobServiceClient, ContainerSasPermissions, generate_container_sas

from tests.bench.report import say, spread, table, verdict
from tests.bench.stack import Stack, running_stack
from tests.bench.transfer import transfer
from video_jobs.settings.app import Settings
from video_jobs.storage.blobs import VIDEOS
from video_jobs.wiring import build

ROUNDS = 9
SIZE = 100_000_000
_SIZE_IN_WORDS = "100 MB"

OURS = "Reelkeep"
NAIVE = "get, then upload_blob"
CHECKED = "the same, with an MD5"
RCLONE = "rclone copyurl"
RCLONE_START = "rclone version"


def run() -> None:
    say(f"Fetch speed: {_SIZE_IN_WORDS}, {ROUNDS} rounds in turn, after one to warm up")
    with running_stack() as stack:
        ways = _ways(stack, stack.api.make_video(SIZE))
        times: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(ROUNDS + 1):
            # Every way comes first, second and last equally often: one leaves work behind for the next.
            order = list(ways)[number % len(ways) :] + list(ways)[: number % len(ways)]
            for name in order:
                seconds = _timed(ways[name])
                if number > 0:
                    times[name].append(seconds)
            if number > 0:
                say(f"  round {number}: " + "; ".join(f"{n} {t[-1]:.2f} s" for n, t in times.items()))
    _report(times)


def _ways(stack: Stack, video_id: str) -> dict[str, Callable[[], object]]:
    services = build(Settings.from_environment(stack.environment))
    ways: dict[str, Callable[[], object]] = {
        OURS: lambda: transfer(services, video_id),
        NAIVE: lambda: _naive(stack, video_id, checked=False),
        CHECKED: lambda: _naive(stack, video_id, checked=True),
    }
    if shutil.which("rclone"):
        ways[RCLONE] = lambda: _rclone(stack, video_id)
        ways[RCLONE_START] = lambda: subprocess.run(["rclone", "version"], check=True, capture_output=True)
    else:
        say("  rclone is not on PATH, so there is nothing to compare with. On Debian: apt install rclone")
    return ways


def _naive(stack: Stack, video_id: str, *, checked: bool) -> None:
    content = requests.get(stack.api.content_url(video_id), headers=stack.api.headers, timeout=300).content
    service = BlobServiceClient.from_connection_string(stack.azurite.connection_string)
    with service, service.get_blob_client(VIDEOS, "bench/naive.mp4") as blob:
        blob.upload_blob(content, overwrite=True, validate_content=checked)


def _rclone(stack: Stack, video_id: str) -> None:
    azurite = stack.azurite
    signature = generate_container_sas(
        azurite.account_name,
        VIDEOS,
        account_key=azurite.account_key,
        permission=ContainerSasPermissions(read=True, write=True, create=True, list=True),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    header = f"api-key: {stack.api.api_key}"
    source, target = stack.api.content_url(video_id), f":azureblob:{VIDEOS}/bench/rclone.mp4"
    subprocess.run(
        ["rclone", "--config=", "--header", header, "copyurl", source, target],
        env={**os.environ, "RCLONE_AZUREBLOB_SAS_URL": f"{azurite.blob_endpoint}/{VIDEOS}?{signature}"},
        check=True,
        capture_output=True,
    )


def _timed(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def _report(times: dict[str, list[float]]) -> None:
    medians = {name: statistics.median(values) for name, values in times.items()}
    rows = []
    for name, values in times.items():
        each = [other / ours for other, ours in zip(values, times[OURS], strict=True)]
        ratio, low, high = f"{medians[name] / medians[OURS]:.2f}", min(each), max(each)
        rows.append([name, f"{medians[name]:.2f} s", spread(values), ratio, f"{low:.2f} to {high:.2f}"])
    head = ["", "median", "spread", "to ours", "of one round"]
    table(f"{_SIZE_IN_WORDS} from the video API into Blob Storage", head, rows)
    faster = medians[NAIVE] / medians[OURS]
    say(f"  obvious way / ours: {verdict(faster, '≥ 1.60', faster >= 1.6)}")
    say(f"  obvious way with an MD5 / ours: {medians[CHECKED] / medians[OURS]:.2f}")
    if RCLONE in medians:
        slower = medians[OURS] / medians[RCLONE]
        say(f"  ours / rclone:      {verdict(slower, '≤ 1.10', slower <= 1.1)}")
        bare = medians[OURS] / (medians[RCLONE] - medians[RCLONE_START])
        say(f"  ours / rclone without its start: {bare:.2f}")
    say("  Azurite is quicker with blocks that bear an MD5, as ours do; Azure itself has no reason to be.")


if __name__ == "__main__":
    run()
