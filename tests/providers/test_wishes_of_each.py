"""What may be asked for beside prompt, size and length goes into each provider's body under its name there, and what has
none is refused before anything is paid."""

from __future__ import annotations

from typing import Any

import pytest

from local.simulator.server import Simulator
from tests.providers.provider_app import ProviderApp, picture
from video_jobs.domain.errors import InvalidRequest
from video_jobs.domain.job import Job, Status

SHAPE = {"aspect_ratio": "9:16", "resolution": "720p"}
SOUND = {"audio": False, "seed": 7, "negative_prompt": "people"}


def made(simulator: Simulator, name: str, **wishes: Any) -> tuple[ProviderApp, Job, dict[str, Any]]:
    """A job that was made of these wishes, and the body that the provider was sent."""
    app = ProviderApp(simulator, name)
    job = app.run(app.send({"prompt": "a boat", "seconds": 4, **wishes}))
    assert job.status is Status.SUCCEEDED
    [paid] = simulator.world.everything()
    return app, job, dict(paid.order.given)


def refused(simulator: Simulator, name: str, **wishes: Any) -> set[str | None]:
    app = ProviderApp(simulator, name)
    with pytest.raises(InvalidRequest) as caught:
        app.send({"prompt": "a boat", "seconds": 4, **wishes})
    assert app.backend_jobs() == 0
    return {problem.field for problem in caught.value.problems}


BODIES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "replicate": (
        {**SHAPE, **SOUND, "options": {"input": {"enhance": True}}},
        {
            "input": {
                "enhance": True,
                "prompt": "a boat",
                "aspect_ratio": "9:16",
                "resolution": "720p",
                "duration": 4,
                "seed": 7,
                "generate_audio": False,
                "negative_prompt": "people",
            }
        },
    ),
    "fal": (
        {**SHAPE, **SOUND, "options": {"auto_fix": False}},
        {
            "prompt": "a boat",
            "aspect_ratio": "9:16",
            "resolution": "720p",
            "duration": "4s",
            "seed": 7,
            "generate_audio": False,
            "negative_prompt": "people",
            "auto_fix": False,
        },
    ),
    "xai": (
        {**SHAPE, "options": {"user": "a"}},
        {
            "model": "grok-imagine-video-1.5",
            "prompt": "a boat",
            "duration": 4,
            "aspect_ratio": "9:16",
            "resolution": "720p",
            "user": "a",
        },
    ),
    "gemini": (
        {**SHAPE, "options": {"generation_config": {"video_config": {"task": "text_to_video"}}}},
        {
            "model": "gemini-omni-1.2-flash",
            "input": "a boat",
            "background": True,
            "store": True,
            "response_format": {
                "type": "video",
                "aspect_ratio": "9:16",
                "resolution": "720p",
                "duration": "4s",
                "delivery": "uri",
            },
            "generation_config": {"video_config": {"task": "text_to_video"}},
        },
    ),
    "byteplus": (
        {**SHAPE, "audio": False, "seed": 7, "options": {"camera_fixed": True}},
        {
            "model": "dreamina-seedance-2-5-260628",
            "content": [{"type": "text", "text": "a boat"}],
            "ratio": "9:16",
            "resolution": "720p",
            "duration": 4,
            "seed": 7,
            "generate_audio": False,
            "watermark": False,
            "camera_fixed": True,
        },
    ),
}


@pytest.mark.parametrize("name", BODIES)
def test_what_is_asked_for_is_sent_under_the_providers_names(simulator: Simulator, name: str) -> None:
    wishes, body = BODIES[name]
    assert made(simulator, name, **wishes)[2] == body


@pytest.mark.parametrize("name", ["replicate", "fal", "byteplus"])
def test_an_aspect_ratio_alone_leaves_the_resolution_to_the_model(simulator: Simulator, name: str) -> None:
    _, job, body = made(simulator, name, aspect_ratio="1:1")
    sent = body.get("input", body)
    assert (sent.get("aspect_ratio") or sent.get("ratio")) == "1:1"
    assert "resolution" not in sent
    assert job.request.shape == "1:1"


@pytest.mark.parametrize("name", ["xai", "gemini"])
def test_an_aspect_ratio_stands_for_one_of_the_sizes_that_are_known(simulator: Simulator, name: str) -> None:
    _, job, _ = made(simulator, name, aspect_ratio="9:16")
    assert job.request.size == "720x1280"


@pytest.mark.parametrize(
    ("name", "wishes", "fields"),
    [
        ("xai", SOUND, {"audio", "seed", "negative_prompt"}),
        ("gemini", SOUND, {"audio", "seed", "negative_prompt"}),
        ("byteplus", {"negative_prompt": "people"}, {"negative_prompt"}),
        ("xai", {"aspect_ratio": "21:9"}, {"aspect_ratio"}),
        ("xai", {"options": {"duration": 15}}, {"options"}),
        ("gemini", {"options": {"response_format": {"delivery": "inline"}}}, {"options"}),
        ("byteplus", {"options": {"content": []}}, {"options"}),
        ("fal", {"last_image": picture()}, {"last_image"}),
        ("fal", {"reference_images": [picture()]}, {"reference_images"}),
        ("replicate", {"reference_images": [picture()]}, {"reference_images"}),
    ],
)
def test_what_a_provider_has_no_name_for_is_refused_before_it_is_paid(
    simulator: Simulator, name: str, wishes: dict[str, Any], fields: set[str]
) -> None:
    assert refused(simulator, name, **wishes) == fields


def test_a_last_image_is_sent_beside_the_first_one(simulator: Simulator) -> None:
    frames = {"input_image": picture(), "last_image": picture()}
    sent = made(simulator, "byteplus", **frames)[2]["content"]
    assert [each.get("role") for each in sent] == [None, "first_frame", "last_frame"]


def test_replicates_veo_takes_a_last_image(simulator: Simulator) -> None:
    frames = {"input_image": picture(), "last_image": picture()}
    sent = made(simulator, "replicate", **frames)[2]["input"]
    assert sent["image"].startswith("data:image/png")
    assert sent["last_frame"].startswith("data:image/png")


@pytest.mark.parametrize("name", ["xai", "byteplus"])
def test_reference_images_are_sent_without_a_first_image(simulator: Simulator, name: str) -> None:
    references = {"reference_images": [picture(), picture()]}
    body = made(simulator, name, **references)[2]
    if name == "xai":
        assert [list(each) for each in body["reference_images"]] == [["url"], ["url"]]
    else:
        assert [each.get("role") for each in body["content"]] == [None, "reference_image", "reference_image"]
