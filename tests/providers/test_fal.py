"""fal: the package `fal-client` 1.0.3, unmodified, and the app, each against the imitation.

The package knows one host, over TLS; the test sets its constant for that, and nothing else.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import fal_client
import pytest
import requests

from doctor.__main__ import ALL_RIGHT, run
from job_api.act import cancel_job
from job_api.import_job import ImportRequest, import_job, read_import
from local.simulator.server import Simulator
from tests.pipeline import API_KEY, OWNER
from tests.providers.provider_app import PROMPT, SECONDS, ProviderApp, picture
from video_jobs.backends.providers.fal import API
from video_jobs.backends.task_api import path_of
from video_jobs.domain.errors import BackendJobNotFound, InvalidRequest
from video_jobs.domain.job import Status

MODEL = "fal-ai/veo3.1/fast"
WANTED = {"prompt": PROMPT, "aspect_ratio": "16:9", "resolution": "720p", "duration": f"{SECONDS}s"}


@pytest.fixture
def app(simulator: Simulator) -> ProviderApp:
    return ProviderApp(simulator, "fal")


@pytest.fixture
def package(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("fal_client.client.QUEUE_URL_FORMAT", f"{simulator.url}/")
    return fal_client.SyncClient(key=API_KEY)


# --- the package, against the imitation ---


def test_the_package_creates_polls_and_downloads(package: Any, app: ProviderApp) -> None:
    made = package.submit(MODEL, WANTED)
    assert isinstance(made.status(), fal_client.Queued)
    app.advance(25)
    assert isinstance(made.status(), fal_client.InProgress)
    app.advance(600)
    assert isinstance(package.status(MODEL, made.request_id), fal_client.Completed)
    url = made.get()["video"]["url"]
    assert requests.get(url, timeout=30).content[4:8] == b"ftyp"


@pytest.mark.parametrize("model", [MODEL, "workflows/me/a-film", "comfy/me/a-film/draft"])
def test_the_app_asks_for_a_request_where_the_package_does(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fal_client.client.QUEUE_URL_FORMAT", "")
    asked = fal_client.SyncClient(key=API_KEY).get_handle(model, "task_1")
    paths = (asked.status_url, asked.response_url, asked.cancel_url)
    templates = (API.job_path, API.result_path, API.stop.path if API.stop else None)
    assert paths == tuple(path_of(path or "", model, "task_1").lstrip("/") for path in templates)


def test_the_package_sees_a_failure_as_completed_and_in_the_result(package: Any, app: ProviderApp) -> None:
    made = package.submit(MODEL, {**WANTED, "prompt": "a paper boat blocked-output"})
    app.advance(600)
    done = made.status()
    assert isinstance(done, fal_client.Completed)
    assert done.error is None
    with pytest.raises(fal_client.FalClientHTTPError) as caught:
        made.get()
    assert caught.value.status_code == 422
    assert caught.value.error_type == "content_policy_violation"


def test_the_package_cancels_and_sees_it(package: Any) -> None:
    made = package.submit(MODEL, WANTED)
    made.cancel()
    assert made.status().error_type == "client_cancelled"


def test_the_package_understands_the_refusals(package: Any, simulator: Simulator) -> None:
    def refused(client: Any) -> int:
        with pytest.raises(fal_client.FalClientHTTPError) as caught:
            client.submit(MODEL, WANTED)
        return int(caught.value.status_code)

    assert refused(fal_client.SyncClient(key="wrong-key-1")) == 401
    simulator.world.change({"out_of_credit": True})
    assert refused(package) == 403


# --- the app, against the same imitation ---


def test_the_paid_call_forbids_fal_to_repeat_it(app: ProviderApp) -> None:
    assert app.services.backends.client(app.ask().backend)._http.headers()["X-Fal-No-Retry"] == "1"


def test_an_input_image_goes_to_the_models_other_path(simulator: Simulator) -> None:
    for model in (MODEL, "fal-ai/kling-video/v3/pro/text-to-video"):
        app = ProviderApp(simulator, "fal", model=model)
        assert app.run(app.ask(input_image=picture())).status is Status.SUCCEEDED
    paths = [call["path"] for call in app.calls("create")]
    assert paths == [f"/{MODEL}/image-to-video", "/fal-ai/kling-video/v3/pro/image-to-video"]


def test_a_result_that_is_5xx_is_asked_for_again(app: ProviderApp) -> None:
    job = app.ask()
    app.fault("result", status=503, body={"detail": "try again"}, times=3)
    assert app.run(job).status is Status.SUCCEEDED


def test_a_cancel_stops_the_request(app: ProviderApp) -> None:
    job = app.run_until(app.ask(), Status.QUEUED)
    cancel_job(app.services, job.owner, job.id)
    assert app.run(job).status is Status.CANCELLED


def test_a_job_is_asked_for_below_the_model_that_it_chose(simulator: Simulator) -> None:
    other = "fal-ai/kling-video/v3/pro/text-to-video"
    app = ProviderApp(simulator, "fal", models=[other])
    job = app.run(app.ask(model=other))
    assert job.status is Status.SUCCEEDED
    assert job.backend.model == other
    polls = {call["path"].partition("/requests/")[0] for call in app.calls("get")}
    assert polls == {"/fal-ai/kling-video"}


OTHERS_MODEL = "fal-ai/kling-video/v2/text-to-video"


def an_import(request_id: str, **more: str) -> ImportRequest:
    return read_import(json.dumps({"backend_job_id": request_id, **more}).encode())


def test_a_job_of_another_model_is_imported_if_its_model_is_named(package: Any, app: ProviderApp) -> None:
    made = package.submit(OTHERS_MODEL, {**WANTED, "duration": "5"})
    with pytest.raises(BackendJobNotFound, match="under the model"):
        import_job(app.services, OWNER, an_import(made.request_id))
    job = import_job(app.services, OWNER, an_import(made.request_id, model="fal-ai/kling-video"))
    assert app.run(job).status is Status.SUCCEEDED
    assert app.backend_jobs() == 1


@pytest.mark.parametrize("model", ["", "..", "fal-ai/../x", "fal-ai//x", "/fal-ai", "./x"])
def test_a_model_that_would_change_the_path_is_refused(model: str) -> None:
    with pytest.raises(InvalidRequest, match="model"):
        an_import("1", model=model)


def test_the_doctor_finds_a_job_of_another_model_and_prints_the_import_with_it(
    package: Any, app: ProviderApp
) -> None:
    made = package.submit(OTHERS_MODEL, {**WANTED, "duration": "5"})
    app.advance(600)
    backend = {
        "name": "fal",
        "base_url": app.simulator.url,
        "download_origins": [app.simulator.signed_origin],
    }
    environment = {
        "AzureWebJobsStorage": "UseDevelopmentStorage=true",
        "VIDEO_BACKENDS": json.dumps([{**backend, "dialect": "fal"}]),
        "FAL_KEY": API_KEY,
    }
    out = io.StringIO()
    visit = ["--generation", made.request_id, "--model", "fal-ai/kling-video"]
    code = run(visit, environment, Path("/nowhere"), out)
    assert code == ALL_RIGHT, out.getvalue()
    assert "video/mp4" in out.getvalue()
    assert '"model": "fal-ai/kling-video"' in out.getvalue()
