"""One suite that every dialect passes, over a socket, and its requests against the published descriptions."""

from __future__ import annotations

import io
import json
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
from video_jobs.errors import (
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
from video_jobs.job import InputImage, VideoRequest
from video_jobs.mp4 import Mp4Check
from video_jobs.ports import Backend, BackendJob, BackendState

DOCUMENTS = {"azure-sora": "azure-sora-jobs.openapi.yaml", "openai-videos": "openai-videos.openapi.yaml"}
ROOTS = {"azure-sora": "/openai/v1", "openai-videos": "/openai/v1"}


@pytest.fixture
def backend(pipeline: Pipeline) -> Backend:
    ref, _ = pipeline.services.backends.choose(None)
    return pipeline.services.backends.client(ref)


@pytest.fixture
def request_for(pipeline: Pipeline) -> VideoRequest:
    _, limits = pipeline.services.backends.choose(None)
    small = SMALL[pipeline.dialect]
    return limits.complete(small["prompt"], small["size"], small["seconds"], None, None)


def finished(pipeline: Pipeline, backend: Backend, request: VideoRequest) -> BackendJob:
    job = backend.create(request, None, 30)
    for _ in range(2000):
        pipeline.advance(5)
        seen = backend.get(job.id)
        if seen.state is BackendState.SUCCEEDED:
            return seen
    raise AssertionError(seen)


def test_create_gives_an_id_and_a_state(backend: Backend, request_for: VideoRequest) -> None:
    job = backend.create(request_for, None, 30)
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
        made.append(backend.create(request_for, None, 30).id)
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
    for operation, call in {
        "get": lambda: backend.get("some-id"),
        "list": lambda: list(backend.recent()),
        "video": lambda: backend.open_video("some-id", "some-id", 30).__enter__(),
        "thumbnail": lambda: backend.open_thumbnail("some-id", "some-id", 30).__enter__(),
    }.items():
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
        backend.create(request_for, None, 30)


def test_no_answer_at_all_is_unavailable_and_before_a_connection_not_sent(
    pipeline: Pipeline, backend: Backend, request_for: VideoRequest
) -> None:
    pipeline.fault("get", drop=True)
    with pytest.raises(Unavailable):
        backend.get("some-id")
    pipeline.simulator.stop()
    try:
        with pytest.raises(NotSent):
            backend.create(request_for, None, 30)
        with pytest.raises(NotSent):
            backend.get("some-id")
    finally:
        pipeline.simulator.start()


def test_a_host_without_an_address_or_tls_is_not_sent(
    simulator: Simulator, request_for: VideoRequest
) -> None:
    tls = simulator.url.replace("http:", "https:")
    for endpoint, words in (("http://nowhere.invalid", "resolved"), (tls, "TLS|connection")):
        pipeline = Pipeline(simulator, "azure-sora", AZURE_OPENAI_ENDPOINT=endpoint)
        ref, _ = pipeline.services.backends.choose(None)
        with pytest.raises(NotSent, match=words):
            pipeline.services.backends.client(ref).create(request_for, None, 30)


def test_a_wrong_key_is_unauthorised(
    simulator: Simulator, pipeline: Pipeline, request_for: VideoRequest
) -> None:
    other = Pipeline(simulator, pipeline.dialect, AZURE_OPENAI_API_KEY="another")
    ref, _ = other.services.backends.choose(None)
    with pytest.raises(Unauthorised) as caught:
        other.services.backends.client(ref).create(request_for, None, 30)
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
            backend.create(request_for, None, 30)
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
    backend.create(with_image(request_for, image), image, 30)
    assert len(recorder.sent) > 5
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
    assert isinstance(sent.body, bytes)
    if kind == "application/json":
        Draft202012Validator(schema).validate(json.loads(sent.body))
        return
    head = b"Content-Type: " + str(sent.headers["content-type"]).encode() + b"\r\n\r\n"
    body: dict[str, Any] = {}
    shape = resolved(document, schema)["properties"]
    for part in BytesParser(policy=HTTP).parsebytes(head + sent.body).iter_parts():
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
    return VideoRequest(
        request.prompt, request.width, request.height, request.seconds, request.variants, image
    )


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
