"""Every line that the app logs belongs to an invocation: what another thread logs, the host never sends."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import pytest
import requests

import job_api.wait
from http_edge.answers import SeenJob, see_job
from local.azurite_process import Azurite
from local.function_host.functions import current_function
from local.simulator.server import Simulator
from tests.pipeline import SMALL
from tests.whole_app import running_app
from video_jobs.domain.job import Job
from video_jobs.services import Services

OURS = "reelkeep"


class Watch(logging.Handler):
    """The app's lines, and the function to which the host would count each."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str | None, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append((current_function(), f"{record.name}: {record.getMessage()}"))


@pytest.fixture
def watch() -> Iterator[Watch]:
    handler, logger = Watch(), logging.getLogger(OURS)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(before)


@pytest.mark.exhaustive
def test_no_line_of_the_app_is_logged_where_the_host_would_lose_it(
    azurite: Azurite, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def see_and_say(services: Services, job: Job) -> SeenJob:
        logging.getLogger(f"{OURS}.wait").warning("%s is seen", job.id)
        return see_job(services, job)

    monkeypatch.setattr(job_api.wait, "see_job", see_and_say)
    with (
        Simulator(api_key="sim-key", speed=30) as simulator,
        running_app(azurite, simulator, WEBHOOK_SECRETS="") as host,
    ):
        jobs = f"{host.url}/api/jobs"
        simulator.faults.add([])
        job_id = requests.post(jobs, json=SMALL["azure-sora"], timeout=30).json()["id"]
        refused = requests.post(jobs, json={"prompt": ""}, timeout=30)
        deadline = time.monotonic() + 60
        while (job := requests.get(f"{jobs}/{job_id}?wait=5", timeout=30).json())["status"] != "succeeded":
            assert time.monotonic() < deadline, job
        assert host.wait_idle(20)
    assert refused.status_code == 400
    functions = {function for function, _ in watch.seen}
    assert {"submit_job", "poll_job", "fetch_video", "get_job"} <= functions
    lost = [line for function, line in watch.seen if function is None]
    assert lost == []
