"""Submit a prompt, show its progress, download the video and check it. Needs only `requests`.

REELKEEP_API=https://YOUR-APP.azurewebsites.net/api REELKEEP_KEY=… python generate.py "A paper boat" boat.mp4
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests

ENDED = {"succeeded", "failed", "cancelled", "expired"}
LONGEST_WAIT = 25  # seconds that the app keeps a request open
LONGEST = {"GET": LONGEST_WAIT + 20, "POST": 240}  # seconds until a request counts as lost
LONGEST_PAUSE = 60  # seconds between two tries
OVER = {404, 409, 422}  # the app's words: the job was deleted, or refused by the video API
PASSES = {408, 429, 500, 502, 503, 504}
BAR = 30  # characters

Job = dict[str, Any]


class Reelkeep:
    """The part of the API that one video needs."""

    def __init__(self, api: str, key: str | None = None) -> None:
        self._api = api.rstrip("/")
        self._session = requests.Session()
        if key:
            self._session.headers["x-functions-key"] = key

    def submit(self, request: dict[str, Any], key: str) -> Job:
        """A request may be repeated with the same key: there is one job, whatever happened to the first request.

        Raises requests.HTTPError where it is refused; str() of it says why.
        """
        job: Job = self._ask("POST", "/jobs", json=request, headers={"Idempotency-Key": key}).json()
        return job

    def follow(self, job_id: str) -> Iterator[Job]:
        """Yield the job after each change, until it has ended."""
        etag = ""
        while True:
            answer = self._ask(
                "GET",
                f"/jobs/{job_id}",
                params={"wait": LONGEST_WAIT if etag else 0},
                headers={"If-None-Match": etag} if etag else {},
            )
            etag = answer.headers["ETag"]
            if answer.status_code == 304:  # unchanged: the time is over, or too many requests wait
                time.sleep(1)
                continue
            job: Job = answer.json()
            yield job
            if job["status"] in ENDED:
                return

    def _ask(self, method: str, path: str, **arguments: Any) -> requests.Response:
        for pause in (1, 2, 4, 8, 15, None):
            try:
                answer = self._session.request(
                    method, self._api + path, timeout=LONGEST[method], allow_redirects=False, **arguments
                )
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError):
                if pause is None:
                    raise
            else:
                told = problem_of(answer)
                # Without a code, the answer comes from the host or a gateway that can't reach the app.
                passes = PASSES if "code" not in told else {503}
                if answer.status_code not in passes or pause is None:
                    break
                pause = min(int(answer.headers.get("Retry-After", pause)), LONGEST_PAUSE)
            time.sleep(pause)
        if answer.status_code >= 400:
            later = answer.headers.get("Retry-After")
            again = f" Try again in {later} seconds." if later else ""
            raise requests.HTTPError(f"{told.get('detail', answer.reason)}{again}", response=answer)
        return answer


def problem_of(answer: requests.Response) -> dict[str, Any]:
    """The app's words about a refusal; empty if the answer did not come from the app."""
    if not answer.headers.get("Content-Type", "").startswith("application/problem+json"):
        return {}
    told: dict[str, Any] = answer.json()
    return told


def key_for(request: dict[str, Any], kept: Path) -> str:
    """The idempotency key for this request. It is kept beside the file until the job has ended, so that a second run of
    this program goes on with the same job."""
    with contextlib.suppress(OSError, ValueError):
        before = json.loads(kept.read_text())
        if before["request"] == request:
            return str(before["key"])
    key = str(uuid.uuid4())
    kept.write_text(json.dumps({"request": request, "key": key}))
    return key


def download(video: dict[str, Any], file: Path) -> Iterator[int]:
    """Write the video, and yield the number of bytes after each piece. Raises OSError if they are not the stored
    bytes."""
    part, digest, length = file.with_name(file.name + ".part"), hashlib.sha256(), 0
    # The URL is signed. No key is sent with it, since the storage must not see the key.
    with requests.get(video["url"], stream=True, timeout=60) as answer, part.open("wb") as out:
        answer.raise_for_status()
        for piece in answer.iter_content(1 << 18):
            out.write(piece)
            digest.update(piece)
            length += len(piece)
            yield length
    if digest.hexdigest() != video["sha256"]:
        raise OSError(f"{part} has other bytes than were stored: {length} of {video['length']}")
    part.replace(file)


def how_far(job: Job) -> float:
    """From 0 to 1: the video API's progress, else an estimate."""
    if job["progress"] is not None:
        return float(job["progress"]) / 100
    if job["expected_at"] is None:
        return 0.0
    created, expected = (datetime.fromisoformat(job[name]) for name in ("created_at", "expected_at"))
    passed = (datetime.now(UTC) - created) / max(expected - created, (expected - created).resolution)
    return min(passed, 0.99)


def show(part: float, words: str) -> None:
    """One line that is overwritten on a terminal; in a file, a new line each time."""
    bar = ("█" * round(part * BAR)).ljust(BAR, "░")
    line = f"{bar} {part:4.0%}  {words}"
    print(f"\r\x1b[K{line}" if sys.stderr.isatty() else line, end="", file=sys.stderr, flush=True)
    if not sys.stderr.isatty():
        print(file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description="From a prompt to a checked MP4.")
    parser.add_argument("prompt")
    parser.add_argument("file", type=Path)
    parser.add_argument("--size", help="WIDTHxHEIGHT in pixels")
    parser.add_argument("--seconds", type=int)
    asked = parser.parse_args()
    request = {name: getattr(asked, name) for name in ("prompt", "size", "seconds") if getattr(asked, name)}
    kept = asked.file.with_name(asked.file.name + ".key")
    reelkeep = Reelkeep(
        os.environ.get("REELKEEP_API", "http://localhost:7071/api"), os.environ.get("REELKEEP_KEY")
    )
    try:
        job = reelkeep.submit(request, key_for(request, kept))
        print(job["id"])
        said = None
        for seen in reelkeep.follow(job["id"]):
            job = seen
            show(how_far(job), job["status"])
            if job["reason"] and job["reason"] != said:  # why the job does not go on
                print(f"\n{job['reason']}", file=sys.stderr)
            said = job["reason"]
        if job["status"] != "succeeded":
            error = job["error"] or {"message": f"It is {job['status']}."}
            print(f"\n{error['message']}", file=sys.stderr)
            kept.unlink()
            return 1
        [video, *_] = job["videos"]
        for length in download(video, asked.file):
            show(length / video["length"], f"{length / 1e6:.1f} MB")
    except (requests.RequestException, OSError) as error:
        print(f"\n{error}", file=sys.stderr)
        answer = getattr(error, "response", None)
        if answer is not None and answer.status_code in OVER and "code" in problem_of(answer):
            kept.unlink()
        if answer is None:  # nobody answered, or the download broke
            print("Nothing is lost, and nothing is paid twice: run the same command again.", file=sys.stderr)
        return 1
    kept.unlink()
    print(f"\n{asked.file}, sha256 {video['sha256']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
