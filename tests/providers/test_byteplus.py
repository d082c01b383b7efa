"""BytePlus ModelArk: the package `volcengine-ark-runtime` 5.0.54, unmodified, and the app, each against the imitation.

BytePlus' own package is the same client under another name, in a wheel of all of its services.
"""

from __future__ import annotations

from typing import Any

import pytest
import requests
from volcenginesdkarkruntime import Ark
from volcenginesdkarkruntime._exceptions import ArkAPIError

from job_api.act import cancel_job
from local.simulator.server import Simulator
from tests.pipeline import API_KEY
from tests.providers.provider_app import PROMPT, SECONDS, ProviderApp
from video_jobs.domain.job import Status

MODEL = "dreamina-seedance-2-5-260628"


@pytest.fixture
def app(simulator: Simulator) -> ProviderApp:
    return ProviderApp(simulator, "byteplus")


def client(simulator: Simulator, key: str = API_KEY) -> Any:
    ark = Ark(base_url=f"{simulator.url}/api/v3", api_key=key, max_retries=0)
    return ark.content_generation.tasks


def created(tasks: Any) -> Any:
    content = [{"type": "text", "text": PROMPT}]
    return tasks.create(model=MODEL, content=content, ratio="16:9", resolution="720p", duration=SECONDS)


# --- the package, against the imitation ---


def test_the_package_creates_polls_downloads_and_lists(simulator: Simulator, app: ProviderApp) -> None:
    tasks = client(simulator)
    made = created(tasks)
    assert tasks.get(task_id=made.id).status == "queued"
    app.advance(25)
    assert tasks.get(task_id=made.id).status == "running"
    app.advance(600)
    done = tasks.get(task_id=made.id)
    assert done.status == "succeeded"
    assert done.usage.total_tokens > 0
    assert requests.get(done.content.video_url, timeout=30).content[4:8] == b"ftyp"
    listed = tasks.list(page_num=1, page_size=10)
    assert (listed.total, [task.id for task in listed.items]) == (1, [made.id])


def test_the_package_stops_what_waits_and_is_refused_what_runs(
    simulator: Simulator, app: ProviderApp
) -> None:
    tasks = client(simulator)
    waiting = created(tasks)
    tasks.delete(task_id=waiting.id)
    assert tasks.get(task_id=waiting.id).status == "cancelled"
    running = created(tasks)
    app.advance(25)
    with pytest.raises(ArkAPIError):
        tasks.delete(task_id=running.id)


def test_the_package_understands_the_refusals(simulator: Simulator) -> None:
    with pytest.raises(ArkAPIError, match="AuthenticationError"):
        created(client(simulator, key="wrong-key-1"))
    simulator.world.change({"out_of_credit": True})
    with pytest.raises(ArkAPIError, match="AccountOverdueError"):
        created(client(simulator))


# --- the app, against the same imitation ---


def test_a_lost_answer_ends_unconfirmed_and_names_the_candidate(app: ProviderApp) -> None:
    app.fault("create", lost_answer=True, times=1)
    job = app.run(app.ask())
    assert job.error is not None
    assert job.error.code == "submission_unconfirmed"
    [made] = app.simulator.world.everything()
    assert job.error.candidates == (made.id,)


def test_a_list_of_several_pages_is_read(app: ProviderApp) -> None:
    tasks = client(app.simulator)
    made = [created(tasks).id for _ in range(103)]
    backend, _ = app.services.backends.choose(None)
    listed = [job.id for job in app.services.backends.client(backend).recent()]
    assert listed == made[::-1]


def test_a_cancel_stops_a_task_that_waits(app: ProviderApp) -> None:
    job = app.run_until(app.ask(), Status.QUEUED)
    app.simulator.world.change({"queue_seconds": 600.0})
    waiting = app.run_until(app.ask(), Status.QUEUED)
    cancel_job(app.services, waiting.owner, waiting.id)
    assert app.run(waiting).status is Status.CANCELLED
    assert app.run(job).status is Status.SUCCEEDED


def test_a_cancel_of_a_task_that_runs_is_refused_and_its_video_is_kept(app: ProviderApp) -> None:
    job = app.run_until(app.ask(), Status.RUNNING)
    cancel_job(app.services, job.owner, job.id)
    ended = app.run(job)
    assert ended.status is Status.SUCCEEDED
    assert ended.cancellation.refused is not None


def test_an_address_that_ended_is_asked_for_until_the_provider_deletes_the_video(app: ProviderApp) -> None:
    app.simulator.world.change({"address_seconds": 60.0})
    job = app.run_until(app.ask(), Status.FETCHING)
    app.advance(3600)
    assert app.run_until(job, Status.PENDING_DOWNLOAD).outputs[0].problem is not None
    app.simulator.world.change({"address_seconds": 90_000.0})
    assert app.run(job).status is Status.SUCCEEDED
