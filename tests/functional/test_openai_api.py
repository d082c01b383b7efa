"""The official OpenAI package, given nothing but an address and a key, and what else may come to that api."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import openai
import pytest
import requests
from openai._resource import SyncAPIResource
from openai.types import Video
from PIL import Image

from local.azurite_process import Azurite
from local.function_host.host import FunctionHost
from local.simulator.faults import Fault
from local.simulator.server import Simulator
from tests.functional.picture_host import a_picture
from tests.functional.storage_adapters import a_name
from tests.leaks import SECRETS
from tests.pipeline import API_KEY, UseServices, environment_for
from tests.principals import header
from tests.waiting import until
from tests.whole_app import running_app
from video_jobs import wiring
from video_jobs.backends.registry import Backends
from video_jobs.domain.errors import NotFetched, TooManyFetched
from video_jobs.domain.quota import OwnerLimits
from video_jobs.settings.api_keys import ApiKeys
from video_jobs.settings.app import Settings
from video_jobs.settings.sign_in import SignIn

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

ROOT = Path(__file__).resolve().parents[2]

ALICE, BOB, PLAIN = "the-key-of-alice-0123", "the-key-of-bob-456789", "a-key-without-an-owner"
SECRETS.update(dict.fromkeys((ALICE, BOB, PLAIN), "a key of the OpenAI-compatible API"))
# The fastest to render.
SMALL: dict[str, Any] = {"prompt": "a paper boat", "size": "480x480", "seconds": "1"}


class OpenAiApi:
    def __init__(self, host: FunctionHost, simulator: Simulator) -> None:
        self.api = f"{host.url}/api"
        self.url = f"{self.api}/v1"
        self.simulator = simulator

    def client(self, key: str = ALICE, **options: Any) -> openai.OpenAI:
        return openai.OpenAI(**{"base_url": self.url, "api_key": key, "max_retries": 0, **options})

    def send(self, method: str, path: str, key: str | None = ALICE, **arguments: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        headers |= arguments.pop("headers", {})
        return requests.request(
            method, f"{self.url}/{path}", headers=headers, timeout=30, allow_redirects=False, **arguments
        )

    def made(self) -> int:
        """How many jobs the video API ever created: what was paid for."""
        return len(self.simulator.world.everything())


@pytest.fixture(scope="module")
def api(azurite: Azurite) -> Iterator[OpenAiApi]:
    for name in ("httpx2", "httpcore2", "openai"):  # the client's own, not the app's: they log URLs
        logging.getLogger(name).setLevel(logging.WARNING)
    keys = f"alice:{ALICE}, bob:{BOB} {PLAIN}"
    with (
        Simulator(api_key=API_KEY, speed=60, running_limit=None) as simulator,
        running_app(azurite, simulator, VIDEO_RUNNING_LIMIT="0", OPENAI_COMPAT_API_KEYS=keys) as host,
    ):
        yield OpenAiApi(host, simulator)


@pytest.fixture(scope="module")
def done(api: OpenAiApi, tmp_path_factory: pytest.TempPathFactory) -> Video:
    """A video that is made as the README says."""
    page = (ROOT / "README.md").read_text()
    [example] = [text for text in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "openai" in text]
    file = tmp_path_factory.mktemp("openai") / "boat.mp4"
    for shown, here in {
        "http://localhost:7071/api/v1": api.url,
        "YOUR-API-KEY": PLAIN,
        "boat.mp4": str(file),
    }.items():
        assert shown in example
        example = example.replace(shown, here)
    said: dict[str, Any] = {}
    with patch.object(SyncAPIResource, "_sleep", lambda self, seconds: time.sleep(min(seconds, 0.1))):
        exec(example, said)
    video = said["video"]
    assert isinstance(video, Video)
    assert file.read_bytes()[4:8] == b"ftyp"
    return video


# --- the package ---------------------------------------------------------------------------------


def test_the_package_creates_and_polls_and_the_job_is_seen_in_both_worlds(
    api: OpenAiApi, done: Video
) -> None:
    assert (done.object, done.model, done.size, done.seconds) == ("video", "sora", "480x480", "1")
    assert (done.status, done.progress, done.error) == ("completed", 100, None)
    assert done.completed_at is not None
    assert done.created_at <= done.completed_at <= time.time()
    job = requests.get(f"{api.api}/jobs/{done.id}", timeout=10).json()
    assert (job["id"], job["status"], job["prompt"]) == (done.id, "succeeded", done.prompt)


def test_the_package_downloads_the_video_and_its_thumbnail_from_where_they_lie(
    api: OpenAiApi, done: Video
) -> None:
    client = api.client(PLAIN)
    assert client.videos.download_content(done.id).read()[4:8] == b"ftyp"
    still = client.videos.download_content(done.id, variant="thumbnail").read()
    assert Image.open(io.BytesIO(still)).width > 0
    answer = api.send("GET", f"videos/{done.id}/content", PLAIN)
    assert (answer.status_code, answer.content) == (302, b"")
    assert urlsplit(answer.headers["location"]).netloc != urlsplit(api.url).netloc
    with pytest.raises(openai.BadRequestError, match="spritesheet is not made here"):
        client.videos.download_content(done.id, variant="spritesheet")


def test_the_package_lists_page_after_page_in_both_orders_and_deletes(api: OpenAiApi) -> None:
    client = api.client(BOB)
    made = [client.videos.create(**SMALL).id for _ in range(5)]
    assert [video.id for video in client.videos.list(limit=2)] == made[::-1]
    assert [video.id for video in client.videos.list(limit=2, order="asc")] == made
    page = client.videos.list(limit=3, after=made[3], order="desc")
    assert [video.id for video in page.data] == made[2::-1]
    assert (page.has_more, page.last_id) == (False, made[0])
    for _ in range(2):
        deleted = client.videos.delete(made[0])
        assert (deleted.id, deleted.deleted, deleted.object) == (made[0], True, "video.deleted")
    assert [video.id for video in client.videos.list()] == made[:0:-1]
    with pytest.raises(openai.NotFoundError):
        client.videos.retrieve(made[0])


def test_the_package_sends_an_image_as_a_file(api: OpenAiApi) -> None:
    content = io.BytesIO()
    Image.new("RGB", (480, 480), "teal").save(content, "PNG")
    video = api.client(PLAIN).videos.create(
        **SMALL, input_reference=("boat.png", content.getvalue(), "image/png")
    )
    job = requests.get(f"{api.api}/jobs/{video.id}", timeout=10).json()
    assert job["input_image"]["length"] == len(content.getvalue())
    # It is submitted after the request: what the tests after this one count must not come into their way.
    assert api.client(PLAIN).videos.poll(video.id, poll_interval_ms=100).status == "completed"


def test_what_every_tool_sends_as_the_model_is_the_default_backends(api: OpenAiApi) -> None:
    assert api.client().videos.create(**SMALL, model="sora-2").model == "sora"
    with pytest.raises(openai.BadRequestError, match="there are: default, sora") as error:
        api.client().videos.create(**SMALL, model="veo-3")
    assert (error.value.code, error.value.param) == ("model_not_found", "model")


def test_tools_that_ask_for_the_models_get_the_backends(api: OpenAiApi) -> None:
    assert [model.id for model in api.client().models.list()] == ["sora"]


def test_while_it_is_not_done_the_package_is_told_when_to_ask_again(api: OpenAiApi) -> None:
    client = api.client()
    created = client.videos.with_raw_response.create(**SMALL)
    video = created.parse()
    assert video.status in ("queued", "in_progress")
    seen = client.videos.with_raw_response.retrieve(video.id)
    for answer in (created, seen):
        assert 0 < int(answer.headers["openai-poll-after-ms"]) <= 5000
    with pytest.raises(openai.NotFoundError) as error:
        client.videos.download_content(video.id)
    assert error.value.code == "video_not_ready"


def test_what_the_video_api_refuses_is_400_and_names_the_video_that_keeps_why(api: OpenAiApi) -> None:
    api.simulator.faults.add([Fault.read({"operation": "create", "status": 400})])
    with pytest.raises(openai.BadRequestError) as error:
        api.client().videos.create(**SMALL)
    failed = api.client().videos.list(limit=1).data[0]
    assert failed.id in error.value.message
    assert failed.status == "failed"
    assert failed.error is not None
    assert failed.error.code == error.value.code


# --- who comes in --------------------------------------------------------------------------------


def test_a_wrong_key_is_refused_everywhere_before_anything_else(api: OpenAiApi, done: Video) -> None:
    for method, path in (
        ("POST", "videos"),
        ("GET", "videos"),
        ("GET", f"videos/{done.id}"),
        ("DELETE", f"videos/{done.id}"),
        ("GET", f"videos/{done.id}/content"),
        ("GET", "models"),
        ("GET", "nowhere"),
    ):
        for key in (None, "wrong-wrong-wrong-wrong"):
            answer = api.send(method, path, key)
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key"), path
    with pytest.raises(openai.AuthenticationError):
        api.client("wrong-wrong-wrong-wrong").videos.list()


def test_the_package_for_azure_sends_its_key_under_another_name(api: OpenAiApi, done: Video) -> None:
    options = {"base_url": api.url, "api_version": "preview", "max_retries": 0}
    assert openai.AzureOpenAI(api_key=PLAIN, **options).videos.retrieve(done.id).id == done.id
    with pytest.raises(openai.AuthenticationError):
        openai.AzureOpenAI(api_key="wrong-wrong-wrong-wrong", **options).videos.retrieve(done.id)


@pytest.mark.promise("I8")
def test_another_owners_video_is_not_found_in_any_way(api: OpenAiApi, done: Video) -> None:
    videos = api.client(ALICE).videos
    for call in (videos.retrieve, videos.delete, videos.download_content):
        with pytest.raises(openai.NotFoundError):
            call(done.id)
    assert done.id not in [video.id for video in videos.list()]
    assert api.client(PLAIN).videos.retrieve(done.id).status == "completed"


@pytest.mark.parametrize("platforms", [False, True])
def test_the_owner_is_the_keys_whoever_the_platform_has_signed_in(
    api: OpenAiApi, done: Video, use_services: UseServices, platforms: bool
) -> None:
    trusting = wiring.get_services()._replace(sign_in=SignIn(wanted=True, by_platform=platforms))
    use_services(trusting)
    for said in (header(claims={"oid": "mallory"}), "?"):
        headers = {"X-MS-CLIENT-PRINCIPAL": said}
        assert api.send("GET", f"videos/{done.id}", PLAIN, headers=headers).status_code == 200
        assert api.send("GET", f"videos/{done.id}", ALICE, headers=headers).status_code == 404


@pytest.mark.parametrize("limit", [{"at_once": 1}, {"per_day": 1}])
def test_who_has_too_many_jobs_is_told_when_to_come_again_and_the_package_raises_it(
    api: OpenAiApi, use_services: UseServices, limit: dict[str, int]
) -> None:
    bob = replace(wiring.get_services().compat_api_keys.keys[1], owner=a_name("bob"))
    limited = wiring.get_services()._replace(
        owner_limits=OwnerLimits(**limit), compat_api_keys=ApiKeys((bob,))
    )
    use_services(limited)
    assert api.send("POST", "videos", BOB, json=SMALL).status_code == 200
    # Sent again with a count, the same body would be the video that it made before.
    with pytest.raises(openai.RateLimitError) as error:
        api.client(BOB, max_retries=2).videos.create(**SMALL)
    assert error.value.code == "rate_limit_exceeded"
    assert int(error.value.response.headers["retry-after"]) > 0


# --- what may come -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "arguments", "status", "code"),
    [
        ("POST", "videos", {"json": {}}, 400, "invalid_request"),
        ("POST", "videos", {"json": []}, 400, "invalid_json"),
        ("POST", "videos", {"json": {**SMALL, "seconds": 99}}, 400, "invalid_request"),
        ("POST", "videos", {"data": "{", "headers": {"Content-Type": "application/json"}}, 400, "invalid_json"),
        ("POST", "videos", {"data": b"x" * 100}, 415, "unsupported_media_type"),
        ("POST", "videos", {"data": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400, "invalid_request"),
        ("POST", "videos", {"files": {"prompt": ("a.txt", b"a boat")}}, 400, "invalid_request"),
        ("POST", "videos", {"data": b" " * 30_000_000, "headers": {"Content-Type": "application/json"}}, 413, "body_too_large"),
        ("POST", "videos", {"json": SMALL, "headers": {"Idempotency-Key": "ü"}}, 400, "invalid_request"),
        ("GET", "videos?limit=0", {}, 400, "invalid_request"),
        ("GET", "videos?limit=101", {}, 400, "invalid_request"),
        ("GET", "videos?order=up", {}, 400, "invalid_request"),
        ("GET", "videos?after=video_1", {}, 400, "invalid_request"),
        ("GET", "videos/video_123", {}, 404, "not_found"),
        ("GET", "videos/..%2F..%2Fx", {}, 404, "not_found"),
        ("GET", "videos/job_00000000000000000000000000", {}, 404, "not_found"),
        ("POST", "videos/job_00000000000000000000000000/remix", {"json": {"prompt": "x"}}, 404, "unknown_url"),
        ("GET", "models/sora", {}, 404, "unknown_url"),
        ("PUT", "chat/completions", {}, 404, "unknown_url"),
    ],
)  # fmt: skip
def test_bad_input_is_an_error_in_openais_shape_and_nothing_is_left(
    api: OpenAiApi, method: str, path: str, arguments: dict[str, Any], status: int, code: str
) -> None:
    made = api.made()
    answer = api.send(method, path, **arguments)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["type"]) == (status, code, "invalid_request_error"), (
        error
    )
    assert set(error) == {"message", "type", "param", "code"}
    assert api.made() == made


def beside_the_default(api: OpenAiApi, **entry: Any) -> Backends:
    environment = environment_for(
        api.simulator, "azure-sora", VIDEO_BACKENDS=json.dumps([entry]), OPENROUTER_API_KEY=API_KEY
    )
    return Backends(Settings.from_environment(environment))


def test_the_package_asks_for_what_the_job_api_knows_and_the_job_has_it(
    api: OpenAiApi, use_services: UseServices
) -> None:
    rented = {"name": "rented", "dialect": "openrouter", "base_url": f"{api.simulator.url}/api/v1"}
    origins = [api.simulator.signed_origin]
    backends = beside_the_default(api, **rented, download_origins=origins)
    use_services(wiring.get_services()._replace(backends=backends))
    asked = {"backend": "rented", "aspect_ratio": "9:16", "resolution": "720p", "audio": True, "seed": 7}
    objects = {"options": {"provider": {"order": ["one"], "only": None}}, "metadata": {"scene": "12"}}
    texts = {name: json.dumps(value) for name, value in objects.items()}  # the package sends a form
    video = api.client().videos.create(prompt="a boat", seconds="4", extra_body={**asked, **texts})
    assert api.client().videos.poll(video.id, poll_interval_ms=100).status == "completed"
    [made] = [each for each in api.simulator.world.everything() if each.order.given.get("seed") == 7]
    given = made.order.given
    assert given["generate_audio"] is True
    assert given["provider"] == objects["options"]["provider"]
    job = wiring.get_services().jobs.get("alice", video.id).job
    assert job.metadata == objects["metadata"]
    with pytest.raises(openai.BadRequestError, match="an object in a form as JSON text") as error:
        api.client().videos.create(prompt="a boat", extra_body={"options": objects["options"]})
    assert error.value.param == "options"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("generate_audio", True), ("audio", False), ("seed", 7), ("negative_prompt", "people")),
        *(("aspect_ratio", "9:16"), ("resolution", "4K"), ("options", '{"a": 1}'), ("variants", 2)),
        *((name, "https://example.test/a.png") for name in ("last_frame", "last_image", "end_image")),
        *((name, ["https://example.test/a.png"]) for name in ("reference_images", "input_references")),
        *(("backend", "third"), ("webhook_url", "http://127.0.0.1/")),
    ],
)
def test_what_can_not_be_made_is_refused_under_the_name_that_the_client_sent(
    api: OpenAiApi, field: str, value: Any
) -> None:
    made = api.made()
    with pytest.raises(openai.BadRequestError, match=field) as error:
        api.client().videos.create(**SMALL, extra_body={field: value})
    assert error.value.param == field
    assert api.made() == made


@pytest.mark.parametrize("name", ["input_reference", "input_image", "image", "first_frame"])
def test_an_image_of_another_size_is_refused_under_the_name_that_the_client_sent(
    api: OpenAiApi, use_services: UseServices, name: str
) -> None:
    backends = beside_the_default(api, name="gpu", dialect="openai-videos", base_url=api.url, model="wan")
    use_services(wiring.get_services()._replace(backends=backends, images=Picture(a_picture())))
    body = {"prompt": "a boat", "model": "gpu", name: {"image_url": "https://example.test/a.png"}}
    error = api.send("POST", "videos", json=body).json()["error"]
    assert error["param"] == name
    assert error["message"].startswith(f"{name}: is ")
    assert "it must have the video's size" in error["message"]


def test_an_image_that_the_model_needs_is_asked_for_under_openais_name(
    api: OpenAiApi, use_services: UseServices
) -> None:
    entry = {"name": "rented", "dialect": "runway", "model": "gen4_turbo", "base_url": api.url}
    backends = beside_the_default(api, **entry, api_key_setting="OPENROUTER_API_KEY")
    use_services(wiring.get_services()._replace(backends=backends))
    with pytest.raises(openai.BadRequestError, match="input_reference: is missing") as error:
        api.client().videos.create(prompt="a boat", model="rented")
    assert error.value.param == "input_reference"


def test_null_is_as_good_as_left_out_and_the_same_request(api: OpenAiApi) -> None:
    headers = {"Idempotency-Key": a_name("key")}
    nulls = dict.fromkeys(["model", "input_reference", "seed", "metadata", "options", "user"])
    answers = [api.send("POST", "videos", json={**SMALL, **more}, headers=headers) for more in ({}, nulls)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert len({answer.json()["id"] for answer in answers}) == 1


def test_an_idempotency_key_stands_for_one_video_and_another_body_is_not_repeated(api: OpenAiApi) -> None:
    key = {"Idempotency-Key": "once"}
    first, again = (api.client().videos.create(**SMALL, extra_headers=key) for _ in range(2))
    assert first.id == again.id
    with pytest.raises(openai.ConflictError) as error:
        api.client(max_retries=2).videos.create(**{**SMALL, "prompt": "another"}, extra_headers=key)
    assert error.value.code == "idempotency_key_reused"
    assert error.value.response.request.headers["x-stainless-retry-count"] == "0"


# --- large bodies --------------------------------------------------------------------------------


class SlowHost:
    """See `ports.ImageSource`: an address that gives nothing until it is told to."""

    def __init__(self) -> None:
        self.asked, self.go_on = threading.Event(), threading.Event()

    def fetch(self, address: str, most_bytes: int, seconds: float) -> bytes:
        self.asked.set()
        self.go_on.wait(60)
        raise NotFetched("its host gave no answer")


@pytest.mark.parametrize("path", ["jobs", "v1/videos"])
def test_a_large_body_waits_for_no_other_whose_image_is_at_a_slow_host(
    api: OpenAiApi, use_services: UseServices, path: str
) -> None:
    host = SlowHost()
    use_services(wiring.get_services()._replace(images=host))
    padding = " " * (1 << 20)

    def send(**fields: Any) -> requests.Response:
        body = json.dumps({**SMALL, **fields}) + padding
        headers = {"Authorization": f"Bearer {ALICE}", "Content-Type": "application/json"}
        return requests.post(f"{api.api}/{path}", data=body, headers=headers, timeout=90)

    with ThreadPoolExecutor() as pool:
        slow = pool.submit(send, input_image="https://example.test/a.png")
        try:
            assert host.asked.wait(30)
            assert pool.submit(send).result(30).ok
        finally:
            host.go_on.set()
        assert slow.result(60).status_code == 400


@dataclass(frozen=True)
class Picture:
    """See `ports.ImageSource`: every address has this picture."""

    content: bytes

    def fetch(self, address: str, most_bytes: int, seconds: float) -> bytes:
        return self.content


class FullFetch:
    """See `ports.ImageSource`: others have taken every turn."""

    def fetch(self, address: str, most_bytes: int, seconds: float) -> bytes:
        raise TooManyFetched("Too many images are being fetched right now.")


@pytest.mark.parametrize("path", ["jobs", "v1/videos"])
def test_an_image_that_gets_no_turn_is_503_and_the_same_request_makes_the_video_later(
    api: OpenAiApi, use_services: UseServices, path: str
) -> None:
    made, services = api.made(), wiring.get_services()
    headers = {"Authorization": f"Bearer {ALICE}", "Idempotency-Key": a_name("key")}
    body = {**SMALL, "input_image": "https://example.test/a.png"}

    def send() -> requests.Response:
        return requests.post(f"{api.api}/{path}", json=body, headers=headers, timeout=30)

    use_services(services._replace(images=FullFetch()))
    answer = send()
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    assert '"code":"busy"' in answer.text
    assert api.made() == made
    use_services(services._replace(images=Picture(a_picture())))
    assert send().ok
    assert until(lambda: api.made() == made + 1)


# --- sent again ----------------------------------------------------------------------------------


class Cutting:
    """A proxy that passes every request on, and cuts the connection of the first one in place of an answer."""

    def __init__(self, url: str, *, wait_for_the_answer: bool) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 0)
        self._wait = wait_for_the_answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}{parts.path}"
        self.requests = 0
        self._pool = ThreadPoolExecutor()

    def __enter__(self) -> Cutting:
        self._pool.submit(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._pool.shutdown()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.requests += 1
                self._pool.submit(self._serve, client, cut=self.requests == 1)

    def _serve(self, client: socket.socket, *, cut: bool) -> None:
        with client, socket.create_connection(self._address) as server:
            request = _whole(client).replace(b"Connection: keep-alive", b"Connection: close")
            server.sendall(request)
            if cut and not self._wait:
                client.shutdown(socket.SHUT_RDWR)
            answer = b"".join(iter(lambda: server.recv(65536), b""))
            if not cut:
                client.sendall(answer)


def _whole(connection: socket.socket) -> bytes:
    said = b""
    while b"\r\n\r\n" not in said:
        said += connection.recv(65536)
    head, _, body = said.partition(b"\r\n\r\n")
    lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    while len(body) < int(lines.get(b"content-length", b"0")):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@pytest.mark.parametrize("wait_for_the_answer", [True, False])
def test_a_request_that_the_package_repeats_after_a_cut_connection_is_paid_once(
    api: OpenAiApi, wait_for_the_answer: bool
) -> None:
    body = {**SMALL, "prompt": f"a boat, cut {wait_for_the_answer}"}
    if not wait_for_the_answer:  # the first one is still at it when the repeat comes
        api.simulator.faults.add([Fault.read({"operation": "create", "delay": 1.5})])
    made = api.made()
    with Cutting(api.url, wait_for_the_answer=wait_for_the_answer) as proxy:
        video = api.client(base_url=proxy.url, max_retries=2).videos.create(**body)
        assert proxy.requests == 2
    assert [seen.id for seen in api.client().videos.list() if seen.prompt == body["prompt"]] == [video.id]
    assert api.made() == made + 1
    another = api.client().videos.create(**body)
    assert another.id != video.id
    assert api.made() == made + 2
