"""OpenRouter: the package `openrouter`, unmodified, and the app, each against the imitation."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from openrouter import OpenRouter
from openrouter.errors import (
    BadRequestResponseError,
    NotFoundResponseError,
    PaymentRequiredResponseError,
    UnauthorizedResponseError,
)

from doctor.backend_check import check_backend
from doctor.findings import Mark
from job_api.act import cancel_job
from local.simulator.server import Simulator
from tests.pipeline import API_KEY
from tests.providers.provider_app import PROMPT, SECONDS, ProviderApp
from video_jobs.domain.job import Status
from video_jobs.settings.backends import BackendSettings
from video_jobs.views.job_view import job_summary

MODEL, OTHER = "google/veo-3.1", "alibaba/wan-2.7"


@pytest.fixture
def app(simulator: Simulator) -> ProviderApp:
    return ProviderApp(simulator, "openrouter")


@pytest.fixture
def package(simulator: Simulator) -> Iterator[OpenRouter]:
    with OpenRouter(api_key=API_KEY, server_url=f"{simulator.url}/api/v1") as client:
        yield client


# --- the package, against the imitation ---


def test_the_package_creates_polls_and_downloads(package: OpenRouter, app: ProviderApp) -> None:
    made = package.video_generation.generate(model=MODEL, prompt=PROMPT, size="1280x720", duration=SECONDS)
    assert made.status == "pending"
    app.advance(20)
    assert package.video_generation.get_generation(job_id=made.id).status == "in_progress"
    app.advance(600)
    done = package.video_generation.get_generation(job_id=made.id)
    assert done.status == "completed"
    assert done.urls
    assert done.expires_at
    assert done.usage is not None
    assert done.usage.cost == pytest.approx(1.6)
    content = package.video_generation.get_video_content(job_id=made.id)
    assert content.read()[4:8] == b"ftyp"


def test_the_package_asks_for_shape_sound_seed_frames_and_references(
    package: OpenRouter, app: ProviderApp
) -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.test/a.png"}}
    package.video_generation.generate(
        model=MODEL,
        prompt=PROMPT,
        duration=SECONDS,
        aspect_ratio="9:16",
        resolution="1080p",
        generate_audio=True,
        seed=7,
        frame_images=[{**image, "frame_type": "first_frame"}, {**image, "frame_type": "last_frame"}],  # type: ignore[typeddict-item]
        input_references=[image],  # type: ignore[list-item]
    )
    [made] = app.simulator.world.everything()
    assert (made.order.width, made.order.height) == (1080, 1920)
    assert {"aspect_ratio", "resolution", "generate_audio", "seed"} < made.order.given.keys()
    with pytest.raises(BadRequestResponseError):
        package.video_generation.generate(model=OTHER, prompt=PROMPT, duration=4, generate_audio=True)


def test_the_package_understands_the_refusals(package: OpenRouter, simulator: Simulator) -> None:
    with (
        OpenRouter(api_key="wrong", server_url=f"{simulator.url}/api/v1") as stranger,
        pytest.raises(UnauthorizedResponseError),
    ):
        stranger.video_generation.generate(model=MODEL, prompt=PROMPT)
    simulator.world.change({"out_of_credit": True})
    with pytest.raises(PaymentRequiredResponseError):
        package.video_generation.generate(model=MODEL, prompt=PROMPT)
    with pytest.raises(NotFoundResponseError):
        package.video_generation.get_generation(job_id="gen-vid-1-none")


def test_the_package_reads_the_list_of_models(package: OpenRouter) -> None:
    models = {model.id: model for model in package.video_generation.list_videos_models().data}
    assert list(models) == [MODEL, OTHER]
    assert models[OTHER].supported_frame_images == ["first_frame"]


# --- the app, against the same imitation ---


def test_a_job_ends_with_its_video_stored(app: ProviderApp) -> None:
    job = app.run(app.ask())
    assert job.status is Status.SUCCEEDED
    assert app.backend_jobs() == 1
    assert job.backend_job_id is not None
    assert job.backend_job_id.startswith("gen-vid-")
    assert job_summary(job)["cost"] == {"amount": 1.6, "currency": "USD"}


def test_the_signed_address_gets_no_key_and_the_other_one_serves_where_it_ended(app: ProviderApp) -> None:
    assert app.run(app.ask()).status is Status.SUCCEEDED
    assert not app.calls("video"), "the signed address had it"
    apart = ProviderApp(app.simulator, "openrouter", download_origins=[])
    assert apart.run(apart.ask()).status is Status.SUCCEEDED
    assert apart.calls("video"), "the other origin is not public, so the API's own address had it"


def test_a_running_job_can_not_be_cancelled_and_its_video_is_kept(app: ProviderApp) -> None:
    job = app.run_until(app.ask(), Status.QUEUED)
    cancel_job(app.services, job.owner, job.id)
    assert app.run(job).status is Status.SUCCEEDED


# --- settings and doctor ---


def test_a_key_that_another_backend_takes_makes_no_second_one(simulator: Simulator) -> None:
    app = ProviderApp(simulator, "openrouter", name="mine")
    assert app.services.backends.names() == ["mine"]


def test_the_doctor_tells_the_key_the_missing_list_and_the_model(simulator: Simulator) -> None:
    backend = BackendSettings(
        name="openrouter", dialect="openrouter", base_url=f"{simulator.url}/api/v1", model=MODEL
    )
    now = datetime.now(UTC)
    found = {each.subject: each for each in check_backend(backend, API_KEY, now)}
    assert found["key"].mark is Mark.RIGHT
    assert found["list"].mark is Mark.WARNING
    assert found["model"].mark is Mark.RIGHT
    refused = {each.subject: each for each in check_backend(backend, "wrong-key-1", now)}
    assert refused["key"].mark is Mark.WRONG
