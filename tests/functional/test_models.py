"""A request chooses its model, among those that the settings name and the provider tells."""

from __future__ import annotations

import json
from typing import Any

import pytest

from job_api.options import ModelOptions, list_options
from job_api.retry import retry_job
from local.simulator.openrouter_models import VEO, WAN
from local.simulator.server import Simulator
from openai_api.models import chosen_by, list_models
from tests.pipeline import API_KEY, OWNER, Pipeline
from video_jobs.domain.errors import InvalidRequest
from video_jobs.domain.job import Status


def app_with(simulator: Simulator, **entry: Any) -> Pipeline:
    """Azure Sora as the default backend, and OpenRouter beside it."""
    rented = {
        "name": "rented",
        "dialect": "openrouter",
        "base_url": f"{simulator.url}/api/v1",
        "download_origins": [simulator.signed_origin],
        **entry,
    }
    return Pipeline(simulator, "azure-sora", VIDEO_BACKENDS=json.dumps([rented]), OPENROUTER_API_KEY=API_KEY)


@pytest.fixture
def app(simulator: Simulator) -> Pipeline:
    return app_with(simulator)


def refused(app: Pipeline, **body: Any) -> str:
    with pytest.raises(InvalidRequest) as caught:
        app.send({"prompt": "a boat", **body})
    assert not app.messages.queued
    return str(caught.value)


def test_a_model_that_the_provider_tells_is_what_is_paid_for(app: Pipeline) -> None:
    job = app.send({"prompt": "a boat", "backend": "rented", "model": WAN, "seconds": 2})
    assert app.run(job).status is Status.SUCCEEDED
    [made] = app.simulator.world.everything()
    assert made.order.model == WAN
    assert app.job(job).backend.model == WAN


def test_without_a_backend_the_first_one_that_has_the_model_is_taken(app: Pipeline) -> None:
    assert app.send({"prompt": "a boat", "model": WAN, "seconds": 2}).backend.name == "rented"
    assert app.send({"prompt": "a boat", "model": "sora"}).backend.name == "default"


def test_an_unknown_model_is_refused_with_those_that_there_are_before_anything_is_paid(app: Pipeline) -> None:
    said = refused(app, model="veo-9")
    assert all(name in said for name in ("sora", VEO, WAN))
    said = refused(app, backend="default", model=WAN)
    assert "sora" in said
    assert VEO not in said
    assert app.backend_jobs() == 0


def test_what_another_model_makes_is_refused_of_this_one(app: Pipeline) -> None:
    assert "2, 3, 4, 5, 10, 15" in refused(app, model=WAN, seconds=8)
    assert "4, 6, 8" in refused(app, model=VEO, seconds=10)
    assert "1280x720" in refused(app, model=VEO, size="480x480")


def test_a_provider_that_does_not_tell_its_models_leaves_those_of_the_settings(simulator: Simulator) -> None:
    app = app_with(simulator, models=["maker/named"])
    app.fault("models", status=500)
    assert app.services.backends.models("rented") == (VEO, "maker/named")
    assert refused(app, backend="rented", model=WAN)
    job = app.send({"prompt": "a boat", "backend": "rented", "model": "maker/named", "seconds": 7})
    assert job.status is Status.QUEUED, "nothing is known of it, so its provider decides"


def test_the_list_of_models_is_asked_for_once(app: Pipeline) -> None:
    for _ in range(3):
        app.send({"prompt": "a boat", "model": WAN, "seconds": 2})
    assert len(app.calls("models")) == 1


def test_a_retry_asks_for_the_same_model(app: Pipeline) -> None:
    old = app.run(app.send({"prompt": "a boat internal-failure", "model": WAN, "seconds": 2}))
    new = app.run(retry_job(app.services, old.owner, old.id))
    assert [made.order.model for made in app.simulator.world.everything()] == [WAN, WAN]
    assert new.backend.model == WAN


def test_a_job_that_waits_keeps_the_model_that_it_asked_for(simulator: Simulator) -> None:
    """One that asked for none has the backend's, whichever that is by then."""
    app = app_with(simulator)
    app.fault("create", status=429, times=2)
    asked, free = (
        app.send({"prompt": "a boat", "backend": "rented", **more})
        for more in ({"model": WAN, "seconds": 2}, {"seconds": 4})
    )
    assert {asked.status, free.status} == {Status.WAITING}
    later = app_with(simulator, model="maker/another")
    app.services = app.services._replace(backends=later.services.backends)
    assert app.run(asked).backend.model == WAN
    assert app.run(free).backend.model == "maker/another"


def test_the_options_tell_what_each_model_takes(app: Pipeline) -> None:
    default, rented = list_options(app.services, OWNER)
    [sora] = default["models"]
    assert not any(sora[name] for name in ("aspect_ratios", "resolutions", "last_image", "audio", "options"))
    veo, wan = rented["models"]
    assert (veo["model"], wan["model"], rented["model"]) == (VEO, WAN, VEO)
    assert (veo["aspect_ratios"], veo["resolutions"]) == (["16:9", "9:16"], ["720p", "1080p"])
    assert (veo["last_image"], veo["audio"], veo["seed"], veo["negative_prompt"]) == (True, True, True, False)
    assert (wan["sizes"], wan["seconds"]) == (None, [2, 3, 4, 5, 10, 15])
    assert (wan["image"], wan["last_image"], wan["audio"]) == (True, False, False)
    assert rented.keys() - ModelOptions.__annotations__.keys() == {"name", "dialect", "now", "models"}


def test_an_openai_client_names_any_of_the_models(app: Pipeline) -> None:
    backends = app.services.backends
    assert chosen_by(backends, WAN) == ("rented", WAN)
    assert chosen_by(backends, VEO) == ("rented", None)
    assert chosen_by(backends, "rented") == ("rented", None)
    assert chosen_by(backends, "sora-2") == chosen_by(backends, None) == (None, None)
    assert [model["id"] for model in list_models(backends)["data"]] == ["sora", VEO, WAN]
    with pytest.raises(InvalidRequest, match=WAN):
        chosen_by(backends, "veo-9")
