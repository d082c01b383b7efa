"""One suite that every dialect passes, over a socket, and its requests against the published descriptions."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from jsonschema import Draft202012Validator
from PIL import Image

from local.simulator.server import Simulator
from tests.contract.documents import contract
from tests.pipeline import SMALL, Pipeline
from video_jobs.domain.backend_job import BackendJob, BackendState
from video_jobs.domain.errors import (
    BackendError,
    Busy,
    Gone,
    NotFound,
    NotSent,
    Rejected,
    Unauthorised,
    Unavailable,
    UnknownOutcome,
)
from video_jobs.domain.job import InputImage, VideoRequest
from video_jobs.domain.video_request import FIRST
from video_jobs.media.mp4 import Mp4Check
from video_jobs.ports import Backend

DOCUMENTS = {"azure-sora": "azure-sora-jobs.openapi.yaml", "openai-videos": "openai-videos.openapi.yaml"}
ROOTS = {"azure-sora": "/openai/v1", "openai-videos": "/openai/v1"}


def client_of(pipeline: Pipeline) -> Backend:
    ref, _ = pipeline.services.backends.choose(None)
    return pipeline.services.backends.client(ref)


@pytest.fixture
def backend(pipeline: Pipeline) -> Backend:
    return client_of(pipeline)


@pytest.fixture
def request_for(pipeline: Pipeline) -> VideoRequest:
    _, limits = pipeline.services.backends.choose(None)
    small = SMALL[pipeline.dialect]
    return limits.complete(small["prompt"], small["size"], small["seconds"], None, None)


def finished(pipeline: Pipeline, backend: Backend, request: VideoRequest) -> BackendJob:
    job = backend.create(request, {}, 30)
    for _ in range(2000):
        pipeline.advance(5)
        seen = backend.get(job.id)
        if seen.state is BackendState.SUCCEEDED:
            return seen
    raise AssertionError(seen)


def test_create_gives_an_id_and_a_state(backend: Backend, request_for: VideoRequest) -> None:
    job = backend.create(request_for, {}, 30)
    assert job.id
    assert job.state is BackendState.QUEUED
    assert job.created_at is not None
    assert job.generation_ids == ()


def test_a_finished_job_names_its_outputs_and_their_bytes_are_an_mp4(
    pipeline: Pipeline, backend: Backend, request_for: VideoRequest
) -> None:
    job = finished(pipeline, backend, request_for)
    [generation] = job.generation_ids
    assert job.expires_at is not None
    with backend.open_video(job.id, generation, 30) as content:
        assert content.content_type == "video/mp4"
        pieces = list(content.chunks(10_000))
    assert content.length == sum(map(len, pieces))
    assert {len(piece) for piece in pieces[:-1]} <= {10_000}
    check = Mp4Check()
    for piece in pieces:
        check.feed(piece)
    assert check.finish().width == request_for.width
    with backend.open_thumbnail(job.id, generation, 30) as still:
        assert Image.open(io.BytesIO(b"".join(still.chunks(1 << 20)))).width > 0


def test_the_list_holds_every_job_newest_first(
    backend: Backend, request_for: VideoRequest, pipeline: Pipeline
) -> None:
    pipeline.simulator.world.change({"running_limit": None})
    made = []
    for _ in range(120):
        made.append(backend.create(request_for, {}, 30).id)
        pipeline.advance(1)
    assert [job.id for job in backend.recent()] == list(reversed(made))


ERRORS: dict[int, type[BackendError]] = {
    400: Rejected,
    401: Unauthorised,
    403: Unauthorised,
    404: NotFound,
    410: Gone,
    422: Rejected,
    429: Busy,
    500: Unavailable,
    502: Unavailable,
    503: Unavailable,
}


@pytest.mark.parametrize("status", ERRORS)
def test_errors_come_from_one_vocabulary(
    pipeline: Pipeline, backend: Backend, request_for: VideoRequest, status: int
) -> None:
    headers = {"retry-after-ms": "2500", "x-request-id": "r-1"}
    calls: dict[str, Callable[[], object]] = {
        "get": lambda: backend.get("some-id"),
        "list": lambda: list(backend.recent()),
        "delete": lambda: backend.delete("some-id"),
        "video": lambda: backend.open_video("some-id", "some-id", 30).__enter__(),
        "thumbnail": lambda: backend.open_thumbnail("some-id", "some-id", 30).__enter__(),
    }
    if pipeline.dialect == "azure-sora":
        calls["get_generation"] = lambda: backend.job_of("some-id")
    for operation, call in calls.items():
        # A dialect may ask for the job when the content is refused: it meets the same fault.
        for each in {operation, "get"}:
            pipeline.fault(each, status=status, headers=headers, body={"error": {"message": "no"}})
        with pytest.raises(ERRORS[status]) as caught:
            call()
        pipeline.simulator.faults.clear()
        assert (caught.value.status, caught.value.detail) == (status, "no")
        assert (caught.value.retry_after, caught.value.request_id) == (2.5, "r-1")
    pipeline.fault("create", status=status)
    with pytest.raises(ERRORS[status] if status < 500 else UnknownOutcome):
        backend.create(request_for, {}, 30)


def test_no_answer_at_all_is_unavailable_and_before_a_connection_not_sent(
    pipeline: Pipeline, backend: Backend, request_for: VideoRequest
) -> None:
    for operation, call in {"get": backend.get, "delete": backend.delete}.items():
        pipeline.fault(operation, drop=True)
        with pytest.raises(Unavailable) as caught:
            call("some-id")
        assert not isinstance(caught.value, NotSent)
    pipeline.simulator.stop()
    try:
        with pytest.raises(NotSent):
            backend.create(request_for, {}, 30)
        with pytest.raises(NotSent):
            backend.get("some-id")
        with pytest.raises(NotSent):
            backend.delete("some-id")
    finally:
        pipeline.simulator.start()


def test_a_host_without_an_address_or_tls_is_not_sent(
    simulator: Simulator, request_for: VideoRequest
) -> None:
    tls = simulator.url.replace("http:", "https:")
    for endpoint, words in (("http://nowhere.invalid", "resolved"), (tls, "TLS|connection")):
        pipeline = Pipeline(simulator, "azure-sora", AZURE_OPENAI_ENDPOINT=endpoint)
        with pytest.raises(NotSent, match=words):
            client_of(pipeline).create(request_for, {}, 30)


def test_a_wrong_key_is_unauthorised(
    simulator: Simulator, pipeline: Pipeline, request_for: VideoRequest
) -> None:
    other = Pipeline(simulator, pipeline.dialect, AZURE_OPENAI_API_KEY="another")
    with pytest.raises(Unauthorised) as caught:
        client_of(other).create(request_for, {}, 30)
    assert "another" not in str(caught.value)


def test_bodies_of_any_shape_are_read_without_a_crash(
    pipeline: Pipeline, backend: Backend, request_for: VideoRequest
) -> None:
    for body in ("[]", "null", '"x"', "{", "", "\x00", "[" * 50_000):
        pipeline.fault("get", replace_body=body)
        with pytest.raises(Unavailable):
            backend.get("some-id")
    for body in ("{}", '{"id": {}}', '{"id": ""}', '{"id": true, "status": {}}'):
        pipeline.fault("get", replace_body=body)
        assert backend.get("some-id").state is BackendState.UNKNOWN
        pipeline.fault("create", replace_body=body)
        with pytest.raises(UnknownOutcome):
            backend.create(request_for, {}, 30)
    strange = {
        "id": "i",
        "status": ["x"],
        "progress": "12",
        "expires_at": "soon",
        "created_at": -5,
        "generations": {"a": 1},
        "error": "boom",
    }
    pipeline.fault("get", replace_body=strange)
    seen = backend.get("i")
    assert (seen.state, seen.expires_at, seen.created_at) == (BackendState.UNKNOWN, None, None)


# --- what was asked for, read back ---


def asked_for(job: BackendJob) -> tuple[object, ...]:
    return (job.prompt, job.width, job.height, job.seconds, job.variants, job.model)


def test_what_was_asked_for_is_listed_and_read_back_equal(
    pipeline: Pipeline, backend: Backend, request_for: VideoRequest
) -> None:
    job = backend.create(replace(request_for, prompt=' "Ein" Schiff\n\U0001f6a2 '), {}, 30)
    width, height, seconds = request_for.width, request_for.height, request_for.seconds
    variants = 1 if pipeline.dialect == "azure-sora" else None  # the other has no word for them
    expected = (' "Ein" Schiff\n\U0001f6a2 ', width, height, seconds, variants, "sora")
    assert asked_for(job) == expected
    for _ in ("queued", "completed"):
        [listed] = backend.recent()
        assert listed == backend.get(job.id)._replace(told_at=None)
        assert asked_for(listed) == expected
        pipeline.advance(60)


def test_a_prompt_that_is_not_told_is_not_known(videos: Pipeline) -> None:
    videos.simulator.world.change({"hide_prompt": True})
    backend = client_of(videos)
    video_id = backend.create(VideoRequest("a paper boat", 720, 1280, 4), {}, 30).id
    [listed] = backend.recent()
    assert listed == backend.get(video_id)._replace(told_at=None)
    assert asked_for(listed) == (None, 720, 1280, 4, None, "sora")


@pytest.mark.parametrize("seconds", [4, "4", 4.0, "4.0"])
def test_seconds_are_read_as_a_string_and_as_a_number(pipeline: Pipeline, seconds: object) -> None:
    pipeline.fault("get", replace_body={"id": "i", "seconds": seconds, "n_seconds": seconds})
    assert client_of(pipeline).get("i").seconds == 4


@pytest.mark.parametrize(
    "said",
    [
        {},
        dict.fromkeys(("prompt", "size", "seconds", "model", "width", "height", "n_seconds", "n_variants")),
        {"prompt": "", "size": "", "seconds": "", "width": 0, "height": 0, "n_seconds": 0, "n_variants": 0},
        {"prompt": 7, "size": 720, "seconds": "4 min", "width": "wide", "n_seconds": [], "n_variants": {}},
        {"prompt": ["x"], "size": "large", "seconds": "NaN", "width": 1e300, "n_seconds": -4},
        {"size": "720:1280", "seconds": 4.5, "width": 7.2, "n_variants": "none"},
    ],
    ids=str,
)
def test_what_is_not_said_or_makes_no_sense_is_not_known(pipeline: Pipeline, said: dict[str, Any]) -> None:
    pipeline.fault("get", replace_body={"id": "i", **said})
    assert asked_for(client_of(pipeline).get("i")) == (None,) * 6


def test_a_prompt_that_no_row_could_hold_is_never_taken_for_ours(pipeline: Pipeline) -> None:
    ours = "\U0001f6a2" * 16_000  # the longest that we send: two UTF-16 units each
    for said in (ours + "!", ours + "\U0001f6a2" * 70_000, "x" * 900_000, "half a pair: \ud83d"):
        pipeline.fault("get", replace_body={"id": "i", "prompt": said})
        prompt = client_of(pipeline).get("i").prompt
        assert prompt
        assert prompt != ours
        assert len(prompt.encode("utf-16-le")) < 64 << 10
    pipeline.fault("get", replace_body={"id": "i", "prompt": ours})
    assert client_of(pipeline).get("i").prompt == ours


# --- stopping ---


def test_delete_stops_a_job_and_forgets_it(
    pipeline: Pipeline, backend: Backend, request_for: VideoRequest
) -> None:
    job, other = backend.create(request_for, {}, 30), backend.create(request_for, {}, 30)
    pipeline.advance(15)
    assert backend.get(job.id).state in (BackendState.QUEUED, BackendState.RUNNING)
    backend.delete(job.id)
    with pytest.raises(NotFound):
        backend.get(job.id)
    assert [listed.id for listed in backend.recent()] == [other.id]
    with pytest.raises(NotFound):
        backend.delete(job.id)
    assert backend.get(other.id).id == other.id


def test_delete_takes_the_bytes_with_it(
    pipeline: Pipeline, backend: Backend, request_for: VideoRequest
) -> None:
    job = finished(pipeline, backend, request_for)
    backend.delete(job.id)
    with pytest.raises(NotFound), backend.open_video(job.id, job.generation_ids[0], 30):
        pass


@pytest.mark.parametrize("status", [400, 405, 409, 413, 415, 422, 501])
def test_a_delete_that_is_refused_is_rejected_and_nothing_is_stopped(
    pipeline: Pipeline, backend: Backend, request_for: VideoRequest, status: int
) -> None:
    job = backend.create(request_for, {}, 30)
    pipeline.fault("delete", status=status, body={"error": {"message": "not while it runs"}})
    with pytest.raises(Rejected, match="not while it runs") as caught:
        backend.delete(job.id)
    assert caught.value.status == status
    assert backend.get(job.id).state is BackendState.QUEUED


def test_a_server_that_lets_nothing_be_stopped_while_it_runs_still_forgets_what_is_over(
    pipeline: Pipeline, backend: Backend, request_for: VideoRequest
) -> None:
    pipeline.simulator.world.change({"refuse_delete_running": True})
    job = backend.create(request_for, {}, 30)
    with pytest.raises(Rejected) as caught:
        backend.delete(job.id)
    assert caught.value.status == 409
    done = finished(pipeline, backend, request_for)
    backend.delete(done.id)
    with pytest.raises(NotFound):
        backend.get(done.id)


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 204},
        {"replace_body": ""},
        {"replace_body": "<html>gone"},
        {"replace_body": {"status": "deleted"}},
        {"replace_body": {"id": "i", "object": "video.deleted", "deleted": True}},
        {"replace_body": ["x"]},
        {"replace_body": "[" * 50_000},
        {"status": 202, "body": "later"},
        {"replace_body": "x" * 100, "cut_after": 10},
    ],
    ids=lambda answer: str(answer)[:60],
)
def test_whatever_else_a_success_says_the_job_is_deleted(
    pipeline: Pipeline, backend: Backend, answer: dict[str, Any]
) -> None:
    pipeline.fault("delete", **answer)
    backend.delete("some-id")
    assert [call["status"] // 100 for call in pipeline.calls("delete")] == [2]


def test_a_success_that_says_it_is_not_deleted_is_rejected(videos: Pipeline) -> None:
    videos.fault("delete", replace_body={"id": "i", "object": "video.deleted", "deleted": False})
    with pytest.raises(Rejected):
        client_of(videos).delete("i")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_delete_is_not_led_elsewhere(pipeline: Pipeline, backend: Backend, status: int) -> None:
    pipeline.fault("delete", redirect=f"{pipeline.simulator.url}/elsewhere", status=status)
    with pytest.raises(Unavailable):
        backend.delete("some-id")
    assert [call["operation"] for call in pipeline.simulator.world.ledger.calls()] == ["delete"]


@pytest.mark.parametrize("style", ["base64", "colon"])
def test_odd_ids_are_deleted_like_any_other(videos: Pipeline, style: str) -> None:
    videos.simulator.world.change({"id_style": style})
    backend = client_of(videos)
    video_id = backend.create(VideoRequest("a paper boat", 720, 1280, 4), {}, 30).id
    backend.delete(video_id)
    assert list(backend.recent()) == []


# --- from a generation to its job ---


def test_a_generation_leads_to_its_job(
    pipeline: Pipeline, backend: Backend, request_for: VideoRequest
) -> None:
    job = finished(pipeline, backend, request_for)
    assert backend.job_of(job.generation_ids[0]) == job.id


def test_a_generation_that_is_not_there_leads_to_no_job(pipeline: Pipeline, backend: Backend) -> None:
    with pytest.raises(NotFound):
        backend.get(backend.job_of("gen_nothing"))


@pytest.mark.parametrize("said", [{}, {"job_id": None}, {"job_id": ""}, {"job_id": ["x"]}], ids=str)
def test_a_generation_that_names_no_job_leads_to_none(sora: Pipeline, said: dict[str, Any]) -> None:
    sora.fault("get_generation", replace_body={"object": "video.generation", "id": "gen_1", **said})
    with pytest.raises(NotFound, match="which job made gen_1"):
        client_of(sora).job_of("gen_1")


# --- the requests, against the published descriptions ---


class Recorder:
    """Notes what requests sends, on its way."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent: list[requests.PreparedRequest] = []
        real = requests.Session.send

        def send(
            session: requests.Session, request: requests.PreparedRequest, **kwargs: Any
        ) -> requests.Response:
            self.sent.append(request)
            return real(session, request, **kwargs)

        monkeypatch.setattr(requests.Session, "send", send)


def test_every_request_is_one_that_the_description_knows(
    pipeline: Pipeline, backend: Backend, request_for: VideoRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = contract(DOCUMENTS[pipeline.dialect])
    recorder = Recorder(monkeypatch)
    job = finished(pipeline, backend, request_for)
    for opened in (backend.open_video, backend.open_thumbnail):
        with opened(job.id, job.generation_ids[0], 30) as content:
            assert list(content.chunks(1 << 20))
    list(backend.recent())
    image = picture(request_for)
    backend.create(with_image(request_for, image), {FIRST: image}, 30)
    backend.job_of(job.generation_ids[0])
    backend.delete(job.id)
    assert len(recorder.sent) > 5
    assert {sent.method for sent in recorder.sent} == {"POST", "GET", "DELETE"}
    for sent in recorder.sent:
        operation = described(document, sent, ROOTS[pipeline.dialect])
        query = parse_qsl(urlsplit(sent.url or "").query)
        parameters = {p["name"]: p for p in [resolved(document, p) for p in operation["parameters"]]}
        assert {name for name, _ in query} <= set(parameters)
        assert len({name for name, _ in query}) == len(query)
        for name, value in query:
            schema = {**parameters[name]["schema"], "components": document["components"]}
            typed: Any = (
                int(value)
                if resolved(document, parameters[name]["schema"]).get("type") == "integer"
                else value
            )
            Draft202012Validator(schema).validate(typed)
        if pipeline.dialect == "azure-sora":
            assert [value for name, value in query if name == "api-version"] == ["preview"]
        if sent.method == "POST":
            conforms(document, operation, sent)


def conforms(document: dict[str, Any], operation: dict[str, Any], sent: requests.PreparedRequest) -> None:
    kind = str(sent.headers["content-type"]).partition(";")[0]
    schema = {**operation["requestBody"]["content"][kind]["schema"], "components": document["components"]}
    content = sent.body if isinstance(sent.body, bytes) else b"".join(map(bytes, sent.body or ()))
    if kind == "application/json":
        Draft202012Validator(schema).validate(json.loads(content))
        return
    head = b"Content-Type: " + str(sent.headers["content-type"]).encode() + b"\r\n\r\n"
    body: dict[str, Any] = {}
    shape = resolved(document, schema)["properties"]
    for part in BytesParser(policy=HTTP).parsebytes(head + content).iter_parts():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        is_file = part.get_filename() is not None
        value: Any = "bytes" if is_file else payload.decode()  # type: ignore[union-attr]
        kind_of = resolved(document, shape[str(name)]).get("type")
        if kind_of == "integer":
            value = int(value)
        elif kind_of == "array":
            value = [value] if is_file else json.loads(value)
        body[str(name)] = value
    Draft202012Validator(schema).validate(body)


def described(document: dict[str, Any], sent: requests.PreparedRequest, root: str) -> dict[str, Any]:
    path = urlsplit(sent.url or "").path.removeprefix(root)
    for template, operations in document["paths"].items():
        parts, wanted = path.split("/"), template.split("/")
        if len(parts) == len(wanted) and all(
            w.startswith("{") or p == w for p, w in zip(parts, wanted, strict=True)
        ):
            operation = operations.get((sent.method or "").lower())
            if operation is not None:
                return dict(operation)
    raise AssertionError(f"{sent.method} {path} is described nowhere")


def resolved(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        found: Any = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def picture(request: VideoRequest) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (request.width, request.height), "olive").save(content, "PNG")
    return content.getvalue()


def with_image(request: VideoRequest, content: bytes) -> VideoRequest:
    image = InputImage("image/png", len(content), "aa", request.width, request.height)
    return replace(request, input_image=image)


def test_seconds_are_a_string_on_the_videos_wire_in_both_forms(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(monkeypatch)
    for body in ("json", "multipart"):
        entry = {
            "name": "own",
            "dialect": "openai-videos",
            "base_url": f"{simulator.url}/v1",
            "model": "m",
            "api_key_setting": "AZURE_OPENAI_API_KEY",
            "body": body,
        }
        pipeline = Pipeline(simulator, "azure-sora", VIDEO_BACKENDS=json.dumps([entry]))
        job = pipeline.submit(backend="own", size="720x1280", seconds=4)
        assert job.backend_job_id, job.error
        sent = recorder.sent[-1]
        assert str(sent.headers["content-type"]).startswith(
            {"json": "application/json"}.get(body, "multipart")
        )
        assert sent.headers["Authorization"] == "Bearer sim-key"
        if body == "json":
            assert json.loads(sent.body or b"")["seconds"] == "4"
