"""What comes in at the OpenAI-compatible API, and how a job looks from there."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from openai_api.request import is_repeat, read_create
from openai_api.video import video_of
from submit_job.request import SubmitRequest, read_submission
from tests.contract.documents import contract
from tests.settings_examples import BACKENDS
from tests.unit.jobs import NOW, REQUEST, a_job
from video_jobs.domain.errors import InvalidRequest
from video_jobs.domain.job import Job, JobError, Status
from video_jobs.lifecycle.submit import Submission


def send(body: Any, **headers: str) -> Submission:
    headers = {"content-type": "application/json", **headers}
    return read_create(headers, json.dumps(body).encode(), lambda: ({}, {}), BACKENDS)


def send_form(fields: dict[str, str], files: dict[str, bytes] | None = None) -> Submission:
    parts = {name: io.BytesIO(content) for name, content in (files or {}).items()}
    headers = {"content-type": "multipart/form-data; boundary=x"}
    return read_create(headers, b"", lambda: (fields, parts), BACKENDS)


def refused(body: dict[str, Any]) -> str:
    with pytest.raises(InvalidRequest) as error:
        send(body)
    return str(error.value)


def data_url(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


# --- what is taken -------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [8, "8"])
def test_the_fields_of_the_protocol_are_taken_and_what_tools_add_is_left_alone(seconds: Any):
    body = {"prompt": "a boat", "size": "1280x720", "seconds": seconds, "user": "u", "n": {"any": "thing"}}
    submission = send(body)
    assert (submission.prompt, submission.size, submission.seconds) == ("a boat", "1280x720", 8)
    assert submission.backend is None


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "prompt: is missing"),
        ({"prompt": " "}, "prompt: it is empty"),
        ({"prompt": "a", "size": "big"}, "size: must be WIDTHxHEIGHT"),
        ({"prompt": "a", "seconds": "four"}, "seconds: "),
        ({"prompt": "a", "seconds": 4.5}, "seconds: "),
        ({"prompt": "a", "model": 3}, "model: "),
        ({"prompt": "a", "input_reference": 3}, "input_reference: must be a file part"),
        ({"prompt": "a", "input_reference": {}}, "input_reference: needs an image_url"),
        ({"prompt": "a", "input_reference": {"file_id": "file-1"}}, "this app stores no files"),
        ({"prompt": "a", "input_reference": {"image_url": "http://x.invalid/a.png"}}, "an https address"),
        ({"prompt": "a", "input_reference": {"image_url": "data:,x"}}, "must be a base64 data URL"),
        (
            {"prompt": "a", "input_reference": {"image_url": "data:image/png;base64,AAAA"}},
            "no PNG, JPEG or WebP",
        ),
    ],
)
def test_what_can_not_be_taken_is_refused_with_its_field(body: dict[str, Any], says: str):
    assert says in refused(body)


def test_the_image_comes_as_a_file_or_in_a_data_url_in_json_and_in_a_form(pictures: dict[str, bytes]):
    content = pictures["image/png"]
    ways = [
        send({"prompt": "a", "input_reference": {"image_url": data_url(content)}}),
        send({"prompt": "a", "input_reference": data_url(content)}),
        send_form({"prompt": "a"}, {"input_reference": content}),
        send_form({"prompt": "a", "input_reference[image_url]": data_url(content)}),
    ]
    assert [way.contents for way in ways] == [{0: content}] * 4
    assert len({way.fingerprint for way in ways}) == 1


def test_a_file_under_another_name_is_not_left_out_of_a_video_that_is_paid_for():
    with pytest.raises(InvalidRequest, match="picture: is not an allowed file"):
        send_form({"prompt": "a"}, {"picture": b"x"})


@pytest.mark.parametrize(
    ("model", "backend"),
    [
        (None, None),
        ("first", "first"),
        ("ltx", "second"),
        ("wan", "wan"),  # a backend's name comes before another's model
        ("sora-2", None),
        ("sora-2-pro", None),
        ("sora-2-2025-10-06", None),
    ],
)
def test_a_model_is_a_backends_name_or_its_model_and_what_every_tool_sends_is_the_default(
    model: str | None, backend: str | None
):
    assert send({"prompt": "a", "model": model}).backend == backend


def test_a_model_that_is_not_there_is_refused_naming_what_is():
    assert refused({"prompt": "a", "model": "veo-3"}).endswith("there are: first, wan, second, ltx, hunyuan")


def test_a_fingerprint_is_of_the_whole_request(pictures: dict[str, bytes]):
    bodies: list[dict[str, Any]] = [
        {"prompt": "a"},
        {"prompt": "b"},
        {"prompt": "a", "seconds": "4"},
        {"prompt": "a", "seed": 1},
        {"prompt": "a", "input_reference_strength": 1},
        {"prompt": "a", "input_reference": data_url(pictures["image/png"])},
    ]
    assert len({send(body).fingerprint for body in bodies}) == len(bodies)
    assert send({"prompt": "a", "seed": 1}).fingerprint == send({"seed": 1, "prompt": "a"}).fingerprint


@pytest.mark.parametrize(
    ("count", "repeat"),
    [(None, False), ("0", False), ("1", True), ("2", True), ("-1", False), ("x", False), ("²", False)],
)
def test_the_package_says_when_it_repeats(count: str | None, repeat: bool):
    assert is_repeat({} if count is None else {"x-stainless-retry-count": count}) is repeat


# --- the fields of the job API -------------------------------------------------------------------

PICTURE = "https://example.test/a.png"
OF_THE_JOB_API: dict[str, Any] = {
    "prompt": "a boat",
    "size": "1280x720",
    "seconds": 8,
    "variants": 1,
    "input_image": PICTURE,
    "last_image": PICTURE,
    "reference_images": [PICTURE],
    "metadata": {"scene": "12"},
    "backend": "wan",
    "model": "hunyuan",
    "aspect_ratio": "9:16",
    "resolution": "720p",
    "audio": False,
    "seed": 3,
    "negative_prompt": "people",
    "options": {"a": {"b": None}},
    "webhook_url": "https://example.test/hook",
}


@pytest.mark.parametrize("as_form", [False, True])
@pytest.mark.parametrize("field", SubmitRequest.model_fields)
def test_each_field_of_the_job_api_asks_for_the_same_here(field: str, as_form: bool):
    body = {"prompt": "a boat", field: OF_THE_JOB_API[field]}
    headers = {"content-type": "application/json"}
    there = read_submission(headers, json.dumps(body).encode(), lambda: ({}, {}))
    as_texts = {
        name: json.dumps(value) if isinstance(value, dict | bool) else str(value)
        for name, value in body.items()
    }
    if field == "reference_images":
        as_texts[field] = PICTURE
    here = send_form(as_texts) if as_form else send(body)
    unlike: dict[str, Any] = {"variants": None, "names": {}, "fingerprint": ""}
    if field == "model":  # here it leads to its backend
        assert (here.backend, there.model) == ("wan", "hunyuan")
        unlike |= {"backend": None, "model": None}
    assert replace(here, **unlike) == replace(there, **unlike)


@pytest.mark.parametrize(
    ("backend", "model", "chosen"),
    [
        ("second", None, ("second", None)),
        ("second", "ltx", ("second", None)),
        ("second", "sora-2", ("second", None)),
        ("wan", "wan", ("wan", None)),
    ],
)
def test_a_backend_may_be_named_beside_its_model(
    backend: str, model: str | None, chosen: tuple[str | None, str | None]
):
    submission = send({"prompt": "a", "backend": backend, "model": model})
    assert (submission.backend, submission.model) == chosen
    assert "model: there is no such model here; there are: second, ltx" in refused(
        {"prompt": "a", "backend": "second", "model": "hunyuan"}
    )


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"variants": 2}, "variants: must be 1"),
        ({"audio": True, "generate_audio": False}, "audio: is not the same as generate_audio"),
        ({"seconds": "4", "duration": 8}, "duration: is not the same as seconds"),
        ({"duration": "long"}, "duration: must be a whole number"),
        ({"audio": "loud"}, "audio: must be true or false"),
        ({"generate_audio": "loud"}, "generate_audio: must be true or false"),
        ({"options": [1]}, "options: must be an object"),
        ({"metadata": {"a": {}}}, "metadata.a: must be text"),
        ({"backend": "third", "model": "ltx"}, "backend: there is no backend of this name"),
    ],
)
def test_a_field_of_the_job_api_that_can_not_be_taken_is_refused_by_its_name(body: dict[str, Any], says: str):
    assert says in refused({"prompt": "a", **body})


@pytest.mark.parametrize("body", [{"duration": 8}, {"duration": "8"}, {"duration": 8, "seconds": "8"}])
def test_the_duration_is_not_dropped_under_its_other_name(body: dict[str, Any]):
    assert send({"prompt": "a", **body}).seconds == 8


@pytest.mark.parametrize("name", ["options[provider][a]", "metadata[scene]", "seed[]"])
def test_a_field_that_a_form_spreads_over_parts_is_refused_and_not_dropped(name: str):
    [field, _] = name.split("[", 1)
    with pytest.raises(InvalidRequest, match=f"{field}: is sent as '{re.escape(name)}'; send one value"):
        send_form({"prompt": "a", name: "1"})


# --- how a job looks -----------------------------------------------------------------------------


def job_as(status: Status, **changes: Any) -> Job:
    request = replace(REQUEST, width=720, height=1280, seconds=4)
    return replace(a_job(), status=status, request=request, **changes)


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        ("waiting", "queued"),
        ("submitting", "queued"),
        ("queued", "queued"),
        ("running", "in_progress"),
        ("fetching", "in_progress"),
        ("pending_download", "in_progress"),
        ("succeeded", "completed"),
        ("failed", "failed"),
        ("cancelled", "failed"),
        ("expired", "failed"),
    ],
)
def test_every_status_has_its_word_and_the_answer_is_as_the_protocol_describes_it(status: str, shown: str):
    ended = Status(status).is_terminal
    video = video_of(job_as(Status(status), finished_at=NOW if ended else None), None)
    assert video["status"] == shown
    assert (video["error"] is not None) == (shown == "failed")
    assert video["completed_at"] == (int(NOW.timestamp()) if ended else None)
    assert (video["size"], video["seconds"], video["expires_at"]) == ("720x1280", "4", None)
    document = contract("openai-videos.openapi.yaml")
    schema = {**document["components"]["schemas"]["VideoResource"], "components": document["components"]}
    Draft202012Validator(schema).validate(video)


def test_an_error_has_the_code_and_words_of_the_job():
    error = JobError("moderation_blocked", "It said no.")
    assert video_of(job_as(Status.FAILED, error=error), None)["error"] == {
        "code": "moderation_blocked",
        "message": "It said no.",
    }


def test_a_video_expires_when_the_app_deletes_it():
    video = video_of(job_as(Status.SUCCEEDED, finished_at=NOW), timedelta(days=30))
    assert video["expires_at"] == int((NOW + timedelta(days=30)).timestamp())
    assert video["progress"] == 100
