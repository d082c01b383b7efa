"""Runway: the package `runwayml`, unmodified, and the app, each against the imitation."""

from __future__ import annotations

import base64
import io
from itertools import pairwise

import pytest
import requests
from PIL import Image
from runwayml import AuthenticationError, BadRequestError, NotFoundError, RunwayML

from job_api.act import cancel_job
from local.simulator.server import Simulator
from tests.pipeline import API_KEY
from tests.providers.provider_app import PROMPT, SECONDS, ProviderApp
from video_jobs.domain.cost import Cost
from video_jobs.domain.job import Status

MODEL = "gen4.5"


@pytest.fixture
def app(simulator: Simulator) -> ProviderApp:
    return ProviderApp(simulator, "runway")


@pytest.fixture
def package(simulator: Simulator) -> RunwayML:
    return RunwayML(api_key=API_KEY, base_url=simulator.url, max_retries=0)


# --- the package, against the imitation ---


def test_the_package_creates_polls_and_downloads_and_a_poll_renews_the_address(
    package: RunwayML, app: ProviderApp
) -> None:
    made = package.text_to_video.create(model=MODEL, prompt_text=PROMPT, ratio="1280:720", duration=SECONDS)
    assert package.tasks.retrieve(made.id).status == "PENDING"
    app.advance(25)
    running = package.tasks.retrieve(made.id)
    assert running.status == "RUNNING"
    assert 0 < running.progress < 1
    app.advance(600)
    done = package.tasks.retrieve(made.id)
    assert done.status == "SUCCEEDED"
    assert requests.get(done.output[0], timeout=30).content[4:8] == b"ftyp"
    app.advance(100_000)
    assert requests.get(done.output[0], timeout=30).status_code == 403
    renewed = package.tasks.retrieve(made.id)
    assert renewed.status == "SUCCEEDED"
    assert requests.get(renewed.output[0], timeout=30).status_code == 200


def test_the_package_sends_frames_references_sound_and_a_negative_prompt(
    package: RunwayML, app: ProviderApp
) -> None:
    uri = "https://example.test/a.png"
    package.image_to_video.create(
        model="veo3.1",
        prompt_text=PROMPT,
        prompt_image=[{"uri": uri, "position": "first"}, {"uri": uri, "position": "last"}],
        ratio="1080:1920",
        duration=4,
        audio=True,
        negative_prompt="people",
        seed=7,
    )
    package.text_to_video.create(
        model="seedance2_5", prompt_text=PROMPT, ratio="854:480", duration=4, references=[{"uri": uri}]
    )
    frames, references = (made.order.given for made in app.simulator.world.everything())
    assert frames["promptImage"] == [{"uri": uri, "position": "first"}, {"uri": uri, "position": "last"}]
    assert (frames["audio"], frames["negativePrompt"], frames["seed"]) == (True, "people", 7)
    assert references["references"] == [{"uri": uri}]
    with pytest.raises(BadRequestError, match="audio"):
        package.text_to_video.create(
            model="gen4.5", prompt_text=PROMPT, ratio="1280:720", duration=4, extra_body={"audio": True}
        )


def test_the_package_understands_the_refusals(package: RunwayML, simulator: Simulator) -> None:
    with pytest.raises(NotFoundError):
        package.tasks.retrieve("00000000-0000-0000-0000-000000000000")
    stranger = RunwayML(api_key="wrong-key-1", base_url=simulator.url, max_retries=0)
    with pytest.raises(AuthenticationError):
        stranger.tasks.retrieve("any")
    simulator.world.change({"out_of_credit": True})
    with pytest.raises(BadRequestError, match="credits"):
        package.text_to_video.create(model=MODEL, prompt_text=PROMPT, ratio="1280:720", duration=SECONDS)


# --- the app, against the same imitation ---


def test_a_job_ends_with_its_video_stored_and_no_two_polls_are_nearer_than_five_seconds(
    app: ProviderApp,
) -> None:
    job = app.run(app.ask())
    assert job.status is Status.SUCCEEDED
    assert app.backend_jobs() == 1
    assert job.cost == Cost(0.48, "USD")
    polls = [call["at"] for call in app.calls("get")]
    # The last one is the download's, which asks for the address anew.
    assert min(later - earlier for earlier, later in pairwise(polls[:-1])) >= 5


def test_an_input_image_goes_to_the_call_for_images(app: ProviderApp) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (1280, 720), "navy").save(picture, "PNG")
    url = "data:image/png;base64," + base64.b64encode(picture.getvalue()).decode()
    assert app.run(app.ask(input_image=url)).status is Status.SUCCEEDED
    [create] = app.calls("create")
    assert create["path"] == "/v1/image_to_video"


def test_a_cancel_stops_the_task(app: ProviderApp) -> None:
    job = app.run_until(app.ask(), Status.QUEUED)
    cancel_job(app.services, job.owner, job.id)
    assert app.run(job).status is Status.CANCELLED
    assert len(app.calls("delete")) == 1


# --- settings and doctor ---
