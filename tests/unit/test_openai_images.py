"""Images in a create of the OpenAI videos protocol: taken under the names that clients have for them, or refused by name."""

from __future__ import annotations

import base64
import io
import json
import time
from typing import Any

import pytest

from openai_api.request import read_create
from video_jobs.backends.registry import Backends
from video_jobs.domain.errors import InvalidRequest
from video_jobs.lifecycle.submit import Submission
from video_jobs.settings.app import Settings

URL = "https://example.test/a.png"
OTHER = "https://example.test/b.png"
ENTRY = {"name": "gpu", "dialect": "openai-videos", "base_url": "http://x.invalid", "model": "wan"}
BACKENDS = Backends(
    Settings.from_environment(
        {"AzureWebJobsStorage": "UseDevelopmentStorage=true", "VIDEO_BACKENDS": json.dumps([ENTRY])}
    )
)


def send(**fields: Any) -> Submission:
    body = json.dumps({"prompt": "a boat", **fields}).encode()
    return read_create({"content-type": "application/json"}, body, lambda: ({}, {}), BACKENDS)


class Parts(dict[str, list[Any]]):
    """A form's, as werkzeug has them: several may have one name."""

    def __getitem__(self, name: str) -> Any:
        return super().__getitem__(name)[0]

    def getlist(self, name: str) -> list[Any]:
        return super().__getitem__(name)


def send_form(fields: dict[str, list[str]], files: dict[str, list[bytes]] | None = None) -> Submission:
    sent = Parts({name: [io.BytesIO(each) for each in content] for name, content in (files or {}).items()})
    form = Parts({"prompt": ["a boat"], **fields})
    headers = {"content-type": "multipart/form-data; boundary=x"}
    return read_create(headers, b"", lambda: (form, sent), BACKENDS)


def addresses(submission: Submission) -> dict[int, str | None]:
    return {number: image.address for number, image in submission.images.items()}


def refused(**fields: Any) -> str:
    with pytest.raises(InvalidRequest) as error:
        send(**fields)
    return str(error.value)


def data_url(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


@pytest.mark.parametrize(
    "value",
    [
        URL,
        {"image_url": URL},
        {"url": URL},
        {"image_url": {"url": URL}},
        {"image_url": None, "url": URL, "file_id": None},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("input_reference", 0),
        ("input_image", 0),
        ("image", 0),
        ("image_url", 0),
        ("first_frame", 0),
        ("last_frame", 1),
        ("last_image", 1),
    ],
)
def test_an_image_is_taken_in_every_shape_under_every_name_that_clients_have(
    name: str, number: int, value: Any
) -> None:
    assert addresses(send(**{name: value})) == {number: URL}


@pytest.mark.parametrize("name", ["reference_images", "input_references"])
def test_reference_images_are_a_list_in_any_shape(name: str) -> None:
    mixed = [URL, {"type": "image_url", "image_url": {"url": OTHER}}]
    assert addresses(send(**{name: mixed})) == {2: URL, 3: OTHER}


def test_frame_images_are_the_first_and_the_last_image() -> None:
    frames = [
        {"type": "image_url", "image_url": {"url": OTHER}, "frame_type": "last_frame"},
        {"type": "image_url", "image_url": {"url": URL}, "frame_type": "first_frame"},
    ]
    assert addresses(send(frame_images=frames)) == {0: URL, 1: OTHER}


def test_the_three_kinds_come_together() -> None:
    all_kinds = send(image=URL, last_frame=OTHER, reference_images=[URL])
    assert addresses(all_kinds) == {0: URL, 1: OTHER, 2: URL}


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"images": [URL]}, "images: is not taken; send images as input_reference"),
        ({"image_reference": URL}, "image_reference: is not taken"),
        ({"reference_url": URL}, "reference_url: is not taken"),
        ({"frame_images": [{"image_url": {"url": URL}}]}, "frame_type: must be first_frame or last_frame"),
        ({"frame_images": [{"image_url": {"url": URL}, "frame_type": {}}]}, "frame_type: must be"),
        ({"frame_images": URL}, "frame_images: must be a list"),
        ({"frame_images": [URL]}, "frame_images: must be a list"),
        ({"reference_images": [{"image_url": [URL]}]}, "must be a file part"),
        ({"reference_images": {"a": {}}}, "needs an image_url"),
        ({"image": 7}, "image: must be a file part"),
        ({"image": {"file_id": "file-1"}}, "this app stores no files"),
        ({"last_frame": {"image_url": {}}}, "last_frame.image_url.url: must be a file part"),
        ({"reference_images": [{"type": "image_url"}]}, "reference_images: needs an image_url"),
        ({"reference_images": [URL] * 11}, "at most 10"),
        ({"image": URL, "input_reference": OTHER}, "sent more than once"),
        ({"image": "ftp://example.test/a.png"}, "an https address"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_can_not_be_taken_is_refused_by_name_and_never_dropped(
    fields: dict[str, Any], says: str
) -> None:
    assert says in refused(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"start_frame": URL},
        {"first_frame_image": {"url": URL}},
        {"image_urls": [URL]},
        {"Photo": "http://example.test/a.png"},
        {"subject": [{"any": {"thing": "data:image/png;base64,AAAA"}}]},
        {"content": [{"type": "image_url", "image_url": {"url": URL}}]},
        {"start": f"data:image/png;base64,{'A' * 300_000}"},
    ],
    ids=lambda value: str(value)[:60],
)
def test_an_image_under_a_name_that_nobody_knows_is_refused_and_never_dropped(fields: dict[str, Any]) -> None:
    [name] = fields
    assert f"{name}: is not taken; send images as input_reference" in refused(**fields)
    if isinstance(fields[name], str):
        with pytest.raises(InvalidRequest, match=f"{name}: is not taken"):
            send_form({name: [fields[name]]})


def test_what_tools_add_is_ignored_if_it_is_no_image() -> None:
    added = {
        "num_frames": 81,
        "image_size": "landscape_16_9",
        "frames": None,
        "metadata": {"photo": URL, "site": "https://example.test"},
        "callback_url": URL,
        "n": {"prompt": "data: is a word"},
    }
    assert not send(**added).images
    assert send(prompt="data:image/png is how a data URL begins").prompt.startswith("data:image")


def test_a_form_has_files_texts_and_spread_objects(pictures: dict[str, bytes]) -> None:
    picture = pictures["image/png"]
    files = {"image": [picture], "last_frame": [picture], "reference_images[]": [picture, picture]}
    assert send_form({}, files).contents == dict.fromkeys(range(4), picture)
    spread = {
        "input_reference[image_url]": [URL],
        "input_reference[type]": ["image_url"],
        "reference_images[0][image_url][url]": [OTHER],
        "reference_images[1]": [URL],
    }
    assert addresses(send_form(spread)) == {0: URL, 2: OTHER, 3: URL}
    assert addresses(send_form({"input_references": [URL, OTHER]})) == {2: URL, 3: OTHER}
    with pytest.raises(InvalidRequest, match="this app stores no files"):
        send_form({"input_reference[file_id]": ["file-1"]})
    with pytest.raises(InvalidRequest, match=r"frame_images: .*in a form send image and last_frame"):
        send_form({"frame_images[0][frame_type]": ["first_frame"]})


def test_what_is_null_or_empty_asks_for_nothing() -> None:
    assert not send(image=None, images=[], image_reference={}, last_frame="", reference_images=[]).images


def test_the_fingerprint_knows_each_image_by_its_bytes_or_its_address(pictures: dict[str, bytes]) -> None:
    picture = data_url(pictures["image/png"])
    same = send(image=picture).fingerprint
    assert send(input_reference={"image_url": picture}).fingerprint == same
    assert send_form({}, {"image": [pictures["image/png"]]}).fingerprint == same
    others = [
        send(),
        send(image=URL),
        send(image=OTHER),
        send(last_frame=picture),
        send(reference_images=[picture]),
    ]
    assert len({same, *(each.fingerprint for each in others)}) == 6


def test_further_wishes_are_those_of_the_job_api() -> None:
    wishes = send(
        aspect_ratio="16:9", resolution="720p", generate_audio=False, seed=3, negative_prompt="people"
    ).wishes
    assert (wishes.aspect_ratio, wishes.resolution, wishes.audio) == ("16:9", "720p", False)
    assert (wishes.seed, wishes.negative_prompt) == (3, "people")
    twice = send(size="1280x720", aspect_ratio="16:9", resolution="720p").wishes
    assert (twice.aspect_ratio, twice.resolution) == (None, None), "the size says it"
    assert send(size="1280x720", aspect_ratio="9:16").wishes.aspect_ratio == "9:16"


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("false", False), ("True", True), ("False", False)]
)
def test_a_form_has_yes_and_no_as_scripts_and_python_write_them(text: str, value: bool) -> None:
    assert send_form({"generate_audio": [text]}).wishes.audio is value


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"video": {"id": "video_1"}}, "makes videos from a prompt and images only"),
        ({"remix_video_id": "video_1"}, "makes videos from a prompt and images only"),
        ({"characters": ["char_1"]}, "makes videos from a prompt and images only"),
        ({"videoUrl": URL}, "makes videos from a prompt and images only"),
        ({"audio_url": URL}, "makes videos from a prompt and images only"),
        ({"fileIds": ["file-1"]}, "makes videos from a prompt and images only"),
        ({"soundtrack": "data:audio/mpeg;base64,AAAA"}, "send images as"),
        ({"start_frame": f" {URL.replace('https', 'HTTPS')}"}, "send images as"),
        ({"image_tail": "iVBORw0KGgo" + "A" * 600}, "send images as"),
        ({"input": {"img_url": URL}}, "send images as"),
        ({"media": [{"type": "image", "url": URL}]}, "send images as"),
        ({"n": 2}, "send it as variants"),
        ({"numberOfVideos": "4"}, "send it as variants"),
        ({"n_seconds": 12}, "send it as seconds"),
        ({"Seconds": "12"}, "send it as seconds"),
        ({"width": 1280}, "send it as size"),
        ({"height": 720, "size": "720x1280"}, "send it as size"),
        ({"aspectRatio": "16:9"}, "send it as aspect_ratio"),
        ({"negativePrompt": "people"}, "send it as negative_prompt"),
        ({"extra_body": {"seconds": 12}}, "send seconds beside the prompt"),
        ({"parameters": {"style": "vivid", "duration": 12}}, "send duration beside the prompt"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_field_that_asks_for_another_video_is_refused_by_name_and_never_dropped(
    fields: dict[str, Any], says: str
) -> None:
    told = refused(**fields)
    assert told.startswith(f"{next(iter(fields))}: is not taken")
    assert says in told


def test_what_tools_add_is_ignored_if_the_video_is_the_same() -> None:
    added = {
        "n": 1,
        "n_variants": "1",
        "width": 1280,
        "height": "720",
        "num_videos": "1",
        "save_video": "later",
        "video_quality": "high",
        "audio_format": "aac",
        "video": None,
        "characters": [],
        "webhook": {"url": URL},
        "notify_url": URL,
        "dimensions": "1280x720",
        "durationSeconds": "8",
        "aspectRatio": "16:9",
        "user": "https://login.example.test/users/1",
        "safety_identifier": "a b " * 300,
        "extra_body": {"size": "1280x720", "seed": None, "cfg": 7},
        "usage": {"seconds": 4},
    }
    assert send(size="1280x720", seconds=8, aspect_ratio="16:9", **added).size == "1280x720"


def test_a_long_name_of_many_values_keeps_no_other_request_waiting() -> None:
    """It was searched for each value again: a request of 1 MB took minutes."""
    began = time.thread_time()
    send(x={"k" * 1_000_000: [1] * 200})
    assert time.thread_time() - began < 3
