"""What is promised of every provider, from the video that is kept to each way in which a provider goes wrong."""

from __future__ import annotations

import io
import itertools
import json
from datetime import UTC, datetime

import pytest

from doctor.backend_check import check_backend
from doctor.downloads import show_downloads
from doctor.findings import Mark
from doctor.printer import Printer
from doctor.subject import find_subject
from job_api.import_job import import_job, read_import
from local.simulator.server import Simulator
from tests.pipeline import API_KEY, OWNER
from tests.providers.provider_app import ProviderApp, picture
from video_jobs.backends.providers import TASK_APIS
from video_jobs.domain.gate import ClosureReason
from video_jobs.domain.job import Status
from video_jobs.settings.app import Settings
from video_jobs.settings.backends import BackendSettings
from video_jobs.settings.providers import PROVIDERS, ProviderDefaults

STORAGE = {"AzureWebJobsStorage": "UseDevelopmentStorage=true"}
NAMES = [provider.name for provider in PROVIDERS]
LISTING = [name for name in NAMES if TASK_APIS[name].tasks is not None]


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def app(simulator: Simulator, name: str) -> ProviderApp:
    return ProviderApp(simulator, name)


# --- the video is kept ---


def test_a_job_ends_with_its_video_stored_and_was_paid_once(app: ProviderApp) -> None:
    job = app.run(app.ask())
    assert job.status is Status.SUCCEEDED
    assert job.outputs[0].stored is not None
    assert job.outputs[0].stored.verified
    assert len(app.calls("create")) == 1


def test_an_input_image_is_sent_along(app: ProviderApp) -> None:
    assert app.run(app.ask(input_image=picture())).status is Status.SUCCEEDED


def test_a_video_that_was_made_elsewhere_is_imported(app: ProviderApp) -> None:
    backend, limits = app.services.backends.choose(None)
    request = limits.complete("a paper boat", "1280x720", 4, 1, None)
    made = app.services.backends.client(backend).create(request, {}, 30)
    body = json.dumps({"backend_job_id": made.id}).encode()
    assert app.run(import_job(app.services, OWNER, read_import(body))).status is Status.SUCCEEDED
    assert app.backend_jobs() == 1


@pytest.mark.parametrize(
    ("word", "code"), [("blocked-output", "moderation_blocked"), ("internal-failure", "generation_failed")]
)
def test_a_failed_task_fails_the_job_and_tells_why(app: ProviderApp, word: str, code: str) -> None:
    job = app.run(app.ask(prompt=f"a paper boat {word}"))
    assert job.status is Status.FAILED
    assert job.error is not None
    assert job.error.code == code
    assert job.error.backend_message or job.error.backend_code


# --- what a provider refuses ---


@pytest.mark.parametrize(
    ("change", "key", "why"),
    [
        ({}, "wrong-key-1", ClosureReason.MISCONFIGURED),
        ({"out_of_credit": True}, API_KEY, ClosureReason.ACCOUNT),
    ],
    ids=["wrong key", "out of credit"],
)
def test_what_stops_every_create_keeps_the_job_waiting_and_costs_nothing(
    simulator: Simulator, name: str, change: dict[str, object], key: str, why: ClosureReason
) -> None:
    app = ProviderApp(simulator, name, key=key)
    simulator.world.change(change)
    app.closes_for(why)


@pytest.mark.parametrize("change", [{"deployments": ["another/model"]}, {"retired": True}], ids=str)
def test_an_unknown_or_retired_model_makes_nothing_and_says_so(
    app: ProviderApp, change: dict[str, object]
) -> None:
    app.simulator.world.change(change)
    job = app.ask()
    app.deliver(app.take_next())
    job = app.job(job)
    assert job.status in (Status.WAITING, Status.FAILED)
    assert "model" in str(job.reason or job.error)
    assert app.backend_jobs() == 0


def test_a_refused_prompt_fails_the_job_as_moderation(app: ProviderApp) -> None:
    job = app.run(app.ask(prompt="a paper boat rejected-prompt"))
    assert job.error is not None
    assert job.error.code == "moderation_blocked"
    assert app.backend_jobs() == 0


def test_a_key_that_ends_while_a_job_runs_does_not_end_the_job(app: ProviderApp) -> None:
    job = app.run_until(app.ask(), Status.QUEUED)
    app.fault("get", status=401, body={"error": {"message": "The key has expired."}}, times=4)
    assert app.run(job).status is Status.SUCCEEDED


# --- what a provider answers oddly ---


def test_polls_that_are_202_with_nothing_mean_that_it_goes_on(app: ProviderApp) -> None:
    job = app.ask()
    app.fault("get", status=202, body="", times=3)
    job = app.run(job)
    assert job.status is Status.SUCCEEDED
    assert "poll_failed" not in {event.what for event in job.history}


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"code": "upstream_error", "message": "The upstream is down."}},
        {"error": "The upstream is down."},
        {},
        {"status": "a-word-of-tomorrow"},
        "<html>busy</html>",
        [],
    ],
    ids=lambda body: json.dumps(body)[:30],
)
def test_polls_that_are_200_with_an_error_or_with_nonsense_end_nothing(
    app: ProviderApp, body: object
) -> None:
    job = app.ask()
    app.fault("get", replace_body=body, times=3)
    assert app.run(job).status is Status.SUCCEEDED


def test_an_error_in_place_of_the_task_is_told(app: ProviderApp) -> None:
    job = app.run_until(app.ask(), Status.QUEUED)
    app.fault("get", replace_body={"error": {"message": "The upstream is down."}}, times=-1)
    told = app.run(job, lambda seen: seen.reason is not None)
    assert "The upstream is down." in (told.reason or "")


def test_a_poll_that_tells_of_another_task_ends_nothing(app: ProviderApp) -> None:
    job = app.run_until(app.ask(), Status.QUEUED)
    other = {"id": "another-task", "request_id": "another-task", "status": "failed", "error": "not yours"}
    app.fault("get", replace_body=other, times=3)
    assert app.run(job).status is Status.SUCCEEDED


@pytest.mark.parametrize(
    "fields", [{}, {"id": None, "request_id": None}, {"id": ["x"], "request_id": {}}], ids=str
)
def test_a_create_that_names_no_task_is_an_unknown_outcome(
    app: ProviderApp, fields: dict[str, object]
) -> None:
    app.fault("create", replace_body={"status": "queued", **fields})
    job = app.run(app.ask())
    assert job.error is not None
    assert job.error.code == "submission_unconfirmed"
    assert len(app.calls("create")) == 1


def test_an_id_that_a_provider_repeats_gives_nobody_anothers_video(app: ProviderApp) -> None:
    first = app.run_until(app.ask(prompt="a red kite"), Status.QUEUED)
    repeated = {TASK_APIS[app.dialect].id_name: first.backend_job_id, "status": "queued"}
    app.fault("create", replace_body=repeated)
    second = app.run(app.ask(prompt="a paper boat"))
    assert second.error is not None
    assert second.error.code == "submission_unconfirmed"
    assert second.backend_job_id is None
    assert app.run(first).status is Status.SUCCEEDED


def test_a_lost_answer_is_never_sent_again(app: ProviderApp) -> None:
    app.fault("create", lost_answer=True, times=1)
    job = app.run(app.ask())
    assert len(app.calls("create")) == 1
    asked = TASK_APIS[app.dialect].tasks
    if job.status is Status.FAILED:
        assert job.error is not None
        assert job.error.code == "submission_unconfirmed"
    else:
        assert asked is not None, "only a list can tell"
        assert job.status is Status.SUCCEEDED


def test_an_address_that_ended_before_the_video_did_loses_nothing(app: ProviderApp) -> None:
    """A poll renews it, or the download is tried until the provider has deleted the video."""
    app.simulator.world.change({"address_seconds": 60.0})
    job = app.run_until(app.ask(), Status.FETCHING)
    app.advance(600)
    job = app.run(job, lambda seen: seen.status is not Status.FETCHING)
    assert job.status in (Status.SUCCEEDED, Status.PENDING_DOWNLOAD)
    app.simulator.world.change({"address_seconds": None})
    assert app.run(job).status is Status.SUCCEEDED


def test_a_video_that_the_provider_deleted_ends_the_job_as_expired(app: ProviderApp) -> None:
    job = app.run_until(app.ask(), Status.QUEUED)
    app.advance(app.services.backends.retention(job.backend).total_seconds() + 3600)
    app.fault("get", status=410, times=-1)
    assert app.run(job).status is Status.EXPIRED


@pytest.mark.parametrize("name", [n for n in NAMES if TASK_APIS[n].shortest_poll])
def test_no_two_polls_are_nearer_than_the_provider_asks(app: ProviderApp, name: str) -> None:
    app.run(app.ask())
    polls = [call["at"] for call in app.calls("get")][:-1]  # the last one is the download's
    assert all(
        later - earlier >= TASK_APIS[name].shortest_poll for earlier, later in itertools.pairwise(polls)
    )


# --- settings and doctor ---


def test_the_usual_variable_alone_makes_the_backend() -> None:
    for provider in PROVIDERS:
        settings = Settings.from_environment({**STORAGE, provider.key_setting: "a-key-1"})
        [backend] = settings.backends
        assert (backend.name, backend.dialect) == (provider.name, provider.name)
        assert (backend.base_url, backend.model) == (provider.base_url, provider.model)
        assert settings.api_keys == {provider.name: "a-key-1"}
        other = Settings.from_environment(
            {**STORAGE, provider.key_setting: "a-key-1", provider.model_setting: "maker/another"}
        )
        assert other.backends[0].model == "maker/another"


def test_several_variables_make_several_backends() -> None:
    keys = {provider.key_setting: f"a-key-{provider.name}" for provider in PROVIDERS}
    settings = Settings.from_environment({**STORAGE, **keys})
    assert [backend.name for backend in settings.backends] == NAMES
    assert len(set(settings.api_keys.values())) == len(NAMES)


def backend_of(provider: ProviderDefaults, app: ProviderApp) -> BackendSettings:
    [backend] = app.services.backends._settings.backends
    assert backend.name == provider.name
    return backend


def test_the_doctor_tells_whether_the_key_is_taken(app: ProviderApp) -> None:
    [provider] = [each for each in PROVIDERS if each.name == app.dialect]
    backend, now = backend_of(provider, app), datetime.now(UTC)
    found = {each.subject: each for each in check_backend(backend, API_KEY, now)}
    assert found["key"].mark is Mark.RIGHT
    assert "list" in found
    refused = {each.subject: each for each in check_backend(backend, "wrong-key-1", now)}
    assert refused["key"].mark is Mark.WRONG


def test_the_doctor_finds_a_video_by_its_id(app: ProviderApp) -> None:
    job = app.run(app.ask())
    [backend] = app.services.backends._settings.backends
    subject = find_subject([backend], {backend.name: API_KEY}, str(job.backend_job_id))
    assert subject.found is not None
    assert subject.named_urls, "and where its bytes are"
    out = io.StringIO()
    printer = Printer(out, {}, [API_KEY])
    show_downloads(printer, subject, API_KEY, None, True, app.now())
    assert not printer.counts[Mark.WRONG]
    assert "video/mp4" in out.getvalue()
