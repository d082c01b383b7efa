"""What the pages tell people to type works."""

from __future__ import annotations

import functools
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from local.stack import Stack
from tests.documents import NAMES, ROOT, blocks, text_of
from tests.pipeline import Pipeline
from tests.sources import sources_of
from tests.waiting import until
from video_jobs.domain.job import Status
from video_jobs.views.job_view import history_view, job_view


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(dialect="azure-sora", pace=60) as running:
        yield running


# What needs an account, or is long: tests/unit/test_docs.py sees that the targets and options are there.
ELSEWHERE = """
make() { :; }; func() { :; }; git() { :; }; azcopy() { :; }
az() { echo '"state": "Running"'; }
python() { echo "$@" | grep -q -- '-m doctor --app'; }
azd() {
    [ "${1-} ${2-}" = "env get-values" ] || return 0
    echo 'FUNCTION_APP_NAME=func-my'; echo 'RESOURCE_GROUP=rg-my'; echo 'API_URL=http://localhost:7071/api'
    echo 'STORAGE_ACCOUNT=stmy'; echo 'INSIGHTS_NAME=appi-my'; echo 'IDENTITY_PRINCIPAL_ID=00000000'
}
eval "$(azd env get-values)"
"""
# They move the simulated clock, switch faults on or pause the video API for long, which the others would see.
ALONE = ("docs/reference/simulator.md", "docs/tutorial.md", "docs/how-to/upgrade-with-jobs-in-flight.md")
TYPED = [*(name for name in NAMES if "".join(blocks(name, "sh")) and name not in ALONE), *ALONE]


class Typed:
    """What a page has people type, as one script that runs in a folder of its own."""

    def __init__(self, stack: Stack, page: str, folder: Path) -> None:
        assert stack.simulator is not None
        script = ELSEWHERE + "\n".join(blocks(page, "sh"))
        script = script.replace("http://localhost:7071/api", stack.api)
        script = script.replace("http://localhost:7072", stack.simulator.url)
        self.folder = folder
        self.process = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def end(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture(scope="module")
def typed(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Typed]]:
    """All pages at once: most of the time each waits for a job."""
    running = {
        page: Typed(stack, page, tmp_path_factory.mktemp("page")) for page in TYPED if page not in ALONE
    }
    yield running
    for one in running.values():
        one.end()


@pytest.mark.exhaustive
def test_a_lost_answer_is_found_after_the_clock_was_moved_as_the_tutorial_does(stack: Stack) -> None:
    """The app corrects the list's times by the simulated clock's error, which must not grow while the app waits."""
    assert stack.simulator is not None
    control = f"{stack.simulator.url}/_simulator"
    requests.post(f"{control}/clock", json={"advance": 172_800}, timeout=10).raise_for_status()
    lost = {"operation": "create", "lost_answer": True}
    requests.post(f"{control}/faults", json=lost, timeout=10).raise_for_status()
    made = requests.post(f"{stack.api}/jobs", json={"prompt": "A paper boat, lost"}, timeout=30).json()
    assert made["status"] == "submitting"

    def status() -> str:
        return str(requests.get(f"{stack.api}/jobs/{made['id']}", timeout=10).json()["status"])

    assert until(lambda: status() in ("succeeded", "failed"), 60)
    assert status() == "succeeded"


@pytest.mark.exhaustive
@pytest.mark.parametrize("page", TYPED)
def test_what_a_page_has_people_type_works(
    stack: Stack, typed: dict[str, Typed], page: str, tmp_path: Path
) -> None:
    one = typed.get(page) or Typed(stack, page, tmp_path)
    try:
        said, _ = one.process.communicate(timeout=90)
    finally:
        one.end()
    assert one.process.returncode == 0, said
    assert '"type":"about:blank"' not in said, "a problem"
    for video in one.folder.glob("*.mp4"):
        assert video.read_bytes()[4:8] == b"ftyp"
    for picture in one.folder.glob("*.jpg"):
        assert picture.read_bytes()[:3] == b"\xff\xd8\xff"
    if page == "README.md":
        assert {file.name for file in one.folder.iterdir()} == {"video.mp4", "thumbnail.jpg"}


def test_what_the_runbook_has_an_operator_do_to_a_job_works(stack: Stack) -> None:
    """With a job that there is in the places that the page leaves open."""
    page = "docs/runbook.md"
    made = requests.post(f"{stack.api}/jobs", json={"prompt": "A paper boat"}, timeout=30).json()["id"]
    known: list[str] = []

    def submitted() -> bool:
        job = requests.get(f"{stack.api}/jobs/{made}", timeout=30).json()
        known[:] = [job["backend_job_id"]]
        return job["backend_job_id"] is not None

    assert until(submitted, 60)
    places = {"OWNER": "default", "JOB_ID": made, '"ID"': f'"{known[0]}"', '"NAME"': '"default"'}
    told = blocks(page, "sh")[-1] + "\naz() { printf '%s\\n' \"$@\"; }\n"
    given = [block for block in blocks(page, "") if re.search(r"curl|sed", block)]
    assert len(given) == 3
    for block in given:
        filled = functools.reduce(lambda text, place: text.replace(place, places[place]), places, block)
        script = f"{ELSEWHERE}\n{told}\n{filled}".replace("http://localhost:7071/api", stack.api)
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        assert made in ran.stdout, block


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
