"""The whole app as a client meets it: over HTTP, on the function host, Azurite and the simulated video API."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import UpdateMode
from azure.storage.queue import (
    QueueClient,
    QueueServiceClient,
    TextBase64DecodePolicy,
    TextBase64EncodePolicy,
)
from PIL import Image
from standardwebhooks.webhooks import Webhook as Verifier

from local.azurite_process import Azurite
from local.function_host.host import FunctionHost
from local.simulator.faults import Fault
from local.simulator.server import Simulator
from sweep_jobs.poison import sweep_poison
from tests.functional.storage_adapters import a_name
from tests.pipeline import UseServices
from tests.principals import header
from tests.receiver import SECRET
from tests.whole_app import running_app
from video_jobs import wiring
from video_jobs.settings.sign_in import SignIn
from video_jobs.storage.connection import StorageServices, connect
from video_jobs.storage.jobs import JOBS_TABLE

ROOT = Path(__file__).resolve().parents[2]
SMALL = {"prompt": "a paper boat", "size": "480x480", "seconds": 1}
TERMINAL = {"succeeded", "failed", "cancelled", "expired"}


class Client:
    def __init__(self, host: FunctionHost, simulator: Simulator, azurite: Azurite) -> None:
        self.api = f"{host.url}/api"
        self.simulator = simulator
        self.azurite = azurite
        self.host = host

    def post(self, body: Any = None, **arguments: Any) -> requests.Response:
        if body is not None:
            arguments["json"] = body
        return requests.post(f"{self.api}/jobs", timeout=30, **arguments)

    def get(self, path: str, **arguments: Any) -> requests.Response:
        return self.send("GET", path, **arguments)

    def send(self, method: str, path: str, **arguments: Any) -> requests.Response:
        return requests.request(method, f"{self.api}/{path}", timeout=30, **arguments)

    def wait(self, job_id: str) -> dict[str, Any]:
        deadline = time.monotonic() + 60
        while True:
            job: dict[str, Any] = self.get(f"jobs/{job_id}").json()
            if job["status"] in TERMINAL:
                return job
            assert time.monotonic() < deadline, job
            time.sleep(0.1)  # as a client polls


@pytest.fixture(scope="module")
def client(azurite: Azurite) -> Iterator[Client]:
    with Simulator(api_key="sim-key", speed=30, running_limit=None) as simulator:
        second = {
            "name": "second",
            "dialect": "openai-videos",
            "base_url": f"{simulator.url}/v1",
            "model": "sora-2",
            "api_key_setting": "SECOND_KEY",
        }
        changes = {
            "VIDEO_RUNNING_LIMIT": "0",
            "VIDEO_BACKENDS": json.dumps([second]),
            "SECOND_KEY": "sim-key",
            "WEBHOOK_ALLOW_HTTP_LOOPBACK": "true",
        }
        with running_app(azurite, simulator, **changes) as host:
            requests.get(f"{host.url}/api/health", timeout=30)  # which makes tables and containers
            yield Client(host, simulator, azurite)


@pytest.fixture(scope="module")
def done(client: Client) -> dict[str, Any]:
    """A job of two variants that succeeded."""
    answer = client.post({**SMALL, "variants": 2, "metadata": {"scene": "1"}})
    assert answer.status_code == 202, answer.text
    return client.wait(answer.json()["id"])


def test_submitting_answers_202_with_where_and_when_to_look(client: Client) -> None:
    answer = client.post(SMALL)
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == f"/api/jobs/{job['id']}"
    assert int(answer.headers["retry-after"]) > 0
    assert job["status"] == "queued"
    again = requests.get(client.host.url + answer.headers["location"], timeout=10)
    assert again.status_code == 200
    assert again.json()["id"] == job["id"]
    assert int(again.headers["retry-after"]) > 0
    assert client.wait(job["id"])["status"] == "succeeded"


def test_each_stored_video_carries_what_a_client_needs(client: Client, done: dict[str, Any]) -> None:
    assert done["status"] == "succeeded"
    assert done["metadata"] == {"scene": "1"}
    assert [video["index"] for video in done["videos"]] == [0, 1]
    for video in done["videos"]:
        content = requests.get(video["url"], timeout=10).content
        assert len(content) == video["length"]
        assert hashlib.sha256(content).hexdigest() == video["sha256"]
        assert (video["width"], video["height"], video["duration_seconds"]) == (480, 480, 1.0)
        assert video["url_expires_at"].endswith("Z")
        still = Image.open(io.BytesIO(requests.get(video["thumbnail_url"], timeout=10).content))
        assert still.width > 0
    assert "Retry-After" not in client.get(f"jobs/{done['id']}").headers


def test_a_job_that_the_client_has_already_is_304(client: Client, done: dict[str, Any]) -> None:
    path = f"jobs/{done['id']}"
    answer = client.get(path)
    etag = answer.headers["etag"]
    assert answer.headers["cache-control"] == "private, no-cache"
    for named in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = client.get(path, headers={"If-None-Match": named})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
        assert "Retry-After" not in again.headers
    whole = client.get(path, headers={"If-None-Match": '"other", nonsense'})
    assert (whole.status_code, whole.headers["etag"]) == (200, etag)


def test_a_client_that_waits_is_answered_when_the_job_changes(client: Client) -> None:
    job = client.post(SMALL).json()
    path, etag, statuses = f"jobs/{job['id']}", "", []
    while not statuses or statuses[-1] not in TERMINAL:
        answer = client.get(path, params={"wait": "25"}, headers={"If-None-Match": etag} if etag else {})
        if answer.status_code == 304:
            assert int(answer.headers["retry-after"]) >= 1
            continue
        assert answer.status_code == 200, answer.text
        etag, status = answer.headers["etag"], answer.json()["status"]
        statuses.append(status)
        assert ("Retry-After" in answer.headers) == (status not in TERMINAL)
    assert statuses[-1] == "succeeded"
    assert len(statuses) < 30, "each answer told something new"


def test_a_video_and_its_thumbnail_are_redirects_to_signed_urls(client: Client, done: dict[str, Any]) -> None:
    for path, kind in (("videos/1", "video/mp4"), ("videos/1/thumbnail", "image/jpeg")):
        answer = client.get(f"jobs/{done['id']}/{path}", allow_redirects=False)
        assert answer.status_code == 303
        assert answer.content == b""
        assert client.azurite.blob_endpoint in answer.headers["location"]
        assert requests.get(answer.headers["location"], timeout=10).headers["content-type"] == kind


def test_a_video_that_is_not_stored_yet_is_404_with_a_retry_after(client: Client) -> None:
    client.simulator.world.change({"run_seconds": 100_000})
    try:
        job = client.post({**SMALL, "backend": "second", "size": "720x1280", "seconds": 4}).json()
    finally:
        client.simulator.world.change({"run_seconds": 30})
    answer = client.get(f"jobs/{job['id']}/videos/0")
    assert (answer.status_code, answer.json()["code"]) == (404, "video_not_stored")
    assert int(answer.headers["retry-after"]) > 0
    assert client.get(f"jobs/{job['id']}/videos/1").status_code == 404
    client.simulator.world.delete(client.simulator.world.everything()[-1])


def test_an_image_is_taken_as_multipart_and_as_a_data_url(client: Client) -> None:
    content = io.BytesIO()
    Image.new("RGB", (480, 480), "teal").save(content, "PNG")
    files = {"input_image": ("boat.png", content.getvalue(), "image/png")}
    form = {"prompt": "a paper boat", "seconds": "1", "metadata": '{"a": "b"}'}
    by_form = client.post(data=form, files=files)
    assert by_form.status_code == 202, by_form.text
    url = "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
    by_json = client.post({**SMALL, "input_image": url})
    assert by_json.status_code == 202, by_json.text
    for job in (by_form.json(), by_json.json()):
        assert job["input_image"]["content_type"] == "image/png"
        assert (job["input_image"]["width"], job["input_image"]["length"]) == (480, len(content.getvalue()))
        assert client.wait(job["id"])["status"] == "succeeded"
    assert by_form.json()["metadata"] == {"a": "b"}


def test_the_same_key_gives_the_same_job_and_another_body_409(client: Client) -> None:
    headers = {"Idempotency-Key": "b1f0"}
    first, again = (client.post(SMALL, headers=headers) for _ in range(2))
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["id"] == again.json()["id"]
    other = client.post({**SMALL, "seconds": 2}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")


def test_a_refusal_of_the_backend_is_422_with_its_code_and_the_failed_job(client: Client) -> None:
    headers = {"Idempotency-Key": "refused"}
    for _ in range(2):
        answer = client.post({**SMALL, "prompt": "a rejected-prompt"}, headers=headers)
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (422, "moderation_blocked")
        assert answer.headers["content-type"] == "application/problem+json"
        assert problem["backend_code"]
        assert client.get(f"jobs/{problem['job']['id']}").json()["status"] == "failed"


def test_the_list_is_newest_first_and_goes_on_by_cursor(client: Client, done: dict[str, Any]) -> None:
    newest = client.post(SMALL).json()["id"]
    client.wait(newest)
    seen, cursor = [], None
    while True:
        page = client.get("jobs", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        assert len(page["jobs"]) <= 2
        seen += [job["id"] for job in page["jobs"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen[0] == newest
    assert seen == sorted(set(seen))
    assert done["id"] in seen
    succeeded = client.get("jobs", params={"status": "succeeded", "limit": 100}).json()["jobs"]
    assert {job["status"] for job in succeeded} == {"succeeded"}
    assert all(video["url"] for job in succeeded for video in job["videos"])


def test_a_list_without_urls_is_packed_and_sent_only_where_it_has_changed(
    client: Client, done: dict[str, Any]
) -> None:
    query = {"limit": 100, "urls": "false"}
    first = client.get("jobs", params=query)
    assert first.headers["content-encoding"] == "gzip"
    videos = [video for job in first.json()["jobs"] for video in job["videos"]]
    assert videos
    assert all(video["url"] is None and video["download_url"] is None for video in videos)
    again = client.get("jobs", params=query, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    client.post({**SMALL, "prompt": "another boat"})
    changed = client.get("jobs", params=query, headers={"If-None-Match": first.headers["etag"]})
    assert changed.status_code == 200
    assert client.get("jobs", params={"urls": "perhaps"}).json()["code"] == "invalid_request"


def test_a_video_is_saved_under_the_words_of_its_prompt(client: Client, done: dict[str, Any]) -> None:
    saved = requests.get(done["videos"][0]["download_url"], timeout=10)
    named = saved.headers["content-disposition"]
    assert named == f'attachment; filename="a-paper-boat-{done["id"][-6:]}-1.mp4"'


def test_a_jobs_image_can_be_had_again(client: Client) -> None:
    content = io.BytesIO()
    Image.new("RGB", (480, 480), "teal").save(content, "PNG")
    image = content.getvalue()
    job = client.post(
        data={"prompt": "it comes to life"}, files={"input_image": ("boat.png", image, "image/png")}
    ).json()
    answer = client.get(f"jobs/{job['id']}/image")
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, "image/png", image)
    without = client.post(SMALL).json()
    assert client.get(f"jobs/{without['id']}/image").json()["code"] == "no_image"


def test_the_options_name_each_backend_and_what_its_model_makes(client: Client) -> None:
    answer = client.get("options")
    assert answer.status_code == 200
    first, second = answer.json()["backends"]
    assert (first["name"], first["dialect"], first["default_size"]) == ("default", "azure-sora", "480x480")
    assert {"size": "1920x1080", "seconds": list(range(1, 11)), "variants": 1} in first["sizes"]
    assert (second["name"], second["model"], second["default_seconds"]) == ("second", "sora-2", 4)
    assert {"size": "1280x720", "seconds": [4, 8, 12], "variants": 1} in second["sizes"]


def test_health_is_200_when_all_is_well(client: Client) -> None:
    answer = client.get("health")
    assert (answer.status_code, answer.json()) == (200, {"status": "healthy"})


def test_unusable_settings_are_503_with_every_reason(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    with wiring.use(None):
        monkeypatch.setenv("AZURE_OPENAI_DEPLOYMENT", "")
        monkeypatch.setenv("VIDEO_FETCH_DEADLINE_SECONDS", "soon")
        health = client.get("health")
        assert health.status_code == 503
        reasons = " ".join(health.json()["reasons"])
        assert "AZURE_OPENAI_DEPLOYMENT" in reasons
        assert "VIDEO_FETCH_DEADLINE_SECONDS" in reasons
        submit = client.post(SMALL)
        assert (submit.status_code, submit.json()["code"]) == (503, "misconfigured")
    assert client.get("health").status_code == 200


def test_storage_that_is_away_is_503_with_the_reason(
    client: Client, monkeypatch: pytest.MonkeyPatch, use_services: UseServices
) -> None:
    away = client.azurite.connection_string.replace(client.azurite.table_endpoint, "http://127.0.0.1:9/x")
    use_services(None)
    monkeypatch.setenv("AzureWebJobsStorage", away)
    monkeypatch.setattr("video_jobs.storage.connection._TIMEOUTS", {"retry_total": 0})
    health = client.get("health")
    assert (health.status_code, health.json()["code"]) == (503, "unhealthy")
    assert "could not be reached" in health.json()["reasons"][0]
    submit = client.post(SMALL)
    assert (submit.status_code, submit.json()["code"]) == (503, "storage_unavailable")


def test_a_request_that_needs_a_damaged_row_is_told_which_and_pays_nothing(
    client: Client, real_services: StorageServices
) -> None:
    key = {"Idempotency-Key": a_name("damaged")}
    job_id = client.post(SMALL, headers=key).json()["id"]
    backend_job_id = client.wait(job_id)["backend_job_id"]
    table = real_services.tables.get_table_client(JOBS_TABLE)
    [row] = table.query_entities("job_id eq @job_id", parameters={"job_id": job_id})
    for damaged in (dict(row), dict(table.get_entity(row["PartitionKey"], job_id))):
        del damaged["request_hash" if "request_hash" in damaged else "status"]
        table.upsert_entity(damaged, mode=UpdateMode.REPLACE)
    before = len(client.simulator.world.ledger.calls())
    for answer in (client.post(SMALL, headers=key), client.get(f"jobs/{job_id}")):
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (500, "unreadable_row")
        assert row["PartitionKey"] in problem["detail"]
        assert "mend or delete" in problem["detail"]
    # Jobs of other tests may still be polled.
    calls = client.simulator.world.ledger.calls()[before:]
    assert [call for call in calls if call["operation"] == "create" or call["job_id"] == backend_job_id] == []
    table.delete_entity(row["PartitionKey"], job_id)
    table.delete_entity(row["PartitionKey"], row["RowKey"])


def data_url(content: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


BAD_BODIES: dict[str, tuple[dict[str, Any], str]] = {
    "no prompt": ({}, "prompt"),
    "an empty prompt": ({"prompt": ""}, "prompt"),
    "a blank prompt": ({"prompt": " \n "}, "prompt"),
    "a huge prompt": ({"prompt": "x" * 32_001}, "prompt"),
    "a prompt of too many units": ({"prompt": "\U0001f3ac" * 16_001}, "prompt"),
    "a prompt that is no text": ({"prompt": ["x"]}, "prompt"),
    "half a surrogate": ({"prompt": "\ud800"}, "prompt"),
    "control characters": ({"prompt": "a\x00b"}, "prompt"),
    "a size that is none": ({"prompt": "x", "size": "big"}, "size"),
    "a size that the model lacks": ({"prompt": "x", "size": "481x480"}, "size"),
    "no seconds": ({"prompt": "x", "seconds": 0}, "seconds"),
    "too many seconds": ({"prompt": "x", "seconds": 21}, "seconds"),
    "too many seconds for the size": ({"prompt": "x", "size": "1920x1080", "seconds": 11}, "seconds"),
    "half a second": ({"prompt": "x", "seconds": 1.5}, "seconds"),
    "seconds as a truth": ({"prompt": "x", "seconds": True}, "seconds"),
    "too many variants": ({"prompt": "x", "size": "1280x720", "variants": 3}, "variants"),
    "negative variants": ({"prompt": "x", "variants": -1}, "variants"),
    "an unknown field": ({"prompt": "x", "promt": "y"}, "promt"),
    "an unknown backend": ({"prompt": "x", "backend": "nowhere"}, "backend"),
    "metadata that is no text": ({"prompt": "x", "metadata": {"a": 1}}, "metadata.a"),
    "too much metadata": ({"prompt": "x", "metadata": {str(n): "" for n in range(17)}}, "metadata"),
    "an image that is text": ({"prompt": "x", "input_image": data_url(b"hello")}, "input_image"),
    "an image that is cut": ({"prompt": "x", "input_image": data_url(b"\x89PNG\r\n\x1a\n")}, "input_image"),
    "an image that is no data URL": ({"prompt": "x", "input_image": "https://x/y.png"}, "input_image"),
    "an image in bad base64": ({"prompt": "x", "input_image": "data:image/png;base64,@@"}, "input_image"),
    "an image of the wrong size": (
        {"prompt": "x", "backend": "second", "input_image": "PNG480"},
        "input_image",
    ),
}


@pytest.mark.promise("I10")
@pytest.mark.parametrize("what", BAD_BODIES)
def test_bad_input_gets_a_clear_problem_and_leaves_nothing(client: Client, what: str) -> None:
    body, field = BAD_BODIES[what]
    if body.get("input_image") == "PNG480":
        content = io.BytesIO()
        Image.new("RGB", (480, 480)).save(content, "PNG")
        body = {**body, "input_image": data_url(content.getvalue())}
    before = everything_stored(client)
    answer = client.post(data=json.dumps(body), headers={"Content-Type": "application/json"})
    assert_refused_for(answer, field)
    assert not everything_stored(client) - before


def assert_refused_for(answer: requests.Response, field: str) -> None:
    problem = answer.json()
    assert (answer.status_code, problem["status"]) == (400, 400), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["field"] for error in problem["errors"]] == [field]
    assert problem["errors"][0]["message"]


BAD_REQUESTS: dict[str, tuple[dict[str, Any], int, str]] = {
    "broken JSON": ({"data": "{", "headers": {"Content-Type": "application/json"}}, 400, "invalid_json"),
    "a list": ({"json": [1]}, 400, "invalid_json"),
    "deep nesting": (
        {"data": "[" * 100_000, "headers": {"Content-Type": "application/json"}},
        400,
        "invalid_json",
    ),
    "no content type": ({"data": b"{}"}, 415, "unsupported_media_type"),
    "a wrong content type": (
        {"data": b"x", "headers": {"Content-Type": "text/plain"}},
        415,
        "unsupported_media_type",
    ),
    "too many bytes": (
        {"data": b"x" * (29 << 20), "headers": {"Content-Type": "application/json"}},
        413,
        "body_too_large",
    ),
    "a broken form": (
        {"data": b"--x\r\nnonsense", "headers": {"Content-Type": "multipart/form-data; boundary=x"}},
        400,
        "invalid_request",
    ),
    "a form without a boundary": (
        {"data": b"--x", "headers": {"Content-Type": "multipart/form-data"}},
        400,
        "invalid_request",
    ),
    "a text file as an image": (
        {"data": {"prompt": "x"}, "files": {"input_image": ("a.png", b"hello", "image/png")}},
        400,
        "invalid_request",
    ),
    "a strange file": (
        {"data": {"prompt": "x"}, "files": {"other": ("a.png", b"hello", "image/png")}},
        400,
        "invalid_request",
    ),
    "an empty key": ({"json": SMALL, "headers": {"Idempotency-Key": ""}}, 400, "invalid_request"),
    "a huge key": ({"json": SMALL, "headers": {"Idempotency-Key": "k" * 256}}, 400, "invalid_request"),
}


@pytest.mark.promise("I10")
@pytest.mark.parametrize("what", BAD_REQUESTS)
def test_a_request_that_is_malformed_is_refused_and_leaves_nothing(client: Client, what: str) -> None:
    arguments, status, code = BAD_REQUESTS[what]
    before = everything_stored(client)
    answer = client.post(**arguments)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.json()["detail"]
    assert not everything_stored(client) - before


def part(name: str, content: bytes, extra: str = "") -> bytes:
    return f'--x\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'.encode() + content + b"\r\n"


FORM = "multipart/form-data; boundary=x"
END = b"--x--\r\n"

HOSTILE_FORMS: dict[str, tuple[bytes, str]] = {
    "no parts": (END, "body"),
    "no boundary": (b"prompt=x", "body"),
    "an unended form": (part("prompt", b"x")[:-2], "body"),
    "a name that is no text": (
        b'--x\r\nContent-Disposition: form-data; name="\xff\xfe"\r\n\r\n' + part("prompt", b"x") + END,
        "body",
    ),
    "a thousand parts": (b"".join(part(f"f{n}", b"x") for n in range(1000)) + END, "prompt"),
    "a field of a megabyte": (part("prompt", b"x" * (1 << 20)) + END, "prompt"),
    "a name of a megabyte": (part("n" * (1 << 20), b"x") + END, "body"),
    "a name with quotes and breaks": (part('a%22%0d%0aX-Evil: 1"; b="', b"x") + END, "prompt"),
    "bytes that are no text": (part("prompt", b"\xff\xfe\x00") + END, "prompt"),
    "a file where a field belongs": (part("prompt", b"x", '; filename="a.txt"') + END, "prompt"),
    "a field where a file belongs": (part("prompt", b"x") + part("input_image", b"x") + END, "input_image"),
    "a path as a file name": (
        part("prompt", b"x") + part("input_image", b"x", '; filename="../../etc/passwd"') + END,
        "input_image",
    ),
    "metadata that is no JSON": (part("prompt", b"x") + part("metadata", b"{") + END, "metadata"),
    "metadata that is deep": (part("prompt", b"x") + part("metadata", b"[" * 100_000) + END, "metadata"),
}


@pytest.mark.parametrize("what", HOSTILE_FORMS)
def test_a_hostile_form_is_refused_and_leaves_nothing(client: Client, what: str) -> None:
    body, field = HOSTILE_FORMS[what]
    before = everything_stored(client)
    answer = client.post(data=body, headers={"Content-Type": FORM})
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    fields = [error["field"] for error in answer.json()["errors"]]
    assert field in fields, answer.text[:500]
    assert len(answer.content) < 100_000, "what came in does not go out again"
    assert not everything_stored(client) - before


HOSTILE_HEADERS: dict[str, tuple[dict[str, str], int]] = {
    "a content type of 30 KB": ({"Content-Type": "application/json" + ";a=b" * 7_500}, 400),
    "a content type of nonsense": ({"Content-Type": "\xff/\xff"}, 415),
    "a boundary of 30 KB": ({"Content-Type": "multipart/form-data; boundary=" + "x" * 30_000}, 400),
    "a boundary of nothing": ({"Content-Type": "multipart/form-data; boundary="}, 400),
    "an idempotency key of 30 KB": ({"Idempotency-Key": "k" * 30_000}, 400),
    "an idempotency key beyond ASCII": ({"Idempotency-Key": "\xe4"}, 400),
    "an idempotency key with a space": ({"Idempotency-Key": "a b"}, 400),
}


@pytest.mark.parametrize("what", HOSTILE_HEADERS)
def test_a_hostile_header_is_refused_and_leaves_nothing(client: Client, what: str) -> None:
    headers, status = HOSTILE_HEADERS[what]
    before = everything_stored(client)
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = client.post(data=b"{}", headers={b"Content-Type": b"application/json"} | encoded)
    assert answer.status_code == status, answer.text[:500]
    assert answer.headers["content-type"] == "application/problem+json"
    assert not everything_stored(client) - before


@pytest.mark.parametrize(
    "named",
    ['"' * 30_000, "W/" * 15_000, '"a",' * 7_500, "\xff", '"\xe4"'],
    ids=["quotes", "weak", "list", "byte", "tag"],
)
def test_a_hostile_if_none_match_names_nothing(client: Client, done: dict[str, Any], named: str) -> None:
    answer = client.get(f"jobs/{done['id']}", headers={"If-None-Match": named.encode("latin-1")})
    assert (answer.status_code, answer.json()["id"]) == (200, done["id"])


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("jobs?cursor=" + "A" * 8_000, 400),
        ("jobs?cursor=" + "%F0%9F%8E%AC" * 600, 400),
        ("jobs?cursor=" + "%00", 400),
        ("jobs?cursor=a&cursor=b", 400),
        ("jobs?status=" + "queued," * 1000, 200),
        ("jobs?status=queued%00", 400),
        ("jobs?limit=1&limit=2", 400),
        ("jobs?limit=%D9%A3", 400),
        ("jobs?limit=1e1", 400),
        ("jobs?" + "&".join(f"a{n}=b" for n in range(1000)), 200),
        ("jobs/" + "x" * 8_000, 400),
        ("jobs/%2e%2e%2fbackends", 400),
        ("jobs/job_" + "0" * 26 + "/videos/" + "9" * 8_000, 404),
        ("jobs/job_" + "0" * 26 + "?wait=" + "9" * 8_000, 400),
        ("jobs/job_" + "0" * 26 + "?wait=1&wait=1", 400),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_hostile_url_is_answered_with_words(client: Client, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status_code == status, answer.text[:500]
    assert len(answer.content) < 100_000
    if status != 200:
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "OPTIONS", "HEAD", "TRACE", "QUERY", "NONSENSE"])
def test_a_method_that_no_function_has_is_404_from_the_host_itself(client: Client, method: str) -> None:
    for path in ("jobs", "jobs/import", "health", "openapi.json", "reference"):
        answer = client.send(method, path)
        assert (answer.status_code, answer.content) == (404, b"")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("jobs/nonsense", 400, "invalid_job_id"),
        ("jobs/job_" + "0" * 27, 400, "invalid_job_id"),
        ("jobs/job_" + "0" * 25 + "%2F", 400, "invalid_job_id"),
        ("jobs/job_" + "0" * 26, 404, "job_not_found"),
        ("jobs/job_" + "0" * 26 + "/videos/0", 404, "job_not_found"),
        ("jobs/job_" + "0" * 26 + "?wait=26", 400, "invalid_request"),
        ("jobs/job_" + "0" * 26 + "?wait=soon", 400, "invalid_request"),
        ("jobs/job_" + "0" * 26 + "?wait=25", 404, "job_not_found"),
        ("jobs/nonsense?wait=25", 400, "invalid_job_id"),
        ("jobs?limit=0", 400, "invalid_request"),
        ("jobs?limit=101", 400, "invalid_request"),
        ("jobs?limit=many", 400, "invalid_request"),
        ("jobs?limit=00000000150", 400, "invalid_request"),
        ("jobs?limit=000000001" + "9" * 4500, 400, "invalid_request"),
        ("jobs?status=done", 400, "invalid_request"),
        ("jobs?day=0001-01-01", 400, "invalid_request"),
        ("jobs?day=9999-12-31", 400, "invalid_request"),
        ("jobs?cursor=nonsense", 400, "invalid_cursor"),
        ("jobs?cursor=%C3%A4", 400, "invalid_cursor"),
    ],
)
def test_what_a_path_or_query_names_wrongly_is_said(
    client: Client, path: str, status: int, code: str
) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


def test_a_cursor_of_another_list_is_refused(client: Client, done: dict[str, Any]) -> None:
    client.wait(client.post(SMALL).json()["id"])
    cursor = client.get("jobs", params={"limit": 1}).json()["next_cursor"]
    assert client.get("jobs", params={"limit": 1, "cursor": cursor}).status_code == 200
    other = client.get("jobs", params={"limit": 1, "cursor": cursor, "status": "failed"})
    assert (other.status_code, other.json()["code"]) == (400, "invalid_cursor")


@pytest.mark.parametrize(("index", "status"), [("x", 400), ("-1", 400), ("2", 404), ("99999", 400)])
def test_a_video_that_is_not_there_is_said(
    client: Client, done: dict[str, Any], index: str, status: int
) -> None:
    assert client.get(f"jobs/{done['id']}/videos/{index}").status_code == status


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"v":1,"owner":"default","job_id":"../../etc"}', "job_id"),
        ('{"v":0,"owner":"default","job_id":"job_00000000000000000000000000"}', "v:"),
        ("not JSON", "not JSON"),
        ('["a list"]', "message"),
    ],
)
@pytest.mark.parametrize("name", ["video-poll", "video-fetch"])
def test_a_malformed_message_is_poisoned_and_dropped_with_its_reason_in_the_log(
    client: Client, caplog: pytest.LogCaptureFixture, name: str, text: str, reason: str
) -> None:
    queues = QueueServiceClient.from_connection_string(client.azurite.connection_string)
    queue = queues.get_queue_client(name, message_encode_policy=TextBase64EncodePolicy())
    poison = queues.get_queue_client(f"{name}-poison", message_decode_policy=TextBase64DecodePolicy())
    caplog.clear()
    queue.send_message(text)
    deadline = time.monotonic() + 30
    while not (said := [r.getMessage() for r in caplog.records if "message.malformed" in r.getMessage()]):
        assert time.monotonic() < deadline, "it was never poisoned"
        sweep_poison(wiring.get_services())
        time.sleep(0.1)
    assert reason in said[0]
    assert "docs/reference/queue-messages.md" in said[0]
    while any(message.content == text for message in (*_messages(queue), *_messages(poison))):
        assert time.monotonic() < deadline, "it was never taken out of its poison queue"
        time.sleep(0.1)


def _messages(queue: QueueClient) -> list[Any]:
    try:
        return list(queue.receive_messages(visibility_timeout=1))
    except ResourceNotFoundError:
        return []


def everything_stored(client: Client) -> set[str]:
    """The ids of the jobs that a row, a live row, a claim or an input image is stored for.

    Ids, as jobs of earlier tests go on meanwhile: their live rows change keys, and their claims are added.
    """
    storage = connect(wiring.Settings.from_environment(os.environ).storage)
    names = list(storage.blobs.get_container_client("inputs").list_blob_names())
    for name in ("videojobs", "livejobs", "videoclaims"):
        rows = storage.tables.get_table_client(name).list_entities(select=["RowKey", "job_id"])
        names += [f"{row['RowKey']} {row.get('job_id')}" for row in rows]
    return {found for name in names for found in re.findall("job_[0-9a-z]+", name)}


# --- owners --------------------------------------------------------------------------------------


def test_who_is_signed_in_has_jobs_of_their_own(client: Client, use_services: UseServices) -> None:
    signed_in = {"X-MS-CLIENT-PRINCIPAL": header(claims={"oid": "ada"})}
    before = client.post(SMALL, headers=signed_in).json()
    use_services(wiring.get_services()._replace(sign_in=SignIn(wanted=True, by_platform=True)))
    mine = client.post(SMALL, headers=signed_in).json()
    assert client.get(f"jobs/{mine['id']}", headers=signed_in).status_code == 200
    assert client.get(f"jobs/{mine['id']}").status_code == 404
    assert client.get(f"jobs/{before['id']}", headers=signed_in).status_code == 404
    assert [job["id"] for job in client.get("jobs", headers=signed_in).json()["jobs"]] == [mine["id"]]
    spoilt = client.get(f"jobs/{before['id']}", headers={"X-MS-CLIENT-PRINCIPAL": "?"})
    assert (spoilt.status_code, spoilt.json()["code"]) == (400, "invalid_sign_in")


# --- cancel, delete, retry, repair ---------------------------------------------------------------


@pytest.fixture
def slow(client: Client) -> Iterator[None]:
    """What is submitted now is generated for hours."""
    client.simulator.world.change({"run_seconds": 100_000})
    yield
    client.simulator.world.change({"run_seconds": 30})


def test_cancel_answers_202_with_the_job_and_the_job_is_stopped(client: Client, slow: None) -> None:
    job = client.post(SMALL).json()
    answer = client.send("POST", f"jobs/{job['id']}/cancel")
    assert (answer.status_code, answer.headers["location"]) == (202, f"/api/jobs/{job['id']}")
    assert answer.json()["cancel_requested_at"].endswith("Z")
    ended = client.wait(job["id"])
    assert (ended["status"], ended["error"], ended["videos"]) == ("cancelled", None, [])
    assert [event["event"] for event in ended["history"]][-2:] == ["cancel_requested", "cancelled"]
    again = client.send("POST", f"jobs/{job['id']}/cancel")
    assert (again.status_code, again.json()["status"]) == (202, "cancelled")
    assert "Retry-After" not in again.headers


def test_cancelling_what_has_succeeded_is_too_late_and_no_error(client: Client, done: dict[str, Any]) -> None:
    answer = client.send("POST", f"jobs/{done['id']}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (202, "succeeded")
    assert answer.json()["cancel_requested_at"] is None


def test_delete_answers_202_and_nobody_sees_the_job_any_more(client: Client) -> None:
    headers = {"Idempotency-Key": "deleted"}
    job = client.wait(client.post(SMALL, headers=headers).json()["id"])
    path = f"jobs/{job['id']}"
    for _ in range(2):
        answer = client.send("DELETE", path)
        assert (answer.status_code, answer.json()) == (202, {"id": job["id"], "deleted": True})
    apis = (
        ("GET", ""),
        ("GET", "/videos/0"),
        ("GET", "/videos/0/thumbnail"),
        ("POST", "/cancel"),
        ("POST", "/retry"),
        ("POST", "/repair"),
        ("POST", "/webhook"),
    )
    for method, api in apis:
        answer = client.send(method, path + api)
        assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found"), api
    assert job["id"] not in client.get("jobs", params={"limit": 100}).text
    imported = client.send("POST", "jobs/import", json={"backend_job_id": job["backend_job_id"]})
    assert (imported.status_code, imported.json()["code"]) == (404, "backend_job_not_found")
    again = client.post(SMALL, headers=headers)
    assert (again.status_code, again.json()["code"]) == (409, "idempotency_key_reused")
    videos = connect(wiring.Settings.from_environment(os.environ).storage).blobs.get_container_client(
        "videos"
    )
    deadline = time.monotonic() + 30
    while list(videos.list_blob_names(name_starts_with=f"default/{job['id']}/")):
        assert time.monotonic() < deadline, "its blobs never went"
        time.sleep(0.1)
    assert requests.get(job["videos"][0]["url"], timeout=10).status_code == 404


def test_retry_answers_202_with_the_new_job_and_ten_clicks_give_one(client: Client) -> None:
    old = client.wait(client.post({**SMALL, "prompt": "a boat, internal-failure"}).json()["id"])
    assert old["status"] == "failed"
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: client.send("POST", f"jobs/{old['id']}/retry"), range(10)))
    assert {answer.status_code for answer in answers} == {202}
    [new_id] = {answer.json()["id"] for answer in answers}
    assert {answer.headers["location"] for answer in answers} == {f"/api/jobs/{new_id}"}
    assert client.wait(new_id)["retry_of"] == old["id"]
    assert client.get(f"jobs/{old['id']}").json()["retried_as"] == new_id


def test_a_job_that_can_not_be_tried_again_is_409(client: Client, done: dict[str, Any]) -> None:
    answer = client.send("POST", f"jobs/{done['id']}/retry")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_retriable")
    assert "succeeded" in answer.json()["detail"]


def test_repair_and_retry_download_now_what_waits_for_its_download(client: Client) -> None:
    for api in ("repair", "retry"):
        client.simulator.faults.add([Fault.read({"operation": "video", "status": 403, "times": 1})])
        job = client.post(SMALL).json()
        deadline = time.monotonic() + 30
        while client.get(f"jobs/{job['id']}").json()["status"] != "pending_download":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        answer = client.send("POST", f"jobs/{job['id']}/{api}")
        assert (answer.status_code, answer.json()["id"]) == (202, job["id"])
        assert client.wait(job["id"])["status"] == "succeeded"


def test_repairing_what_has_ended_changes_nothing(client: Client, done: dict[str, Any]) -> None:
    answer = client.send("POST", f"jobs/{done['id']}/repair")
    assert (answer.status_code, answer.json()["status"]) == (202, "succeeded")
    assert client.get(f"jobs/{done['id']}").json()["updated_at"] == done["updated_at"]


APIS = (
    ("GET", ""),
    ("DELETE", ""),
    ("POST", "/cancel"),
    ("POST", "/retry"),
    ("POST", "/repair"),
    ("POST", "/webhook"),
    ("GET", "/videos/0"),
)


@pytest.mark.parametrize(("method", "api"), APIS)
@pytest.mark.parametrize(
    ("named", "status", "code"),
    [
        ("nonsense", 400, "invalid_job_id"),
        ("job_" + "0" * 25 + "%2F", 400, "invalid_job_id"),
        ("job_" + "u" * 26, 400, "invalid_job_id"),
        ("JOB_" + "0" * 26, 400, "invalid_job_id"),
        ("%00", 400, "invalid_job_id"),
        ("job_" + "0" * 26, 404, "job_not_found"),
    ],
)
def test_every_api_says_what_is_wrong_with_an_id(
    client: Client, method: str, api: str, named: str, status: int, code: str
) -> None:
    answer = client.send(method, f"jobs/{named}{api}")
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.promise("I8")
@pytest.mark.parametrize(("method", "api"), APIS)
def test_every_api_is_404_for_another_owners_job(
    client: Client, done: dict[str, Any], monkeypatch: pytest.MonkeyPatch, method: str, api: str
) -> None:
    monkeypatch.setattr("job_api.blueprint.owner_of", lambda _: "somebody-else")
    answer = client.send(method, f"jobs/{done['id']}{api}")
    missing = client.send(method, f"jobs/job_{'0' * 26}{api}")
    assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")
    assert answer.text.replace(done["id"], "") == missing.text.replace(f"job_{'0' * 26}", "")
    assert done["id"] not in client.get("jobs", params={"limit": 100}).text
    monkeypatch.undo()
    assert client.get(f"jobs/{done['id']}").json()["status"] == "succeeded"


# --- import --------------------------------------------------------------------------------------


def made_elsewhere(client: Client) -> dict[str, Any]:
    """A finished job as somebody made it at the video API's own api, with the key in hand."""
    base = f"{client.simulator.url}/openai/v1/video/generations/jobs"
    asked = {"model": "sora", "prompt": "a paper boat", "width": 480, "height": 480, "n_seconds": 1}
    arguments: dict[str, Any] = {"params": {"api-version": "preview"}, "headers": {"api-key": "sim-key"}}
    made = requests.post(base, json=asked, timeout=10, **arguments).json()
    deadline = time.monotonic() + 30
    while made["status"] != "succeeded":
        assert time.monotonic() < deadline, made
        time.sleep(0.1)
        made = requests.get(f"{base}/{made['id']}", timeout=10, **arguments).json()
    return dict(made)


def test_a_video_that_was_made_elsewhere_is_imported_by_either_id(client: Client) -> None:
    made = made_elsewhere(client)
    body = {"generation_id": made["generations"][0]["id"], "metadata": {"scene": "7"}}
    answer = client.send("POST", "jobs/import", json=body)
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert answer.headers["location"] == f"/api/jobs/{job['id']}"
    assert (job["imported"], job["prompt"], job["metadata"]) == (True, "a paper boat", {"scene": "7"})
    again = client.send("POST", "jobs/import", json={"backend_job_id": made["id"]})
    assert (again.status_code, again.json()["id"]) == (202, job["id"])
    ended = client.wait(job["id"])
    assert (ended["status"], ended["backend_job_id"]) == ("succeeded", made["id"])
    content = requests.get(ended["videos"][0]["url"], timeout=10).content
    assert hashlib.sha256(content).hexdigest() == ended["videos"][0]["sha256"]


def test_what_another_owner_has_can_not_be_imported(
    client: Client, done: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("job_api.blueprint.owner_of", lambda _: "somebody-else")
    before = everything_stored(client)
    for named in (done["backend_job_id"], "task_00"):
        answer = client.send("POST", "jobs/import", json={"backend_job_id": named})
        assert (answer.status_code, answer.json()["code"]) == (404, "backend_job_not_found")
    assert not everything_stored(client) - before


def test_a_video_api_that_can_not_say_is_503_and_nothing_is_stored(client: Client) -> None:
    client.simulator.faults.add([Fault.read({"operation": "get", "status": 500, "times": -1})])
    before = everything_stored(client)
    answer = client.send("POST", "jobs/import", json={"backend_job_id": "task_00"})
    client.simulator.faults.clear()
    assert (answer.status_code, answer.json()["code"]) == (503, "backend_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert not everything_stored(client) - before


BAD_IMPORTS: dict[str, tuple[dict[str, Any], str]] = {
    "no id": ({}, "body"),
    "both ids": ({"backend_job_id": "task_1", "generation_id": "gen_1"}, "body"),
    "an empty id": ({"backend_job_id": ""}, "backend_job_id"),
    "an id that leads elsewhere": ({"backend_job_id": ".."}, "backend_job_id"),
    "an id that is no text": ({"generation_id": 7}, "generation_id"),
    "an id with half a surrogate": ({"generation_id": "\ud800"}, "generation_id"),
    "an id with control characters": ({"backend_job_id": "task\x00"}, "backend_job_id"),
    "an id that is a list": ({"backend_job_id": ["task_1"]}, "backend_job_id"),
    "a huge id": ({"backend_job_id": "t" * 1001}, "backend_job_id"),
    "an unknown field": ({"backend_job_id": "task_1", "prompt": "x"}, "prompt"),
    "an unknown backend": ({"backend_job_id": "task_1", "backend": "nowhere"}, "backend"),
    "metadata that is no text": ({"backend_job_id": "task_1", "metadata": {"a": 1}}, "metadata.a"),
    "metadata with control characters": (
        {"backend_job_id": "task_1", "metadata": {"a": "\x07"}},
        "metadata.a",
    ),
    "metadata with half a surrogate": (
        {"backend_job_id": "task_1", "metadata": {"a": "\udfff"}},
        "metadata.a",
    ),
    "too much metadata": (
        {"backend_job_id": "task_1", "metadata": {str(n): "" for n in range(17)}},
        "metadata",
    ),
    "metadata that are too long together": (
        {"backend_job_id": "task_1", "metadata": {str(n): '"' * 512 for n in range(16)}},
        "metadata",
    ),
    "metadata that is a list": ({"backend_job_id": "task_1", "metadata": ["a"]}, "metadata"),
}


@pytest.mark.parametrize("what", BAD_IMPORTS)
def test_an_import_that_is_no_good_gets_a_clear_problem_and_leaves_nothing(client: Client, what: str) -> None:
    body, field = BAD_IMPORTS[what]
    before = everything_stored(client)
    assert_refused_for(client.send("POST", "jobs/import", data=json.dumps(body)), field)
    assert not everything_stored(client) - before


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "invalid_json"),
        (b"{", 400, "invalid_json"),
        (b"[1]", 400, "invalid_json"),
        (b"\xff\xfe", 400, "invalid_json"),
        (b"[" * 60_000, 400, "invalid_json"),
        (b'{"backend_job_id": "task_1"}'.ljust(65_537), 413, "body_too_large"),
        (b"x" * (8 << 20), 413, "body_too_large"),
    ],
    ids=lambda part: str(part)[:12],
)
def test_an_import_that_is_malformed_is_refused(client: Client, body: bytes, status: int, code: str) -> None:
    answer = client.send("POST", "jobs/import", data=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


# --- the operator's apis ------------------------------------------------------------------------


def backend_named(client: Client, name: str) -> dict[str, Any]:
    [found] = [one for one in client.get("backends").json()["backends"] if one["name"] == name]
    return dict(found)


@pytest.fixture
def paused(client: Client) -> Iterator[None]:
    """The second backend takes nothing."""
    for _ in range(2):  # twice is fine
        answer = client.send("POST", "backends/second/pause")
        assert (answer.status_code, answer.json()["name"]) == (200, "second")
        assert answer.json()["paused_since"].endswith("Z")
    yield
    assert client.send("POST", "backends/second/resume").status_code == 200


SECOND = {"prompt": "a paper boat", "backend": "second", "size": "720x1280", "seconds": 4}


def test_jobs_for_a_paused_backend_wait_in_line_and_go_ahead_when_it_is_resumed(
    client: Client, paused: None
) -> None:
    jobs = [client.post(SECOND).json() for _ in range(3)]
    for position, job in enumerate(jobs, 1):
        seen = client.get(f"jobs/{job['id']}").json()
        assert (seen["status"], seen["queue_position"]) == ("waiting", position)
        assert "paused" in seen["reason"]
    assert backend_named(client, "second")["waiting"] == 3
    cancelled = client.send("POST", f"jobs/{jobs[0]['id']}/cancel").json()
    assert (cancelled["status"], cancelled["queue_position"]) == ("cancelled", None)
    assert client.get(f"jobs/{jobs[1]['id']}").json()["queue_position"] == 1
    for _ in range(2):
        answer = client.send("POST", "backends/second/resume")
        assert (answer.status_code, answer.json()["paused_since"]) == (200, None)
    assert [client.wait(job["id"])["status"] for job in jobs[1:]] == ["succeeded"] * 2
    assert backend_named(client, "second")["waiting"] == 0


def test_a_key_that_is_refused_leaves_the_job_waiting_until_the_operator_resumes(client: Client) -> None:
    client.simulator.faults.add([Fault.read({"operation": "create", "status": 401})])
    answer = client.post(SECOND)
    assert (answer.status_code, answer.json()["status"]) == (202, "waiting")
    assert "API key setting" in answer.json()["reason"]
    behind = client.post(SECOND).json()
    assert (behind["status"], behind["queue_position"]) == ("waiting", 2)
    assert "API key setting" in behind["reason"]
    closed = backend_named(client, "second")["closed"]
    assert closed["why"] == "misconfigured"
    assert "API key setting" in closed["reason"]
    assert closed["until"].endswith("Z")
    resumed = client.send("POST", "backends/second/resume").json()
    assert resumed["closed"] is None
    assert [client.wait(job["id"])["status"] for job in (answer.json(), behind)] == ["succeeded"] * 2


def test_the_backends_are_listed_with_their_limits(client: Client) -> None:
    answer = client.get("backends")
    assert answer.status_code == 200
    assert [one["name"] for one in answer.json()["backends"]] == ["default", "second"]
    for one in answer.json()["backends"]:
        assert (one["running_limit"], one["creates_per_minute"]) == (None, None)
        assert one["closed"] is None
    assert "sim-key" not in answer.text


@pytest.mark.parametrize("named", ["nowhere", "DEFAULT", "%2F", "%00", "x" * 500])
@pytest.mark.parametrize("api", ["pause", "resume"])
def test_a_backend_that_is_not_there_is_404(client: Client, named: str, api: str) -> None:
    answer = client.send("POST", f"backends/{named}/{api}")
    assert (answer.status_code, answer.json()["code"]) == (404, "backend_not_found")


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "jobs/import"), ("DELETE", "jobs/import"), ("POST", "jobs/import/cancel")],
)
def test_import_is_no_job_id(client: Client, method: str, path: str) -> None:
    assert client.send(method, path).json()["code"] == "invalid_job_id"


@pytest.mark.promise("I9")
def test_a_signed_url_stands_nowhere_but_in_answers(client: Client, done: dict[str, Any]) -> None:
    signature = urlsplit(done["videos"][0]["url"]).query.rpartition("sig=")[2]
    storage = connect(wiring.Settings.from_environment(os.environ).storage)
    rows = [dict(row) for row in storage.tables.get_table_client("videojobs").list_entities()]
    assert rows
    assert signature not in repr(rows)
    assert "sig=" not in repr(rows)
    summary = (
        storage.blobs.get_blob_client("videos", f"default/{done['id']}/job.json").download_blob().readall()
    )
    assert b"sig=" not in summary
    assert b"sim-key" not in summary


# --- webhooks ------------------------------------------------------------------------------------


@pytest.fixture
def receiver() -> Iterator[HTTPServer]:
    """A client's own server: 503 at first, then 204; what came is in `received`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            received.append((dict(self.headers), body))
            self.send_response(503 if len(received) == 1 else 204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    received: list[tuple[dict[str, str], bytes]] = []
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.received = received  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_webhook_is_told_over_http_tried_again_and_sent_again(client: Client, receiver: Any) -> None:
    url = f"http://localhost:{receiver.server_port}/hooks?token=1"
    job = client.post({**SMALL, "webhook_url": url}).json()
    assert (job["webhook"]["url"], job["webhook"]["status"]) == (url.partition("/hooks")[0], "pending")

    def told(times: int) -> dict[str, Any]:
        deadline = time.monotonic() + 60
        while True:
            webhook: dict[str, Any] = client.get(f"jobs/{job['id']}").json()["webhook"]
            if len(webhook["deliveries"]) >= times:
                return webhook
            assert time.monotonic() < deadline, webhook
            time.sleep(0.1)  # as a client polls

    webhook = told(1)
    assert (webhook["status"], webhook["deliveries"][0]["status_code"]) == ("pending", 503)
    again = client.send("POST", f"jobs/{job['id']}/webhook")
    assert again.status_code == 202
    assert told(2)["status"] == "delivered"
    events = [Verifier(SECRET).verify(body, headers) for headers, body in receiver.received]
    assert [event["type"] for event in events] == ["job.succeeded"] * len(events)
    assert all(event == events[0] for event in events)
    assert {headers["webhook-id"] for headers, _ in receiver.received} == {webhook["event_id"]}


def test_what_is_no_webhook_is_said_by_field_and_nothing_to_send_is_409(
    client: Client, done: dict[str, Any]
) -> None:
    answer = client.post({**SMALL, "webhook_url": "https://169.254.169.254/"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "webhook_url")
    answer = client.send("POST", f"jobs/{done['id']}/webhook")
    assert (answer.status_code, answer.json()["code"]) == (409, "nothing_to_send")
