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
from tests.pipeline import Pipeline
from video_jobs.domain.job import Status
from video_jobs.views.job_view import history_view, job_view

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(dialect="azure-sora", speed=20) as running:
        yield running


def curl_lines(page: str) -> str:
    """All shell blocks of a page that speak to the API, as one script."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    return "\n".join(block for block in blocks if "curl" in block or "API=" in block)


@pytest.mark.parametrize("page", ["README.md", "docs/api.md", "docs/simulator.md"])
def test_the_curl_lines_of_a_page_work(stack: Stack, page: str, tmp_path: Path) -> None:
    assert stack.simulator is not None
    script = curl_lines(page).replace("http://localhost:7071/api", stack.api)
    script = script.replace("http://localhost:7072", stack.simulator.url)
    assert script.count("curl ") >= 3
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
    if page == "README.md":
        assert (tmp_path / "video.mp4").read_bytes()[4:8] == b"ftyp"
        assert (tmp_path / "still.jpg").read_bytes()[:3] == b"\xff\xd8\xff"


def test_links_between_the_pages_lead_somewhere() -> None:
    for page in (ROOT / "README.md", ROOT / "examples" / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_error_code_is_explained() -> None:
    page = (ROOT / "docs" / "api.md").read_text()
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


def sources_of(*folders: str) -> str:
    return "".join(path.read_text() for folder in folders for path in (ROOT / folder).rglob("*.py"))


def test_every_event_of_a_history_is_explained() -> None:
    page = (ROOT / "docs" / "api.md").read_text()
    events = set(re.findall(r'noting\(\s*[\w.]+,\s*"([a-z_]+)"', sources_of("video_jobs")))
    events |= set(re.findall(r'what: str = "([a-z_]+)"', sources_of("video_jobs")))
    events |= set(re.findall(r'what="([a-z_]+)"', sources_of("video_jobs", "poll_job")))
    assert {"accepted", "submitted", "adopted", "stored", "poisoned"} <= events
    events |= {status.value for status in Status if status.is_terminal}
    assert {event for event in events if f"`{event}`" not in page} == set()


def test_the_page_shows_a_job_with_all_its_fields(sora: Pipeline) -> None:
    page = (ROOT / "docs" / "api.md").read_text()
    shown = next(
        json.loads(text) for text in re.findall(r"```json\n(.*?)```", page, re.DOTALL) if '"videos"' in text
    )
    job = sora.run(sora.submit())
    body = {**job_view(job, sora.blobs), "history": history_view(job)}
    assert list(shown) == list(body)
    assert set(shown["videos"][0]) == set(body["videos"][0])
    assert set(shown["history"][0]) == set(body["history"][0])
    assert set(shown["backend"]) == set(body["backend"])


def test_the_page_names_every_table_and_queue() -> None:
    page = (ROOT / "docs" / "api.md").read_text()
    names = set(re.findall(r'_(?:TABLE|QUEUE) = "([a-z-]+)"', sources_of("video_jobs")))
    assert len(names) >= 6
    assert {name for name in names if f"`{name}`" not in page} == set()
