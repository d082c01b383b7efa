"""Replicate: the package `replicate` 1.0.7, unmodified, and the app, each against the imitation.

The package is built on pydantic's first version, which Python 3.14 no longer runs; there the app alone is tested.
"""

from __future__ import annotations

import sys
from typing import Any

import pytest
import requests

from job_api.act import cancel_job
from local.simulator.server import Simulator
from tests.pipeline import API_KEY
from tests.providers.provider_app import PROMPT, SECONDS, ProviderApp
from video_jobs.domain.job import Status

MODEL = "google/veo-3.1-fast"
WANTED = {"prompt": PROMPT, "aspect_ratio": "16:9", "resolution": "720p", "duration": SECONDS}

with_package = pytest.mark.skipif(sys.version_info >= (3, 14), reason="replicate needs pydantic.v1")


@pytest.fixture
def app(simulator: Simulator) -> ProviderApp:
    return ProviderApp(simulator, "replicate")


@pytest.fixture
def package(simulator: Simulator) -> Any:
    from replicate.client import Client

    return Client(api_token=API_KEY, base_url=simulator.url)


# --- the package, against the imitation ---


@with_package
def test_the_package_creates_polls_downloads_and_lists(package: Any, app: ProviderApp) -> None:
    made = package.models.predictions.create(MODEL, WANTED)
    assert made.status == "starting"
    app.advance(25)
    made.reload()
    assert made.status == "processing"
    assert 0 < made.progress.percentage < 1
    app.advance(600)
    made.reload()
    assert made.status == "succeeded"
    assert requests.get(made.output, timeout=30).content[4:8] == b"ftyp"
    [listed] = package.predictions.list()
    assert (listed.id, listed.input["prompt"]) == (made.id, PROMPT)


@with_package
def test_the_package_turns_the_pages_of_the_list(package: Any) -> None:
    from replicate.pagination import paginate

    made = {package.models.predictions.create(MODEL, WANTED).id for _ in range(101)}
    pages = list(paginate(package.predictions.list))
    assert [len(page) for page in pages] == [100, 1]
    assert {each.id for page in pages for each in page} == made


@with_package
def test_the_package_cancels_and_sees_it(package: Any) -> None:
    made = package.models.predictions.create(MODEL, WANTED)
    made.cancel()
    assert made.status == "canceled"
    assert package.predictions.get(made.id).status == "canceled"


@with_package
def test_the_package_understands_the_refusals(package: Any, simulator: Simulator) -> None:
    from replicate.client import Client
    from replicate.exceptions import ReplicateError

    def refused(client: Any, model: str = MODEL, **changes: object) -> ReplicateError:
        with pytest.raises(ReplicateError) as caught:
            client.models.predictions.create(model, {**WANTED, **changes})
        return caught.value

    assert refused(Client(api_token="wrong-key-1", base_url=simulator.url)).status == 401
    assert refused(package, duration="long").status == 422
    simulator.world.change({"out_of_credit": True})
    assert "insufficient credit" in str(refused(package))


# --- the app, against the same imitation ---


def test_a_lost_answer_is_found_in_the_list_and_its_video_kept(app: ProviderApp) -> None:
    app.fault("create", lost_answer=True, times=1)
    assert app.run(app.ask()).status is Status.SUCCEEDED
    assert app.backend_jobs() == 1


def test_a_cancel_stops_the_prediction(app: ProviderApp) -> None:
    job = app.run_until(app.ask(), Status.QUEUED)
    cancel_job(app.services, job.owner, job.id)
    assert app.run(job).status is Status.CANCELLED


def test_an_output_that_is_removed_after_an_hour_ends_the_job_as_expired(app: ProviderApp) -> None:
    app.simulator.world.change({"retention_seconds": 3600.0})
    job = app.run_until(app.ask(), Status.FETCHING)
    assert job.expires_at is not None
    assert job.expires_at - app.now() <= app.services.backends.retention(job.backend)
    app.advance(4000)
    assert app.run(job).status is Status.EXPIRED


def test_a_version_of_a_model_is_asked_for_by_its_own_call(simulator: Simulator) -> None:
    app = ProviderApp(simulator, "replicate", model="maker/model:0123abcd")
    assert app.run(app.ask()).status is Status.SUCCEEDED
    [create] = app.calls("create")
    assert create["path"] == "/v1/predictions"
