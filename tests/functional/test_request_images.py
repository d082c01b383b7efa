"""The images of a request: each reaches the provider, or the request is refused before anything is paid."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from job_api.act import delete_job
from job_api.retry import retry_job
from local.simulator.openrouter_models import WAN
from local.simulator.server import Simulator
from openai_api.create import create_video
from openai_api.request import read_create
from tests.functional.picture_host import PictureHost, a_picture
from tests.pipeline import Pipeline
from tests.providers.provider_app import ProviderApp
from video_jobs.domain.errors import InputMissing, InvalidRequest
from video_jobs.domain.job import Job, Status
from video_jobs.settings.api_keys import ApiKey
from video_jobs.views.job_view import job_summary


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PictureHost]:
    with PictureHost(tmp_path_factory.mktemp("tls")) as host:
        yield host


@pytest.fixture
def host(running: PictureHost) -> PictureHost:
    running.seen.clear()
    return running


def with_pictures(app: ProviderApp, host: PictureHost) -> ProviderApp:
    app.services = app.services._replace(images=host.fetch)
    return app


@pytest.fixture
def openrouter(simulator: Simulator, host: PictureHost) -> ProviderApp:
    return with_pictures(ProviderApp(simulator, "openrouter"), host)


@pytest.fixture
def runway(simulator: Simulator, host: PictureHost) -> ProviderApp:
    return with_pictures(ProviderApp(simulator, "runway"), host)


def data_url(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def beginning(content: bytes) -> str:
    """As the simulator remembers it."""
    return data_url(content)[:100]


FIRST, LAST, REFERENCE = (a_picture(48, height) for height in (32, 33, 34))


def asked(app: Pipeline, **body: Any) -> Job:
    return app.send({"prompt": "a boat", "seconds": 4, **body})


def refused(app: Pipeline, **body: Any) -> dict[str, str]:
    with pytest.raises(InvalidRequest) as caught:
        asked(app, **body)
    assert app.backend_jobs() == 0
    assert not app.messages.queued
    assert not app.blobs.inputs
    return {problem.field: problem.message for problem in caught.value.problems}


def sent_to(app: Pipeline) -> dict[str, Any]:
    return dict(app.simulator.world.everything()[-1].order.given)


def test_openrouter_is_sent_first_and_last_frame_and_references(openrouter: ProviderApp) -> None:
    job = asked(
        openrouter,
        input_image=data_url(FIRST),
        last_image=data_url(LAST),
        reference_images=[data_url(REFERENCE), data_url(FIRST)],
    )
    assert openrouter.run(job).status is Status.SUCCEEDED
    sent = sent_to(openrouter)
    assert [(frame["frame_type"], frame["image_url"]["url"]) for frame in sent["frame_images"]] == [
        ("first_frame", beginning(FIRST)),
        ("last_frame", beginning(LAST)),
    ]
    assert [image["image_url"]["url"] for image in sent["input_references"]] == [
        beginning(REFERENCE),
        beginning(FIRST),
    ]


def test_runway_is_sent_a_first_and_a_last_image_by_their_positions(runway: ProviderApp) -> None:
    job = asked(runway, model="veo3.1", input_image=data_url(FIRST), last_image=data_url(LAST))
    assert runway.run(job).status is Status.SUCCEEDED
    assert sent_to(runway)["promptImage"] == [
        {"uri": beginning(FIRST), "position": "first"},
        {"uri": beginning(LAST), "position": "last"},
    ]
    assert runway.calls("create")[0]["path"] == "/v1/image_to_video"


def test_runway_is_sent_references_with_a_prompt(runway: ProviderApp) -> None:
    job = asked(runway, model="seedance2_5", reference_images=[data_url(REFERENCE)])
    assert runway.run(job).status is Status.SUCCEEDED
    assert sent_to(runway)["references"] == [{"uri": beginning(REFERENCE)}]
    assert runway.calls("create")[0]["path"] == "/v1/text_to_video"


def test_an_image_at_an_https_address_is_fetched_once_and_kept_with_the_job(
    openrouter: ProviderApp, host: PictureHost
) -> None:
    host.at |= {"/first.png": FIRST, "/last.png": LAST, "/reference.png": REFERENCE}
    body = {
        "input_image": f"{host.url}/first.png",
        "last_image": f"{host.url}/last.png",
        "reference_images": [f"{host.url}/reference.png", data_url(FIRST)],
    }
    job = openrouter.send({"prompt": "a boat", "seconds": 4, **body}, key="k")
    assert set(openrouter.blobs.inputs.values()) == {FIRST, LAST, REFERENCE}
    shown = job_summary(job)
    assert shown["last_image"] is not None
    assert [image["height"] for image in (shown["last_image"], *shown["reference_images"])] == [33, 34, 32]
    assert host.url not in json.dumps(shown), "an address may be signed"
    again = openrouter.send({"prompt": "a boat", "seconds": 4, **body}, key="k")
    assert (again.id, len(host.seen)) == (job.id, 3), "the same key needs no image any more"
    assert openrouter.run(job).status is Status.SUCCEEDED
    frames = [frame["image_url"]["url"] for frame in sent_to(openrouter)["frame_images"]]
    assert frames == [beginning(FIRST), beginning(LAST)]


def test_an_image_that_can_not_be_had_is_refused_by_its_field_in_words(
    openrouter: ProviderApp, host: PictureHost
) -> None:
    host.at["/page"] = b"<html>a page</html>"
    host.names["inside.example.test"] = ["10.0.0.1"]
    cases = {
        f"{host.url}/none.png": "answered 404",
        f"{host.url}/page": "no PNG, JPEG or WebP",
        "https://inside.example.test/a.png": "private or reserved",
        "http://pictures.example.test/a.png": "an https address",
    }
    for address, says in cases.items():
        assert says in refused(openrouter, last_image=address)["last_image"]
        assert says in refused(openrouter, reference_images=[address])["reference_images"]


def test_all_images_of_a_request_together_are_bounded(
    openrouter: ProviderApp, host: PictureHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video_jobs.lifecycle.images.LARGEST_IMAGE", len(FIRST) + len(LAST) - 1)
    inline = refused(openrouter, input_image=data_url(FIRST), last_image=data_url(LAST))
    assert "together" in inline["last_image"]
    host.at["/last.png"] = LAST
    fetched = refused(openrouter, input_image=data_url(FIRST), last_image=f"{host.url}/last.png")
    assert "left of 20 MiB" in fetched["last_image"]
    host.at["/first.png"] = FIRST
    both = {"input_image": f"{host.url}/first.png", "last_image": f"{host.url}/last.png"}
    assert "left of 20 MiB" in refused(openrouter, **both)["last_image"]


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        ({"model": WAN, "last_image": data_url(LAST)}, "last_image", "input_image, reference_images"),
        ({"reference_images": [data_url(LAST)] * 11}, "reference_images", "at most 10"),
        ({"last_image": "boat.png"}, "last_image", "a file part"),
    ],
    ids=["no last image", "too many", "a file's name"],
)
def test_images_that_the_model_does_not_take_are_refused(
    openrouter: ProviderApp, body: dict[str, Any], field: str, says: str
) -> None:
    assert says in refused(openrouter, **body)[field]


def test_what_the_model_does_not_take_is_not_even_fetched(openrouter: ProviderApp, host: PictureHost) -> None:
    refused(openrouter, model=WAN, last_image=f"{host.url}/a.png")
    assert not host.seen


def test_runway_takes_references_or_frames_and_some_models_need_an_image(runway: ProviderApp) -> None:
    both = {"input_image": data_url(FIRST), "reference_images": [data_url(LAST)]}
    assert (
        "this model takes either these or reference images"
        in refused(runway, model="seedance2_5", **both)["reference_images"]
    )
    assert "from an image only" in refused(runway, model="gen4_turbo")["input_image"]
    assert "reference_images" in refused(runway, model="veo3.1", reference_images=[data_url(LAST)])


@pytest.mark.parametrize("dialect", ["azure-sora", "openai-videos"])
@pytest.mark.parametrize("field", ["last_image", "reference_images"])
def test_a_dialect_without_them_refuses_them(simulator: Simulator, dialect: str, field: str) -> None:
    app = Pipeline(simulator, dialect)
    image: Any = data_url(LAST)
    said = refused(app, **{field: image if field == "last_image" else [image]})
    assert "input_image" in said[field]


def test_a_fetched_first_image_of_another_size_is_refused_where_it_must_have_the_videos(
    simulator: Simulator, host: PictureHost
) -> None:
    app = Pipeline(simulator, "openai-videos")
    app.services = app.services._replace(images=host.fetch)
    host.at["/first.png"] = FIRST
    said = refused(app, input_image=f"{host.url}/first.png", size="720x1280")
    assert "it must have the video's size, 720x1280" in said["input_image"]


def test_a_retry_carries_all_images_over_and_says_where_one_is_gone(openrouter: ProviderApp) -> None:
    images = {"input_image": data_url(FIRST), "reference_images": [data_url(REFERENCE)]}
    old = openrouter.run(asked(openrouter, prompt="a boat internal-failure", **images))
    new = openrouter.run(retry_job(openrouter.services, old.owner, old.id))
    first, second = (made.order.given for made in openrouter.simulator.world.everything())
    assert first == second
    openrouter.blobs.inputs.pop(f"{new.owner}/{new.id}.2")
    lost = openrouter.run(retry_job(openrouter.services, new.owner, new.id))
    assert lost.error is not None
    assert lost.error.code == "input_image_missing"
    assert openrouter.backend_jobs() == 2


def test_a_delete_takes_all_images_along(openrouter: ProviderApp) -> None:
    other = asked(openrouter, last_image=data_url(LAST))
    job = asked(openrouter, last_image=data_url(LAST), reference_images=[data_url(REFERENCE)])
    delete_job(openrouter.services, job.owner, job.id)
    openrouter.run(other)
    openrouter.drain()
    assert list(openrouter.blobs.inputs) == [f"{other.owner}/{other.id}.1"]
    with pytest.raises(InputMissing):
        openrouter.blobs.get_input(job.owner, job.id, 1)


def test_a_lost_answer_is_never_settled_by_a_guess_where_the_list_does_not_show_all(
    openrouter: ProviderApp,
) -> None:
    assert asked(openrouter, last_image=data_url(LAST)).request.has_more_than_lists_tell
    assert asked(openrouter, seed=1).request.has_more_than_lists_tell
    assert not asked(openrouter).request.has_more_than_lists_tell


def test_an_openai_client_sends_images_under_its_own_names_and_a_repeat_fetches_nothing(
    openrouter: ProviderApp, host: PictureHost
) -> None:
    host.at |= {"/first.png": FIRST, "/last.png": LAST}
    body = {
        "prompt": "a boat",
        "seconds": 4,
        "image": {"image_url": f"{host.url}/first.png"},
        "last_frame": f"{host.url}/last.png",
    }

    def create(*, repeat: bool) -> Job:
        submission = read_create(
            {"content-type": "application/json"},
            json.dumps(body).encode(),
            lambda: ({}, {}),
            openrouter.services.backends,
        )
        key = ApiKey("a", "default")
        return create_video(openrouter.services, key, submission, openrouter.now(), repeat=repeat)

    made = create(repeat=False)
    assert create(repeat=True).id == made.id
    assert len(host.seen) == 2
    assert openrouter.run(made).status is Status.SUCCEEDED
    frames = [frame["image_url"]["url"] for frame in sent_to(openrouter)["frame_images"]]
    assert frames == [beginning(FIRST), beginning(LAST)]
