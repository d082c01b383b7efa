"""What the pages tell people to type works."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.stack import Stack
from tests.documents import NAMES, blocks, text_of
from tests.pipeline import Pipeline
from tests.sources import sources_of
from video_jobs.domain.job import Status
from video_jobs.views.job_view import history_view, job_view


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(dialect="azure-sora", speed=20) as running:
        yield running


# What needs an account, or is long: tests/unit/test_docs.py sees that the targets and options are there.
ELSEWHERE = "make() { :; }; func() { :; }; az() { :; }; azd() { :; }\n"
TYPED = [name for name in NAMES if "\n" in "".join(blocks(name, "sh"))]


@pytest.mark.parametrize("page", TYPED)
def test_what_a_page_has_people_type_works(stack: Stack, page: str, tmp_path: Path) -> None:
    assert stack.simulator is not None
    script = ELSEWHERE + "\n".join(blocks(page, "sh")).replace("http://localhost:7071/api", stack.api)
    script = script.replace("http://localhost:7072", stack.simulator.url)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"type":"about:blank"' not in done.stdout, "a problem"
    for video in tmp_path.glob("*.mp4"):
        assert video.read_bytes()[4:8] == b"ftyp"
    for picture in tmp_path.glob("*.jpg"):
        assert picture.read_bytes()[:3] == b"\xff\xd8\xff"
    if page == "README.md":
        assert {file.name for file in tmp_path.iterdir()} == {"video.mp4", "thumbnail.jpg"}


def test_every_error_code_is_explained() -> None:
    page = text_of("docs/reference/errors.md") + text_of("docs/reference/api.md")
    sources = sources_of(
        "video_jobs",
        "submit_job",
        "poll_job",
        "fetch_video",
        "notify_client",
        "job_api",
        "backend_api",
        "openai_api",
        "http_edge",
    )
    codes = set(re.findall(r'code="([a-z_]+)"', sources)) | set(re.findall(r'code = "([a-z_]+)"', sources))
    codes |= set(
        re.findall(r'(?:HttpProblem|OpenAiError|problem|error_answer)\(\s*\d{3},\s*"([a-z_]+)"', sources)
    )
    assert len(codes) > 15
    assert {code for code in codes if f"`{code}`" not in page} == set()


def test_every_event_of_a_history_is_explained() -> None:
    page = text_of("docs/reference/events.md")
    events = set(re.findall(r'noting\(\s*[\w.]+,\s*"([a-z_]+)"', sources_of("video_jobs")))
    events |= set(re.findall(r'what: str = "([a-z_]+)"', sources_of("video_jobs")))
    events |= set(re.findall(r'what="([a-z_]+)"', sources_of("video_jobs", "poll_job")))
    assert {"accepted", "submitted", "adopted", "stored", "poisoned"} <= events
    events |= {status.value for status in Status if status.is_terminal}
    assert {event for event in events if f"`{event}`" not in page} == set()


def test_the_page_shows_a_job_with_all_its_fields(sora: Pipeline) -> None:
    shown = next(json.loads(text) for text in blocks("docs/reference/api.md", "json") if '"videos"' in text)
    job = sora.run(sora.submit())
    body = {**job_view(job, sora.blobs), "history": history_view(job)}
    assert list(shown) == list(body)
    assert set(shown["videos"][0]) == set(body["videos"][0])
    assert set(shown["history"][0]) == set(body["history"][0])
    assert set(shown["backend"]) == set(body["backend"])


def test_the_pages_name_every_table_and_queue() -> None:
    page = text_of("docs/reference/storage.md") + text_of("docs/reference/queue-messages.md")
    names = set(re.findall(r'_(?:TABLE|QUEUE) = "([a-z-]+)"', sources_of("video_jobs")))
    assert len(names) >= 6
    assert {name for name in names if f"`{name}`" not in page} == set()
