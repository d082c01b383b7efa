"""OpenRouter: the package `openrouter`, unmodified, and the app, each against the imitation."""

from __future__ import annotations

import base64
import io
import json
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
from PIL import Image

from doctor.backend_check import check_backend
from doctor.findings import Mark
from doctor.subject import find_subject
from job_api.act import cancel_job
from job_api.import_job import import_job, read_import
from local.simulator.server import Simulator
from tests.pipeline import API_KEY, OWNER
from tests.providers.provider_app import PROMPT, SECONDS, ProviderApp
from video_jobs.domain.gate import ClosureReason
from video_jobs.domain.job import Status
from video_jobs.settings.app import Settings
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


def test_an_input_image_is_sent_as_the_first_frame(app: ProviderApp) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (1280, 720), "navy").save(picture, "PNG")
    url = "data:image/png;base64," + base64.b64encode(picture.getvalue()).decode()
    assert app.run(app.ask(input_image=url)).status is Status.SUCCEEDED


@pytest.mark.parametrize("word", ["blocked-output", "internal-failure"])
def test_a_failed_task_fails_the_job_with_its_words(app: ProviderApp, word: str) -> None:
    job = app.run(app.ask(prompt=f"a paper boat {word}"))
    assert job.status is Status.FAILED
    assert job.error is not None
    assert ("moderation" if word == "blocked-output" else "Internal error") in job.error.message


@pytest.mark.parametrize(
    ("change", "key", "why"),
    [
        ({}, "wrong-key-1", ClosureReason.MISCONFIGURED),
        ({"out_of_credit": True}, API_KEY, ClosureReason.ACCOUNT),
        ({"deployments": ["another/model"]}, API_KEY, ClosureReason.MISCONFIGURED),
    ],
    ids=["wrong key", "out of credit", "unknown model"],
)
def test_what_stops_every_create_keeps_the_job_waiting_and_costs_nothing(
    simulator: Simulator, change: dict[str, object], key: str, why: ClosureReason
) -> None:
    app = ProviderApp(simulator, "openrouter", key=key)
    simulator.world.change(change)
    app.closes_for(why)


def test_a_lost_answer_ends_unconfirmed_since_there_is_no_list_and_is_never_sent_again(
    app: ProviderApp,
) -> None:
    app.leaves_a_lost_answer_unconfirmed()


def test_a_video_that_the_provider_deleted_ends_the_job_as_expired(app: ProviderApp) -> None:
    app.simulator.world.change({"retention_seconds": 60.0})
    job = app.run_until(app.ask(), Status.QUEUED)
    app.advance(90_000)
    assert app.run(job).status is Status.EXPIRED


def test_a_running_job_can_not_be_cancelled_and_its_video_is_kept(app: ProviderApp) -> None:
    job = app.run_until(app.ask(), Status.QUEUED)
    cancel_job(app.services, job.owner, job.id)
    assert app.run(job).status is Status.SUCCEEDED


# --- settings and doctor ---


def test_the_key_alone_makes_the_backend() -> None:
    key = {"AzureWebJobsStorage": "UseDevelopmentStorage=true", "OPENROUTER_API_KEY": "or-key-1"}
    settings = Settings.from_environment(key)
    [backend] = settings.backends
    assert (backend.name, backend.dialect, backend.model) == ("openrouter", "openrouter", MODEL)
    assert backend.base_url == "https://openrouter.ai/api/v1"
    assert settings.api_keys == {"openrouter": "or-key-1"}
    other = Settings.from_environment({**key, "OPENROUTER_VIDEO_MODEL": "alibaba/wan-2.7"})
    assert other.backends[0].model == "alibaba/wan-2.7"


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


def test_the_doctor_finds_a_video_by_its_id(app: ProviderApp) -> None:
    job = app.run(app.ask())
    backend = app.services.backends._settings.backends[0]
    subject = find_subject([backend], {backend.name: API_KEY}, str(job.backend_job_id))
    assert subject.found is not None


def test_a_video_that_was_made_elsewhere_is_imported(app: ProviderApp, package: OpenRouter) -> None:
    made = package.video_generation.generate(model=MODEL, prompt=PROMPT, size="1280x720", duration=SECONDS)
    job = app.run(
        import_job(app.services, OWNER, read_import(json.dumps({"backend_job_id": made.id}).encode()))
    )
    assert job.status is Status.SUCCEEDED
    assert app.backend_jobs() == 1
