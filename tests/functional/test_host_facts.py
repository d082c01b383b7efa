"""The local function host answers, ends and delivers as the real one was measured to: a row or a test for each fact."""

from __future__ import annotations

import base64
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import azure.functions as func
import pytest
import requests
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueClient, QueueServiceClient

from local.azurite_process import Azurite
from local.function_host import http_server
from local.function_host.host import FunctionHost
from local.function_host.host_json import HostJson, QueueOptions
from local.function_host.keys import AccessKeys
from local.function_host.locks import CONTAINER, SharedTimer
from local.function_host.log_filter import LogFilter
from local.function_host.storage_watch import watch_storage
from tests.waiting import until

ROOT = Path(__file__).parents[2]
QUICK = HostJson(queues=QueueOptions(max_polling_interval=0.2))
HOST = b"Host: localhost\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


# --- HTTP ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def echo() -> Iterator[FunctionHost]:
    """Functions that say what reached them."""
    app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

    def said(req: func.HttpRequest) -> str:
        seen = {"route": dict(req.route_params), "length": len(req.get_body()), "params": len(req.params)}
        return json.dumps({**seen, "encoding": req.headers.get("transfer-encoding")})

    for name, route, level in [
        ("one", "jobs/{id}", func.AuthLevel.ANONYMOUS),
        ("plain", "fine", func.AuthLevel.ANONYMOUS),
        ("rest", "v1/{*path}", func.AuthLevel.ANONYMOUS),
        ("keyed", "keyed", func.AuthLevel.FUNCTION),
        ("mastered", "mastered", func.AuthLevel.ADMIN),
    ]:
        methods = ["GET", "POST"]
        app.function_name(name)(app.route(route, methods=methods, auth_level=level)(_copy(said)))

    @app.route(route="empty")
    def empty(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(status_code=200)

    @app.route(route="away")
    def away(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(status_code=303, headers={"Location": "/x"})

    @app.route(route="broken")
    def broken(req: func.HttpRequest) -> func.HttpResponse:
        raise RuntimeError("secret detail")

    keys = AccessKeys(function="f-Key", master="m-Key")
    with FunctionHost(app, keys=keys) as host:
        yield host


def _copy(handler: Callable[[func.HttpRequest], str]) -> Callable[[func.HttpRequest], str]:
    def copy(req: func.HttpRequest) -> str:
        return handler(req)

    return copy


def raw(host: FunctionHost, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and the body as it came; 0 where the connection was cut."""
    with socket.create_connection(("127.0.0.1", int(host.url.rsplit(":", 1)[1])), timeout=20) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    if not answer:
        return 0, {}, b""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    return int(lines[0].split()[1]), headers, body


def get(path: bytes, *headers: bytes) -> bytes:
    return b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"".join(headers) + b"Connection: close\r\n\r\n"


REFUSED: dict[str, tuple[bytes, int]] = {
    "NUL in the path": (get(b"/api/fi\x00ne"), 400),
    "raw non-ASCII in the path": (get("/api/fünf".encode()), 400),
    "two hosts": (get(b"/api/fine", HOST), 400),
    "no host": (b"GET /api/fine HTTP/1.1\r\n\r\n", 400),
    "absolute-form target": (get(b"http://localhost/api/fine"), 400),
    "a target that is no path": (get(b"api/fine"), 400),
    "no version": (b"GET /api/fine\r\n\r\n", 400),
    "no HTTP": (b"\x16\x03\x01\x00\r\n\r\n", 400),
    "a request line above 8 KiB": (get(b"/api/fine?a=" + b"x" * 8300), 414),
    "headers above 32 KiB": (get(b"/api/fine", b"X: " + b"x" * 33_000 + b"\r\n"), 431),
    "headers above 32 KiB in lines": (get(b"/api/fine", *[b"X: " + b"x" * 5000 + b"\r\n"] * 7), 431),
    "more than 100 header lines": (get(b"/api/fine", *[b"X: y\r\n"] * 110), 431),
    "no such path": (get(b"/api/none"), 404),
    "a wrong method": (b"PUT /api/fine HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "HEAD": (b"HEAD /api/fine HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "OPTIONS": (b"OPTIONS /api/v1/videos HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "a method that nobody knows": (b"BREW /api/fine HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "a double slash": (get(b"/api//fine"), 404),
    "a double slash before": (get(b"//api/fine"), 404),
    "an empty parameter": (get(b"/api/jobs/"), 404),
    "a leading slash in a catch-all": (get(b"/api/v1//x"), 404),
    "no key": (get(b"/api/keyed"), 401),
    "a wrong key": (get(b"/api/keyed?code=wrong"), 401),
    "the header counts": (get(b"/api/keyed?code=f-Key", b"x-functions-key: wrong\r\n"), 401),
    "a function key for an admin function": (get(b"/api/mastered?code=f-Key"), 401),
    "an expectation without a key": (
        b"POST /api/keyed HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n",
        401,
    ),
    "a function that raises": (get(b"/api/broken"), 500),
    "a body above 100 MB": (
        b"POST /api/fine HTTP/1.1\r\n" + HOST + b"Content-Length: 104857601\r\n\r\n",
        500,
    ),
    "a length of 5,000 digits": (
        b"POST /api/fine HTTP/1.1\r\n" + HOST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
        500,
    ),
    "a negative length": (b"POST /api/fine HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n", 400),
    "two lengths": (
        b"POST /api/fine HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        400,
    ),
    "chunks that are none": (b"POST /api/fine HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\nzz\r\n", 400),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_comes_from_the_host_has_no_body(echo: FunctionHost, case: str) -> None:
    request, expected = REFUSED[case]
    status, headers, body = raw(echo, request)
    assert (status, body) == (expected, b"")
    assert headers["content-length"] == "0"
    assert not {"www-authenticate", "retry-after", "content-type"} & headers.keys()


TAKEN: dict[str, tuple[bytes, dict[str, Any]]] = {
    "a path": (get(b"/api/jobs/7"), {"route": {"id": "7"}}),
    "dot segments": (get(b"/api/x/../jobs/./7"), {"route": {"id": "7"}}),
    "encoded dot segments": (get(b"/api/x/%2e%2E/jobs/7"), {"route": {"id": "7"}}),
    "dots above the root": (get(b"/../../api/jobs/7"), {"route": {"id": "7"}}),
    "dots in a name": (get(b"/api/jobs/a..b"), {"route": {"id": "a..b"}}),
    "a trailing slash": (get(b"/api/jobs/7/"), {"route": {"id": "7"}}),
    "any case": (get(b"/API/JOBS/X"), {"route": {"id": "X"}}),
    "a catch-all": (get(b"/api/v1/a/b"), {"route": {"path": "a/b"}}),
    "1,100 parameters": (
        get(b"/api/fine?" + b"&".join(b"a%d=1" % number for number in range(1100))),
        {"params": 1100},
    ),
    "a key as parameter": (get(b"/api/keyed?code=f-Key"), {}),
    "a key in another case": (get(b"/api/keyed?code=F-KEY"), {}),
    "the parameter in another case": (get(b"/api/keyed?CODE=f-Key"), {}),
    "a key twice": (get(b"/api/keyed?code=f-Key&code=f-Key"), {}),
    "a key with blanks around": (get(b"/api/keyed?code=%20f-Key%20"), {}),
    "a key as header": (get(b"/api/keyed", b"X-Functions-Key: f-Key\r\n"), {}),
    "the master key": (get(b"/api/keyed?code=m-Key"), {}),
    "a body": (
        b"POST /api/fine HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nConnection: close\r\n\r\nhello",
        {"length": 5, "encoding": None},
    ),
    "a body in chunks, which does not arrive": (
        b"POST /api/fine HTTP/1.1\r\n"
        + HOST
        + CHUNKED
        + b"\r\n5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nX: y\r\n\r\n",
        {"length": 0, "encoding": "chunked"},
    ),
}


@pytest.mark.parametrize("case", TAKEN)
def test_what_reaches_a_function_is_as_the_real_host_hands_it_on(echo: FunctionHost, case: str) -> None:
    request, expected = TAKEN[case]
    status, headers, body = raw(echo, request)
    assert status == 200
    assert headers["transfer-encoding"] == "chunked"
    assert "content-length" not in headers
    size, _, rest = body.partition(b"\r\n")
    seen = json.loads(rest[: int(size, 16)])
    assert {name: seen[name] for name in expected} == expected


def test_answers_without_a_body_say_so(echo: FunctionHost) -> None:
    for path, expected in ((b"/api/empty", 200), (b"/api/away", 303)):
        status, headers, body = raw(echo, get(path))
        assert (status, headers["content-length"], body) == (expected, "0", b"")


def test_an_expectation_with_a_key_is_met(echo: FunctionHost) -> None:
    address = ("127.0.0.1", int(echo.url.rsplit(":", 1)[1]))
    with socket.create_connection(address, timeout=20) as client, client.makefile("rb") as answers:
        client.sendall(
            b"POST /api/fine HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )
        assert answers.readline().split()[1] == b"100"
        assert answers.readline() == b"\r\n"
        client.sendall(b"ab")
        assert answers.readline().split()[1] == b"200"


def test_a_connection_goes_on_after_a_body_in_chunks(echo: FunctionHost) -> None:
    with requests.Session() as session:
        for _ in range(2):
            answer = session.post(f"{echo.url}/api/fine", data=iter([b"x" * 70_000, b"y"]), timeout=20)
            assert answer.json()["length"] == 0
            assert session.post(f"{echo.url}/api/fine", data=b"xyz", timeout=20).json()["length"] == 3


def test_the_body_limit_is_an_app_setting(echo: FunctionHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(http_server.BODY_LIMIT_SETTING, "100")
    assert requests.post(f"{echo.url}/api/fine", data=b"x" * 100, timeout=20).status_code == 200
    for body in (b"x" * 101, iter([b"x" * 101])):
        answer = requests.post(f"{echo.url}/api/fine", data=body, timeout=20)
        assert (answer.status_code, answer.content) == (500, b"")


def test_a_busy_host_answers_429_on_every_path(echo: FunctionHost) -> None:
    echo.throttled = True
    try:
        for path in ("/api/fine", "/api/none", "/", "/api/keyed"):
            answer = requests.get(echo.url + path, timeout=20)
            assert (answer.status_code, answer.content) == (429, b"")
            assert "Retry-After" not in answer.headers
    finally:
        echo.throttled = False
    assert requests.get(f"{echo.url}/api/fine", timeout=20).status_code == 200


def test_more_outstanding_requests_than_host_json_allows_are_429() -> None:
    app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
    answers: list[int] = []

    @app.route(route="outer")
    def outer(req: func.HttpRequest) -> str:
        answers.append(requests.get(req.url.replace("outer", "inner"), timeout=20).status_code)
        return "done"

    @app.route(route="inner")
    def inner(req: func.HttpRequest) -> str:
        return "in"

    settings = HostJson.parse({"extensions": {"http": {"maxOutstandingRequests": 1}}})
    with FunctionHost(app, host_json=settings) as host:
        assert requests.get(f"{host.url}/api/outer", timeout=20).status_code == 200
    assert answers == [429]


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:7071"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_another_site_changes_nothing_at_a_local_host(echo: FunctionHost, headers: dict[str, str]) -> None:
    answer = requests.post(f"{echo.url}/api/fine", data=b"x", headers=headers, timeout=20)
    assert answer.status_code == 403
    assert "local host" in answer.text
    port = echo.url.rsplit(":", 1)[1]
    for same in (f"http://localhost:{port}", f"http://127.0.0.1:{port}"):
        ours = requests.post(f"{echo.url}/api/fine", data=b"x", headers={"Origin": same}, timeout=20)
        assert ours.status_code == 200


# --- what the host answers for itself ------------------------------------------------------------


def test_the_home_page_the_status_and_its_key(echo: FunctionHost, monkeypatch: pytest.MonkeyPatch) -> None:
    home = requests.get(echo.url, timeout=20)
    assert (home.status_code, "html" in home.headers["Content-Type"]) == (200, True)
    monkeypatch.setenv("AzureWebJobsDisableHomepage", "true")
    assert requests.get(echo.url, timeout=20).status_code == 204
    status = f"{echo.url}/admin/host/status"
    assert requests.get(status, timeout=20).status_code == 401
    assert requests.get(status, params={"code": "f-Key"}, timeout=20).status_code == 401
    assert requests.get(status, params={"code": "m-Key"}, timeout=20).json()["state"] == "Running"
    assert requests.post(f"{echo.url}/admin/host/drain", timeout=20).status_code == 401


def test_a_drained_host_takes_no_message_and_answers_requests(azurite: Azurite, queue: QueueClient) -> None:
    app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
    seen: list[str] = []
    listen(app, queue, lambda message: seen.append(message.get_body().decode()))

    @app.route(route="fine")
    def fine(req: func.HttpRequest) -> str:
        return "fine"

    with host_for(app, azurite) as host:
        send(queue, "before")
        assert until(lambda: seen == ["before"])
        status = f"{host.url}/admin/host/drain/status"
        assert requests.get(status, timeout=20).json()["state"] == "Disabled"
        assert requests.post(f"{host.url}/admin/host/drain", timeout=20).status_code == 202
        assert until(lambda: requests.get(status, timeout=20).json()["state"] == "Completed")
        send(queue, "after")
        assert requests.get(f"{host.url}/api/fine", timeout=20).text == "fine"
        assert host.stop()
    assert seen == ["before"]
    assert len(queue.peek_messages(max_messages=5)) == 1


# --- queues --------------------------------------------------------------------------------------


@pytest.fixture
def queue(azurite: Azurite) -> QueueClient:
    client = QueueClient.from_connection_string(azurite.connection_string, f"q-{uuid4().hex}")
    client.create_queue()
    return client


def poison_of(queue: QueueClient, azurite: Azurite) -> QueueClient:
    return QueueClient.from_connection_string(azurite.connection_string, f"{queue.queue_name}-poison")


def listen(app: func.FunctionApp, queue: QueueClient, handler: Callable[[Any], Any]) -> None:
    def listener(msg: func.QueueMessage) -> None:
        handler(msg)

    name = "q" + queue.queue_name.replace("-", "_")
    trigger = app.queue_trigger(arg_name="msg", queue_name=queue.queue_name, connection="AzureWebJobsStorage")
    app.function_name(name)(trigger(listener))


def host_for(app: func.FunctionApp, azurite: Azurite, **options: Any) -> FunctionHost:
    return FunctionHost(app, connection_string=azurite.connection_string, **{"host_json": QUICK, **options})


def send(queue: QueueClient, text: str) -> None:
    queue.send_message(base64.b64encode(text.encode()).decode())


def test_a_listener_creates_no_queue_and_takes_what_comes_once_it_is_there(azurite: Azurite) -> None:
    app = func.FunctionApp()
    absent = QueueClient.from_connection_string(azurite.connection_string, f"q-{uuid4().hex}")
    seen: list[Any] = []
    listen(app, absent, seen.append)
    with host_for(app, azurite) as host:
        assert host.wait_idle(10)
        with pytest.raises(ResourceNotFoundError):
            absent.get_queue_properties()
        absent.create_queue()
        send(absent, "first")
        assert until(lambda: seen)
    names = {
        each.name
        for each in QueueServiceClient.from_connection_string(azurite.connection_string).list_queues()
    }
    assert f"{absent.queue_name}-poison" not in names


def test_text_that_is_not_base64_is_poisoned_at_once_and_lives_a_week(
    azurite: Azurite, queue: QueueClient
) -> None:
    app, seen = func.FunctionApp(), []
    listen(app, queue, seen.append)
    with host_for(app, azurite) as host:
        queue.send_message("{no base64}")
        assert until(lambda: _is_there(poison_of(queue, azurite)))
        assert host.wait_idle(10)
    [message] = poison_of(queue, azurite).peek_messages(max_messages=5)
    assert message.content == "{no base64}"
    kept = message.expires_on - message.inserted_on
    assert timedelta(days=6) < kept <= timedelta(days=7)
    assert seen == []


def test_bytes_that_are_not_utf_8_fail_five_times_before_python_sees_them(
    azurite: Azurite, queue: QueueClient
) -> None:
    app, seen = func.FunctionApp(), []
    listen(app, queue, seen.append)
    with host_for(app, azurite):
        queue.send_message(base64.b64encode(b"\xff\xfe").decode())
        assert until(lambda: _is_there(poison_of(queue, azurite)))
    assert seen == []


@pytest.mark.exhaustive
def test_a_message_that_fails_in_a_poison_queue_is_neither_released_nor_given_up(azurite: Azurite) -> None:
    app = func.FunctionApp()
    poison = QueueClient.from_connection_string(azurite.connection_string, f"q-{uuid4().hex}-poison")
    poison.create_queue()
    tries: list[int] = []

    def fail(message: Any) -> None:
        tries.append(message.dequeue_count)
        raise RuntimeError("never works")

    listen(app, poison, fail)
    with host_for(app, azurite, lease_seconds=2):
        send(poison, "bad")
        # It comes back when its lease is over, and after the fifth time too.
        assert until(lambda: len(tries) >= 6, 40)
    assert not _is_there(
        QueueClient.from_connection_string(azurite.connection_string, f"{poison.queue_name}-poison")
    )


def test_who_poisons_wakes_the_poison_queues_listener(azurite: Azurite, queue: QueueClient) -> None:
    app = func.FunctionApp()
    poison = poison_of(queue, azurite)
    poison.create_queue()
    seen: list[Any] = []
    listen(app, queue, print)
    listen(app, poison, seen.append)
    slow = HostJson(queues=QueueOptions(max_polling_interval=60.0))
    with host_for(app, azurite, host_json=slow):
        time.sleep(1.5)  # until both pause for long
        queue.send_message("Z29vZA==")
        queue.send_message("{no base64}")
        send(poison, "by hand")
        assert until(lambda: seen, 60)


def _is_there(queue: QueueClient) -> bool:
    try:
        return (queue.get_queue_properties().approximate_message_count or 0) > 0
    except ResourceNotFoundError:
        return False


# --- timers --------------------------------------------------------------------------------------


def a_timer(
    runs: list[tuple[str, bool]], name: str, lasting: float = 0.0, monitored: bool = True
) -> func.FunctionApp:
    app = func.FunctionApp()

    @app.timer_trigger(arg_name="timer", schedule="* * * * * *", use_monitor=monitored)
    def tick(timer: func.TimerRequest) -> None:
        runs.append((name, timer.past_due))
        time.sleep(lasting)

    return app


@pytest.fixture
def fresh_timers(azurite: Azurite) -> BlobServiceClient:
    service = BlobServiceClient.from_connection_string(azurite.connection_string)
    container = service.get_container_client(CONTAINER)
    if container.exists():
        for name in container.list_blob_names(name_starts_with="timers/"):
            container.delete_blob(name)
    return service


@pytest.mark.exhaustive
def test_one_of_several_hosts_runs_a_timer_and_another_takes_over(
    azurite: Azurite, fresh_timers: BlobServiceClient
) -> None:
    runs: list[tuple[str, bool]] = []
    first = host_for(a_timer(runs, "first"), azurite).start()
    assert until(lambda: len(runs) >= 2)
    with host_for(a_timer(runs, "second"), azurite):
        before = len(runs)
        assert until(lambda: len(runs) >= before + 3)
        assert {name for name, _ in runs} == {"first"}
        first.stop()
        assert until(lambda: ("second", False) in runs or ("second", True) in runs)


@pytest.mark.exhaustive
def test_a_killed_holder_keeps_others_out_until_its_lease_is_over(azurite: Azurite) -> None:
    service = BlobServiceClient.from_connection_string(azurite.connection_string)
    killed = SharedTimer(service, "host", f"f{uuid4().hex}", lease_seconds=15, renew_seconds=600)
    assert killed.acquire()
    name = killed._name
    other = SharedTimer(service, "host", name)
    assert not other.acquire()
    assert until(other.acquire, 40)
    other.release()


@pytest.mark.exhaustive
def test_what_was_missed_is_run_once_at_start_past_due(
    azurite: Azurite, fresh_timers: BlobServiceClient
) -> None:
    runs: list[tuple[str, bool]] = []
    with host_for(a_timer(runs, "earlier"), azurite):
        assert until(lambda: runs)
    assert runs[0] == ("earlier", False)
    assert until(lambda: datetime.now(UTC).microsecond > 0)
    time.sleep(2.1)  # two runs are missed
    later: list[tuple[str, bool]] = []
    with host_for(a_timer(later, "later"), azurite):
        assert until(lambda: len(later) >= 3)
    assert [past_due for _, past_due in later[:3]] == [True, False, False]


def test_a_timer_without_a_monitor_notes_no_run_and_makes_up_for_none(
    azurite: Azurite, fresh_timers: BlobServiceClient
) -> None:
    runs: list[tuple[str, bool]] = []
    with host_for(a_timer(runs, "earlier", monitored=False), azurite):
        assert until(lambda: runs)
    assert not list(fresh_timers.get_container_client(CONTAINER).list_blob_names(name_starts_with="timers/"))


@pytest.mark.exhaustive
def test_a_run_that_outlasts_the_next_is_followed_at_once_and_is_not_past_due(
    azurite: Azurite, fresh_timers: BlobServiceClient
) -> None:
    runs: list[tuple[str, bool]] = []
    with host_for(a_timer(runs, "long", lasting=1.6), azurite):
        assert until(lambda: len(runs) >= 3)
    assert {past_due for _, past_due in runs} == {False}


# --- what ends, and what comes back when ---------------------------------------------------------

CRASHING = """
import os, time
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route(route="pid")
def pid(req: func.HttpRequest) -> str:
    return str(os.getpid())

@app.route(route="slow")
def slow(req: func.HttpRequest) -> str:
    print("SLOW", flush=True)
    time.sleep(60)
    return "done"

@app.route(route="work")
def work(req: func.HttpRequest) -> str:
    print("WORKS", flush=True)
    time.sleep(2)
    return "done"

@app.queue_trigger(arg_name="msg", queue_name="%QUEUE%", connection="AzureWebJobsStorage")
def take(msg: func.QueueMessage) -> None:
    print("TOOK", msg.dequeue_count, flush=True)
    if msg.get_body() == b"hang":
        time.sleep(60)
"""
HOST_JSON = {
    "version": "2.0",
    "functionTimeout": "00:05:00",
    "extensions": {"queues": {"visibilityTimeout": "00:00:01", "maxPollingInterval": "00:00:00.2"}},
}


class Command:
    """The host as a process, with its worker in another one."""

    def __init__(self, folder: Path, connection_string: str, queue: str, **host_json: Any) -> None:
        (folder / "function_app.py").write_text(CRASHING)
        (folder / "host.json").write_text(json.dumps({**HOST_JSON, **host_json}))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "local.function_host", "--port", "0", "--app-root", str(folder)],
            cwd=ROOT,
            env={**os.environ, "AzureWebJobsStorage": connection_string, "QUEUE": queue},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.url = ""

    def ready(self) -> None:
        self.url = self.read("Ready on ").split()[2]

    def read(self, start: str) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(start):
                return line.strip()
        raise AssertionError(f"the host ended without saying {start!r}")

    def worker(self) -> int:
        """The worker's process id. One that dies under the request may answer nothing, or a bare 500."""
        for _ in range(20):
            try:
                answer = requests.get(f"{self.url}/api/pid", timeout=30)
            except requests.ConnectionError:
                continue
            if answer.status_code == 200:
                return int(answer.text)
        raise AssertionError("no worker answers")

    def kill_worker(self) -> None:
        os.kill(self.worker(), signal.SIGKILL)

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def command(azurite: Azurite, queue: QueueClient, tmp_path: Path) -> Iterator[Command]:
    running = Command(tmp_path, azurite.connection_string, queue.queue_name)
    try:
        running.ready()
        yield running
    finally:
        running.close()


def test_a_worker_that_dies_fails_what_runs_and_its_message_comes_back(
    command: Command, queue: QueueClient
) -> None:
    first = command.worker()
    send(queue, "hang")
    assert command.read("TOOK") == "TOOK 1"
    command.kill_worker()
    # The next worker answers; requests meanwhile are held.
    assert command.worker() != first
    assert command.read("TOOK") == "TOOK 2"
    assert command.process.poll() is None


@pytest.mark.exhaustive
@pytest.mark.parametrize(("age", "answer"), [(6.0, 500), (0.0, None)], ids=["grown", "young"])
def test_a_request_under_which_the_worker_dies_is_a_bare_500_or_cut_where_it_was_young(
    command: Command, age: float, answer: int | None
) -> None:
    worker = command.worker()
    time.sleep(age)  # the age of the worker is what is tried
    port = int(command.url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(get(b"/api/slow"))
        command.read("SLOW")
        os.kill(worker, signal.SIGKILL)
        told = b"".join(iter(lambda: client.recv(65536), b""))
    if answer is None:
        assert told == b""
    else:
        assert re.match(rb"HTTP/1.1 500 .*Content-Length: 0\r\n.*\r\n\r\n$", told, re.DOTALL)


def test_the_third_crash_ends_the_host(command: Command) -> None:
    killed: set[int] = set()
    while len(killed) < 3:
        worker = command.worker()
        if worker not in killed:  # else its death is not noticed yet
            os.kill(worker, signal.SIGKILL)
            killed.add(worker)
    assert command.process.wait(60) == 0


@pytest.mark.exhaustive
def test_a_function_that_outlives_its_time_restarts_the_worker_only(
    azurite: Azurite, queue: QueueClient, tmp_path: Path
) -> None:
    command = Command(tmp_path, azurite.connection_string, queue.queue_name, functionTimeout="00:00:02")
    try:
        command.ready()
        before = command.worker()
        send(queue, "hang")
        assert command.read("TOOK") == "TOOK 1"
        assert command.read("TOOK") == "TOOK 2"  # the message came back
        assert command.worker() != before
        assert command.process.poll() is None
    finally:
        command.close()


def test_on_sigterm_open_requests_end_while_messages_are_still_taken(
    command: Command, queue: QueueClient
) -> None:
    port = int(command.url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(get(b"/api/work"))
        command.read("WORKS")
        command.process.send_signal(signal.SIGTERM)
        assert until(lambda: _refuses(port))
        send(queue, "meanwhile")
        assert command.read("TOOK") == "TOOK 1"
        told = b"".join(iter(lambda: client.recv(65536), b""))
    assert b" 200 " in told
    assert command.process.wait(60) == 0


@pytest.mark.exhaustive
def test_without_storage_the_port_stays_closed_until_storage_answers(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    azurite = Azurite(data_dir=tmp_path / "data")
    with azurite:
        connection_string = azurite.connection_string
        azurite.stop()
        command = Command(tmp_path / "app", connection_string, "absent")
        try:
            time.sleep(2)  # for a host that would start
            assert command.process.poll() is None
            azurite.start()
            command.ready()
            assert command.worker()
        finally:
            command.close()


@pytest.mark.exhaustive
def test_storage_that_refuses_connections_for_long_ends_the_host() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
    ended: list[bool] = []
    watch_storage(endpoint, lambda: ended.append(True), longest=1.0)
    assert until(lambda: ended)


def _refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:  # it closes just now
        return False
    return False


# --- the log -------------------------------------------------------------------------------------

LOGS = HostJson.read(ROOT / "host.json").logs


@pytest.mark.parametrize(
    ("category", "level", "is_sent"),
    [
        ("Function.poll_job.User", "INFO", True),
        ("Function.poll_job.User", "CRITICAL", True),
        ("Function.poll_job", "INFO", True),
        ("Host.Results", "INFO", True),
        ("Host.Results", "ERROR", True),
        ("Azure.Core", "INFO", False),
        ("Azure.Core", "WARNING", False),
        ("Azure.Core", "ERROR", True),
        ("Host.Triggers.Timer", "INFO", False),
        ("Microsoft.Azure.WebJobs.Hosting", "INFO", False),
        ("Host.Aggregator", "ERROR", True),
    ],
)
def test_host_json_sends_what_an_operator_needs_and_no_storage_request(
    category: str, level: str, is_sent: bool
) -> None:
    assert LOGS.sends(category, getattr(logging, level)) is is_sent


def test_host_json_samples_no_line_exception_or_result_away() -> None:
    assert not LOGS.sampled & {"Trace", "Exception", "Request"}


@pytest.mark.parametrize(
    ("logging_section", "category", "is_sent"),
    [
        ({}, "Function.f.User", True),
        ({}, "Azure.Core", False),
        ({"logLevel": {"default": "Information"}}, "Azure.Core", True),
        ({"logLevel": {"default": "Warning", "Function.*.User": "Information"}}, "Function.f.User", False),
        ({"logLevel": {"default": "Warning", "Function": "Information"}}, "Function.f.User", True),
        ({"logLevel": {"default": "Warning", "Function.f": "Error"}}, "Function.f.User", False),
    ],
)
def test_the_filter_is_the_measured_one(
    logging_section: dict[str, Any], category: str, is_sent: bool
) -> None:
    assert LogFilter.parse(logging_section).sends(category, logging.INFO) is is_sent


def test_everything_is_sampled_that_host_json_does_not_except() -> None:
    assert LogFilter.parse({}).sampled >= {"Trace", "Exception", "Request"}
    excepted = {"applicationInsights": {"samplingSettings": {"excludedTypes": "Request;Exception"}}}
    assert LogFilter.parse(excepted).sampled >= {"Trace"}
    assert not LogFilter.parse(excepted).sampled & {"Request", "Exception"}
