"""A video that stands as base64 within the JSON of an answer, and long texts beside it."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import pytest

from doctor.wire import Wire
from tests.cases import further
from tests.strange_api import Asked, Reply, StrangeApi, StrangeLine
from tests.strange_server import VIDEO as SHORT
from tests.strange_server import Server
from tests.strange_tasks import DONE, ID, MODELS, asked_of
from video_jobs.backends.providers import TASK_APIS
from video_jobs.domain.job import Job, Status

LONG = SHORT + (3 << 20).to_bytes(4, "big") + b"free" + bytes(range(256)) * (3 << 12)
"""A video larger than any answer without one."""
LONG = LONG[: len(SHORT) + (3 << 20)]


def text_of(video: bytes) -> str:
    return base64.b64encode(video).decode()


def url_of(video: bytes) -> str:
    return f"data:video/mp4;base64,{text_of(video)}"


#: How a JSON answer writes the text.
WRITTEN = {
    "plain": lambda text: json.dumps(text),
    "slashes escaped": lambda text: json.dumps(text).replace("/", "\\/"),
    "in lines": lambda text: json.dumps("\r\n".join(text[n : n + 76] for n in range(0, len(text), 76))),
    "for URLs": lambda text: json.dumps(text.replace("+", "-").replace("/", "_").rstrip("=")),
}


def assert_kept(job: Job, video: bytes) -> None:
    assert job.status is Status.SUCCEEDED, job.error
    assert [output.stored and output.stored.length for output in job.outputs] == [len(video)]


@pytest.mark.promise("I7")
@pytest.mark.parametrize("name", ["gemini", *map(further, sorted(set(TASK_APIS) - {"gemini"}))])
@pytest.mark.parametrize("video", [SHORT, LONG], ids=["short", "long"])
def test_a_task_that_has_its_video_inside_ends_with_it(api: StrangeApi, name: str, video: bytes) -> None:
    done = DONE[name](url_of(video))
    assert_kept(asked_of(api, name, get=lambda asked: Reply(200, done)), video)


@pytest.mark.promise("I7")
@pytest.mark.parametrize("written", WRITTEN)
def test_geminis_inline_video_is_kept_however_it_is_written(api: StrangeApi, written: str) -> None:
    video = {"type": "video", "mime_type": "video/mp4", "data": "THE TEXT"}
    steps = [{"type": "user_input", "content": [{"type": "text", "text": 'a "boat" \\'}]}]
    steps.append({"type": "model_output", "content": [video]})
    body = json.dumps({"steps": steps, "status": "completed", "id": ID})
    body = body.replace('"THE TEXT"', WRITTEN[written](text_of(LONG)))
    assert_kept(asked_of(api, "gemini", get=lambda asked: Reply(200, body.encode())), LONG)


@pytest.mark.promise("I7")
@pytest.mark.parametrize("video", [SHORT, LONG], ids=["short", "long"])
@pytest.mark.parametrize(
    ("job", "content"),
    [
        ({"url": "URL"}, Reply(404, {"detail": "Not Found"})),
        ({"data": [{"b64_json": "TEXT"}]}, Reply(404, {"detail": "Not Found"})),
        ({}, Reply(200, {"data": {"url": "URL"}})),
        ({}, Reply(200, {"video": {"bytesBase64Encoded": "TEXT"}})),
    ],
    ids=["url of the job", "base64 in the job", "url of the content", "base64 in the content"],
)
def test_a_gateway_that_has_the_video_inside_its_answer_ends_with_it(
    api: StrangeApi, video: bytes, job: dict[str, Any], content: Reply
) -> None:
    def filled(value: Any) -> Any:
        text = json.dumps(value).replace('"URL"', json.dumps(url_of(video)))
        return json.loads(text.replace('"TEXT"', json.dumps(text_of(video))))

    server = Server(api, job={"status": "completed", **filled(job)})
    server.replies["content"] = Reply(content.status, filled(content.body))
    line = StrangeLine(api)
    assert_kept(line.run_for(line.submit(), hours=1), video)


@pytest.mark.promise("I7")
@pytest.mark.parametrize("url", ["an address", further("a video inside")])
def test_a_content_that_breaks_off_after_its_json_is_read(api: StrangeApi, url: str) -> None:
    server = Server(api)
    address = f"{api.url}/files/v.mp4" if url == "an address" else url_of(SHORT)
    body = {"url": address, "note": "a" * 600}
    server.replies["content"] = Reply(200, body, length=len(json.dumps(body)) + 100)
    server.replies[""] = Reply(200, SHORT, content_type="video/mp4")
    line = StrangeLine(api)
    assert_kept(line.run_for(line.submit(), hours=1), SHORT)


@pytest.mark.promise("I7")
@pytest.mark.parametrize("name", ["replicate", *map(further, sorted(set(TASK_APIS) - {"replicate"}))])
def test_an_answer_that_repeats_large_images_is_read(api: StrangeApi, name: str) -> None:
    """As of providers that show a task's input as it came."""
    picture = f"data:image/png;base64,{'QUJD' * (3 << 18)}"
    repeated = {"input": {"image": picture, "references": [picture]}}

    def get(asked: Asked) -> Reply:
        return Reply(200, {**repeated, **DONE[name](f"{api.url}/files/v.mp4")})

    def create(asked: Asked) -> Reply:
        return Reply(200, {**repeated, "id": ID, "request_id": ID, "status": "queued"})

    assert_kept(asked_of(api, name, create=create, get=get), SHORT)


@pytest.mark.promise("I2")
def test_a_job_is_found_in_a_list_that_repeats_large_images(api: StrangeApi) -> None:
    picture = f"data:image/png;base64,{'QUJD' * (1 << 18)}"
    made: list[dict[str, Any]] = []

    def answer(asked: Asked) -> Reply:
        if asked.method == "POST":
            job = {"id": ID, "created_at": api.clock().isoformat(), "status": "starting"}
            made.append(job | {"input": json.loads(asked.body)["input"], "model": MODELS["replicate"]})
            return Reply(500)
        if ID in asked.path:
            return Reply(200, made[0])
        newer = [{"id": f"other_{n}", "input": {"prompt": "other", "image": picture}} for n in range(16)]
        at = (api.clock() + timedelta(hours=1)).isoformat()
        return Reply(200, {"results": [*({**each, "created_at": at} for each in newer), *made], "next": None})

    api.answer = answer
    line = StrangeLine(api, dialect="replicate", model=MODELS["replicate"], sizes="any", seconds="any")
    job = line.run_for(line.submit(size="1280x720"), hours=0.5)
    assert (job.backend_job_id, len(made)) == (ID, 1)


@pytest.mark.parametrize(("number", "kind"), [(0, "video"), (1, "empty")])
def test_the_doctor_sees_a_video_inside_an_answer(api: StrangeApi, number: int, kind: str) -> None:
    api.answer = lambda asked: Reply(200, {"status": "completed", "url": url_of(SHORT)})
    response = Wire(api.url, lambda: {}).get(f"{api.url}/v1/videos/1#inline={number}")
    assert (response.status, response.kind) == (200, kind)
