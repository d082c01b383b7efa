"""Runway: the package `runwayml`, unmodified, and the app, each against the imitation."""

from __future__ import annotations

import base64
import io
from datetime import UTC, datetime
from itertools import pairwise

import pytest
import requests
from PIL import Image
from runwayml import AuthenticationError, BadRequestError, NotFoundError, RunwayML

from doctor.backend_check import check_backend
from doctor.findings import Mark
from job_api.act import cancel_job
from local.simulator.server import Simulator
from tests.pipeline import API_KEY
from tests.providers.provider_app import PROMPT, SECONDS, ProviderApp
from video_jobs.domain.cost import Cost
from video_jobs.domain.gate import ClosureReason
from video_jobs.domain.job import Status
from video_jobs.settings.app import Settings
from video_jobs.settings.backends import BackendSettings

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


def test_a_download_after_the_address_ended_asks_for_a_new_one(app: ProviderApp) -> None:
    job = app.run_until(app.ask(), Status.FETCHING)
    app.advance(100_000)
    assert app.run(job).status is Status.SUCCEEDED


def test_an_input_image_goes_to_the_call_for_images(app: ProviderApp) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (1280, 720), "navy").save(picture, "PNG")
    url = "data:image/png;base64," + base64.b64encode(picture.getvalue()).decode()
    assert app.run(app.ask(input_image=url)).status is Status.SUCCEEDED
    [create] = app.calls("create")
    assert create["path"] == "/v1/image_to_video"


@pytest.mark.parametrize("word", ["blocked-output", "internal-failure"])
def test_a_failed_task_fails_the_job_with_its_words(app: ProviderApp, word: str) -> None:
    job = app.run(app.ask(prompt=f"a paper boat {word}"))
    assert job.status is Status.FAILED
    assert job.error is not None
    assert ("moderation" if word == "blocked-output" else "unexpected") in job.error.message


def test_a_cancel_stops_the_task(app: ProviderApp) -> None:
    job = app.run_until(app.ask(), Status.QUEUED)
    cancel_job(app.services, job.owner, job.id)
    assert app.run(job).status is Status.CANCELLED
    assert len(app.calls("delete")) == 1


@pytest.mark.parametrize(
    ("change", "key", "why"),
    [
        ({}, "wrong-key-1", ClosureReason.MISCONFIGURED),
        ({"out_of_credit": True}, API_KEY, ClosureReason.ACCOUNT),
    ],
    ids=["wrong key", "out of credit"],
)
def test_what_stops_every_create_keeps_the_job_waiting_and_costs_nothing(
    simulator: Simulator, change: dict[str, object], key: str, why: ClosureReason
) -> None:
    app = ProviderApp(simulator, "runway", key=key)
    simulator.world.change(change)
    app.closes_for(why)


def test_a_model_that_is_unknown_fails_the_job_and_nothing_is_made(app: ProviderApp) -> None:
    app.simulator.world.change({"deployments": ["another"]})
    assert app.run(app.ask()).status is Status.FAILED
    assert app.backend_jobs() == 0


def test_a_lost_answer_ends_unconfirmed_and_is_never_sent_again(app: ProviderApp) -> None:
    app.leaves_a_lost_answer_unconfirmed()


# --- settings and doctor ---


def test_the_key_alone_makes_the_backend_and_several_keys_make_several() -> None:
    keys = {"OPENROUTER_API_KEY": "or-key-1", "RUNWAYML_API_SECRET": "rw-key-1"}
    settings = Settings.from_environment({"AzureWebJobsStorage": "UseDevelopmentStorage=true", **keys})
    assert [backend.name for backend in settings.backends] == ["openrouter", "runway"]
    assert settings.backends[1].base_url == "https://api.dev.runwayml.com/v1"
    assert settings.api_keys == {"openrouter": "or-key-1", "runway": "rw-key-1"}


def test_the_doctor_tells_the_key_and_the_missing_list(simulator: Simulator) -> None:
    backend = BackendSettings.model_validate(
        {"name": "runway", "dialect": "runway", "base_url": f"{simulator.url}/v1"}
    )
    now = datetime.now(UTC)
    found = {each.subject: each for each in check_backend(backend, API_KEY, now)}
    assert (found["key"].mark, found["list"].mark) == (Mark.RIGHT, Mark.WARNING)
    refused = {each.subject: each for each in check_backend(backend, "wrong-key-1", now)}
    assert refused["key"].mark is Mark.WRONG
