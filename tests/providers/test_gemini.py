"""Gemini: the package `google-genai` 3.6.1, unmodified, and the app, each against the imitation."""

from __future__ import annotations

from typing import Any

import pytest
from google import genai

from job_api.act import cancel_job
from local.simulator.server import Simulator
from tests.pipeline import API_KEY
from tests.providers.provider_app import PROMPT, SECONDS, ProviderApp
from video_jobs.backends.providers import gemini
from video_jobs.domain.backend_job import BackendState
from video_jobs.domain.job import Status

MODEL = "gemini-omni-1.2-flash"
WANTED = {
    "type": "video",
    "aspect_ratio": "16:9",
    "resolution": "720p",
    "duration": f"{SECONDS}s",
    "delivery": "uri",
}


@pytest.fixture
def app(simulator: Simulator) -> ProviderApp:
    return ProviderApp(simulator, "gemini")


def client(simulator: Simulator, key: str = API_KEY) -> Any:
    return genai.Client(api_key=key, http_options={"base_url": simulator.url})


def created(package: Any, prompt: str = PROMPT) -> Any:
    return package.interactions.create(
        model=MODEL, input=prompt, background=True, store=True, response_format=WANTED
    )


# --- the package, against the imitation ---


def test_the_package_creates_polls_and_downloads(simulator: Simulator, app: ProviderApp) -> None:
    package = client(simulator)
    made = created(package)
    assert made.status == "queued"
    app.advance(25)
    assert package.interactions.get(made.id).status == "in_progress"
    app.advance(600)
    done = package.interactions.get(made.id)
    assert done.status == "completed"
    name = done.output_video.uri.rpartition("/")[2]  # of the addresses it knows only those over TLS
    assert package.files.download(file=name)[4:8] == b"ftyp"


def test_the_package_cancels_and_sees_it(simulator: Simulator) -> None:
    package = client(simulator)
    made = created(package)
    assert package.interactions.cancel(made.id).status == "cancelled"


def test_the_package_understands_the_refusals(simulator: Simulator) -> None:
    with pytest.raises(Exception, match="API key not valid"):
        created(client(simulator, key="wrong-key-1"))
    simulator.world.change({"out_of_credit": True})
    with pytest.raises(Exception, match="billing"):
        created(client(simulator))


# --- the app, against the same imitation ---


def test_a_cancel_stops_the_interaction(app: ProviderApp) -> None:
    job = app.run_until(app.ask(), Status.QUEUED)
    cancel_job(app.services, job.owner, job.id)
    assert app.run(job).status is Status.CANCELLED


def test_the_file_is_fetched_from_the_apis_own_origin_with_the_key(app: ProviderApp) -> None:
    assert app.run(app.ask()).status is Status.SUCCEEDED
    assert app.calls("video")
    assert not app.calls("signed")


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("https://g.example/v1beta/files/abc", "https://g.example/v1beta/files/abc:download?alt=media"),
        ("files/abc", "/v1/files/abc:download?alt=media"),
        (
            "https://g.example/v1beta/files/abc:download?alt=media",
            "https://g.example/v1beta/files/abc:download?alt=media",
        ),
        ("https://store.example/x.mp4?sig=1", "https://store.example/x.mp4?sig=1"),
    ],
)
def test_the_bytes_of_a_file_are_asked_for_and_not_its_record(uri: str, address: str) -> None:
    steps = [{"type": "model_output", "content": [{"type": "video", "uri": uri}]}]
    assert gemini.API.outputs({"steps": steps}) == [[address]]
    assert gemini.API.outputs({"output_video": {"uri": uri}}) == [[address]]


@pytest.mark.parametrize("status", ["incomplete", "budget_exceeded"])
def test_an_end_without_a_video_is_a_failure(status: str) -> None:
    assert gemini.API.state({"status": status}) is BackendState.FAILED
    assert gemini.API.failure({"status": status}).code == status


@pytest.mark.parametrize("status", ["requires_action", "idle", "requires_continuation"])
def test_a_state_that_proves_no_end_ends_nothing(status: str) -> None:
    assert gemini.API.state({"status": status}) is BackendState.UNKNOWN


@pytest.mark.parametrize("steps", [None, 3, {}, [None, 3, "x"], [{"type": "model_output", "content": 3}]])
def test_steps_of_any_shape_are_read(steps: object) -> None:
    body = {"status": "completed", "steps": steps}
    assert gemini.API.outputs(body) == []
    assert gemini.API.state(body) in (BackendState.SUCCEEDED, BackendState.FAILED)
    assert gemini.API.failure(body).text is None
