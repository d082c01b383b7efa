"""What may be asked for beside prompt, size and length reaches the provider, or is refused before anything is paid."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from job_api.retry import retry_job
from local.simulator.openrouter_models import VEO, WAN
from local.simulator.server import Simulator
from submit_job.request import read_submission
from tests.pipeline import Pipeline
from tests.providers.provider_app import ProviderApp
from video_jobs.domain.errors import IdempotencyKeyReused, InvalidRequest
from video_jobs.domain.job import InputImage, Job, Status
from video_jobs.domain.provider_options import with_options
from video_jobs.storage.job_rows import to_row
from video_jobs.views.job_view import job_summary

ALL: dict[str, Any] = {
    "aspect_ratio": "9:16",
    "resolution": "720p",
    "audio": True,
    "seed": 7,
    "options": {"provider": {"options": {"google-vertex": {"personGeneration": "allow"}}}},
}
NEGATIVE = {"negative_prompt": "people"}

IMAGE = InputImage("image/jpeg", 20 << 20, "f" * 64, 10_000, 10_000)


@pytest.fixture
def openrouter(simulator: Simulator) -> ProviderApp:
    return ProviderApp(simulator, "openrouter")


@pytest.fixture
def runway(simulator: Simulator) -> ProviderApp:
    return ProviderApp(simulator, "runway")


def asked(app: Pipeline, **body: Any) -> Job:
    return app.send({"prompt": "a boat", "seconds": 4, **body})


def refused(app: Pipeline, **body: Any) -> dict[str, str]:
    with pytest.raises(InvalidRequest) as caught:
        asked(app, **body)
    assert app.backend_jobs() == 0
    assert not app.messages.queued
    return {problem.field: problem.message for problem in caught.value.problems}


def sent_to(app: Pipeline) -> dict[str, Any]:
    [made] = app.simulator.world.everything()
    return dict(made.order.given)


def test_openrouter_is_sent_what_was_asked_for_and_no_size_beside_an_aspect_ratio(
    openrouter: ProviderApp,
) -> None:
    job = asked(openrouter, **ALL)
    assert openrouter.run(job).status is Status.SUCCEEDED
    assert sent_to(openrouter) == {
        "model": VEO,
        "prompt": "a boat",
        "duration": 4,
        "aspect_ratio": "9:16",
        "resolution": "720p",
        "generate_audio": True,
        "seed": 7,
        **ALL["options"],
    }


def test_runway_is_sent_what_was_asked_for_and_an_aspect_ratio_as_one_of_its_sizes(
    runway: ProviderApp,
) -> None:
    wishes = {**ALL, **NEGATIVE, "resolution": "1080p", "options": {"contentModeration": {"a": "b"}}}
    job = asked(runway, model="veo3.1", **wishes)
    assert runway.run(job).status is Status.SUCCEEDED
    assert sent_to(runway) == {
        "model": "veo3.1",
        "promptText": "a boat",
        "ratio": "1080:1920",
        "duration": 4,
        "seed": 7,
        "audio": True,
        "negativePrompt": "people",
        "contentModeration": {"a": "b"},
    }


def test_the_job_shows_what_was_asked_for_and_a_retry_asks_for_the_same(openrouter: ProviderApp) -> None:
    old = openrouter.run(asked(openrouter, prompt="a boat internal-failure", **ALL))
    shown = job_summary(old)
    assert {name: shown[name] for name in ALL} == ALL  # type: ignore[literal-required]
    new = openrouter.run(retry_job(openrouter.services, old.owner, old.id))
    assert new.request == old.request
    first, second = (dict(made.order.given) for made in openrouter.simulator.world.everything())
    assert first == second


def test_the_size_is_told_where_ratio_and_resolution_say_it_and_is_unknown_else(
    openrouter: ProviderApp,
) -> None:
    both = asked(openrouter, aspect_ratio="16:9", resolution="1080p")
    assert (both.request.size, job_summary(both)["size"]) == ("1920x1080", "1920x1080")
    one = asked(openrouter, aspect_ratio="16:9")
    assert (one.request.shape, job_summary(one)["size"]) == ("16:9", None)
    assert openrouter.run(one).status is Status.SUCCEEDED


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        ({"aspect_ratio": "1:1"}, "aspect_ratio", "16:9, 9:16"),
        ({"resolution": "4K"}, "resolution", "720p, 1080p"),
        ({"model": WAN, "audio": False}, "audio", "aspect_ratio, resolution, seed, options"),
        ({"model": WAN, **NEGATIVE}, "negative_prompt", "seed"),
        ({"size": "1280x720", "aspect_ratio": "16:9"}, "size", "aspect_ratio and resolution"),
        ({"options": {"model": "another"}}, "options", "'model'"),
        ({"options": {"size": "1x1"}}, "options", "'size'"),
        ({"options": {"seed": 5}}, "options", "'seed'"),
        ({"options": {"frame_images": []}}, "options", "'frame_images'"),
        ({"options": {"input_references": []}}, "options", "'input_references'"),
    ],
    ids=str,
)
def test_what_the_model_does_not_take_is_refused_with_what_it_takes(
    openrouter: ProviderApp, body: dict[str, Any], field: str, says: str
) -> None:
    assert says in refused(openrouter, **body)[field]


def test_a_shape_that_none_of_the_sizes_has_is_refused(runway: ProviderApp) -> None:
    assert "takes 720p" in refused(runway, resolution="1080p")["resolution"]
    assert "16:9, 9:16" in refused(runway, aspect_ratio="1:1")["aspect_ratio"]
    neither = refused(runway, model="seedance2_5", aspect_ratio="3:4", resolution="1080p")
    assert "1112x834" in neither["resolution"], "each of the two is taken, but not together"


def test_the_largest_request_fits_into_its_row(openrouter: ProviderApp) -> None:
    options = {"a": '"' * 4080}
    job = asked(openrouter, options=options)
    longest = replace(job.request, negative_prompt="\n" * 4000, reference_images=(IMAGE,) * 10)
    [column] = [text for name, text in to_row(replace(job, request=longest)).items() if name == "request"]
    assert len(column.encode("utf-16-le")) < 64 << 10


@pytest.mark.parametrize("dialect", ["azure-sora", "openai-videos"])
@pytest.mark.parametrize("field", [*ALL, *NEGATIVE])
def test_what_a_dialect_does_not_know_is_refused_and_not_left_out(
    simulator: Simulator, dialect: str, field: str
) -> None:
    app = Pipeline(simulator, dialect)
    said = refused(app, **{field: {**ALL, **NEGATIVE}[field]})
    assert said.keys() == {field}
    assert "take" in said[field]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"aspect_ratio": "wide"}, "aspect_ratio"),
        ({"aspect_ratio": "0:0"}, "aspect_ratio"),
        ({"resolution": "high"}, "resolution"),
        ({"audio": "yes"}, "audio"),
        ({"audio": 1}, "audio"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**32}, "seed"),
        ({"seed": True}, "seed"),
        ({"negative_prompt": " "}, "negative_prompt"),
        ({"negative_prompt": "x" * 4001}, "negative_prompt"),
        ({"negative_prompt": "\0"}, "negative_prompt"),
        ({"options": []}, "options"),
        ({"options": {"a": "x" * 8192}}, "options"),
        ({"options": {str(number): 0 for number in range(101)}}, "options"),
        ({"options": {"a": [[[[[[0]]]]]]}}, "options"),
        ({"options": {"a": float("nan")}}, "options"),
        ({"options": {"a": "\ud800"}}, "options"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_not_well_formed_is_refused_by_its_field(
    openrouter: ProviderApp, body: dict[str, Any], field: str
) -> None:
    assert [name.partition(".")[0] for name in refused(openrouter, **body)] == [field]


def test_options_that_are_nested_without_end_are_refused(openrouter: ProviderApp) -> None:
    nested: dict[str, Any] = {}
    for _ in range(400):
        nested = {"a": nested}
    assert "6 levels" in refused(openrouter, options=nested)["options"]


def read(body: dict[str, Any], form: dict[str, str] | None = None) -> Any:
    if form is None:
        return read_submission(
            {"content-type": "application/json"}, json.dumps(body).encode(), lambda: ({}, {})
        )
    return read_submission({"content-type": "multipart/form-data; boundary=x"}, b"", lambda: (form, {}))


def test_a_form_says_the_same_as_json_and_each_of_it_is_part_of_the_fingerprint() -> None:
    everything = {"prompt": "a boat", "model": VEO, **ALL, **NEGATIVE}
    texts = {"audio": "true", "seed": "7", "options": json.dumps(ALL["options"])}
    form = read({}, {**{name: str(value) for name, value in everything.items()}, **texts})
    plain = read(everything)
    assert form == plain
    prints = [
        read({k: v for k, v in everything.items() if k != name}).fingerprint
        for name in everything
        if name != "prompt"
    ]
    others = {"audio": False, "seed": 8, "options": {}, "aspect_ratio": "16:9"}
    prints += [read({**everything, name: value}).fingerprint for name, value in others.items()]
    assert len({plain.fingerprint, *prints}) == 1 + len(prints)


def test_each_image_and_its_place_is_part_of_the_fingerprint() -> None:
    one, two = "https://example.test/1.png", "https://example.test/2.png"
    bodies: list[dict[str, Any]] = [
        {},
        {"input_image": one},
        {"last_image": one},
        {"reference_images": [one]},
        {"reference_images": [one, two]},
        {"reference_images": [two, one]},
    ]
    assert len({read({"prompt": "a boat", **body}).fingerprint for body in bodies}) == len(bodies)


def test_what_the_app_says_holds_whatever_the_options_say_by_the_time_they_are_sent() -> None:
    body = {"model": "ours", "input": {"prompt": "ours"}}
    options = json.dumps({"model": "theirs", "input": {"prompt": "theirs", "more": 1}, "also": 2})
    ours = {"model": "ours", "input": {"prompt": "ours", "more": 1}, "also": 2}
    assert with_options(body, options) == ours


def test_the_same_key_with_another_seed_is_refused(openrouter: ProviderApp) -> None:
    body = {"prompt": "a boat", "seconds": 4, "seed": 1}
    first = openrouter.send(body, key="k")
    assert openrouter.send(body, key="k").id == first.id
    with pytest.raises(IdempotencyKeyReused):
        openrouter.send({**body, "seed": 2}, key="k")


def test_the_same_key_with_null_where_a_field_was_left_out_gives_the_same_job(
    openrouter: ProviderApp,
) -> None:
    body = {"prompt": "a boat", "seconds": 4}
    nulls = dict.fromkeys(["size", "seed", "metadata", "reference_images", "options", "webhook_url"])
    first = openrouter.send(body, key="k")
    assert openrouter.send({**body, **nulls}, key="k").id == first.id
    assert openrouter.send({**body, **nulls}).metadata == {}
