"""`make demo`: takes one prompt through the whole pipeline, and leaves a playable video."""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import time
from pathlib import Path
from typing import Any

import requests

from local.azurite_process import AzuriteError
from local.processes import stop_on_signals
from local.progress import ProgressLine
from local.stack import MODELS, SIMULATED, Stack, StackError
from video_jobs.media.mp4 import InvalidMp4, Mp4Check

DEFAULT_PROMPT = "A paper boat sails down a rainy street at dusk, past glowing shop windows"
PACE = 8.0  # a job of 40 s takes five
LONGEST_WAIT = 180.0  # seconds for the whole job
VIDEOS = Path("videos")


_http = requests.Session()
_http.trust_env = False  # a proxy is for the world outside


class DemoError(RuntimeError):
    """The demonstration failed; the message says at which step."""


def main() -> int:
    options = _options()
    stop_on_signals()
    prompt = os.environ.get("PROMPT") or DEFAULT_PROMPT
    body = {"prompt": prompt, "size": options.size, "seconds": options.seconds, "variants": options.variants}
    try:
        print("==> starting everything on free ports", flush=True)
        with Stack(dialect=options.dialect, pace=PACE) as stack:
            job = _run({name: value for name, value in body.items() if value}, stack.api)
            for video in job["videos"]:
                _download(job, video)
            if len(job["videos"]) != job["variants"]:
                raise DemoError(job["warning"])
            print("==> stopping everything", flush=True)
    except (DemoError, StackError, AzuriteError, requests.RequestException) as error:
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    return 0


def _run(body: dict[str, Any], api: str) -> dict[str, Any]:
    """Submit, and watch until the job has ended. Raises DemoError unless it succeeds."""
    print(f"==> POST /api/jobs  “{body['prompt']}”", flush=True)
    answer = _http.post(f"{api}/jobs", json=body, timeout=120)
    job: dict[str, Any] = answer.json()
    if answer.status_code != 202:
        raise DemoError(f"{answer.status_code} {job.get('code')}: {job.get('detail')}")
    print(f"    202 Accepted: {job['id']}, {job['size']}, {job['seconds']} s, {job['variants']} video(s)")
    deadline = time.monotonic() + LONGEST_WAIT
    with ProgressLine() as line:
        while job["status"] not in ("succeeded", "failed", "cancelled", "expired"):
            line.show(job["status"], job["progress"])
            if time.monotonic() > deadline:
                raise DemoError(f"the job is still {job['status']} after {LONGEST_WAIT:.0f} s")
            time.sleep(0.25)
            job = _http.get(f"{api}/jobs/{job['id']}", timeout=30).json()
        line.show(job["status"], job["progress"])
    if job["status"] != "succeeded":
        raise DemoError(f"the job ended as {job['status']}: {(job['error'] or {}).get('message')}")
    return job


def _download(job: dict[str, Any], video: dict[str, Any]) -> None:
    """Download through the signed URL, as a client would, and check every byte. Raises DemoError."""
    VIDEOS.mkdir(exist_ok=True)
    path = VIDEOS / f"{job['id']}-{video['index']}.mp4"
    content = _http.get(video["url"], timeout=60).content
    path.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    if (len(content), sha256) != (video["length"], video["sha256"]):
        raise DemoError(f"{path} is not what the job says was stored")
    check = Mp4Check()
    try:
        check.feed(content)
        facts = check.finish()
    except InvalidMp4 as error:
        raise DemoError(f"{path} is no whole MP4: {error}") from error
    size = f"{facts.width}x{facts.height}"
    if size != job["size"]:
        raise DemoError(f"{path} is {size}, and {job['size']} was asked for")
    seconds = (facts.duration_ms or 0) / 1000
    if abs(seconds - job["seconds"]) > 0.5:
        raise DemoError(f"{path} lasts {seconds:.1f} s, and {job['seconds']} were asked for")
    print(f"==> your video: {path.resolve()}")
    print(f"    {size}, {seconds:.1f} s, {len(content)} bytes, sha256 {sha256}", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo")
    parser.add_argument("--size", default="1280x720", help="WIDTHxHEIGHT")
    parser.add_argument("--seconds", help="length of the video")
    parser.add_argument("--variants", help="how many videos")
    spoken = parser.add_mutually_exclusive_group()
    spoken.add_argument("--dialect", default="azure-sora", choices=list(MODELS))
    spoken.add_argument("--provider", choices=[name for name in SIMULATED if name not in MODELS])
    options = parser.parse_args()
    options.dialect = options.provider or options.dialect
    return options


if __name__ == "__main__":
    sys.exit(main())
