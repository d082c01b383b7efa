"""The local function host, on real Azurite and real sockets, with small apps made for each test."""

import base64
import http.client
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import azure.functions as func
import pytest
import requests
from azure.storage.queue import QueueClient

from local.azurite_process import Azurite
from local.function_host.errors import AppError, HostJsonError
from local.function_host.host import FunctionHost
from local.function_host.host_json import HostJson, QueueOptions
from local.function_host.keys import AccessKeys
from tests.waiting import until

ROOT = Path(__file__).parents[2]
QUICK = HostJson(queues=QueueOptions(max_polling_interval=0.2))


@pytest.fixture(scope="module")
def azurite() -> Iterator[Azurite]:
    with Azurite() as running:
        yield running


@pytest.fixture
def app() -> func.FunctionApp:
    return func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@pytest.fixture
def queue(azurite: Azurite) -> QueueClient:
    """A new queue."""
    client = QueueClient.from_connection_string(azurite.connection_string, f"q-{uuid4().hex}")
    client.create_queue()
    return client


def send(queue: QueueClient, text: str) -> None:
    queue.send_message(base64.b64encode(text.encode()).decode())


def contents(queue: QueueClient) -> list[str]:
    return [message.content for message in queue.peek_messages(max_messages=32)]


def poison_of(queue: QueueClient, azurite: Azurite) -> QueueClient:
    return QueueClient.from_connection_string(azurite.connection_string, f"{queue.queue_name}-poison")


def count(queue: QueueClient) -> int:
    """How many messages there are, hidden ones too."""
    return queue.get_queue_properties().approximate_message_count or 0


def listen(app: func.FunctionApp, queue: QueueClient, handler: Callable[[Any], Any]) -> None:
    def listener(msg: func.QueueMessage) -> None:
        handler(msg)

    app.queue_trigger(arg_name="msg", queue_name=queue.queue_name, connection="AzureWebJobsStorage")(listener)


def host_for(app: func.FunctionApp, azurite: Azurite, **options: Any) -> FunctionHost:
    options = {"host_json": QUICK, "stop_seconds": 10, **options}
    return FunctionHost(app, connection_string=azurite.connection_string, **options)


def web(app: func.FunctionApp, **options: Any) -> FunctionHost:
    return FunctionHost(app, **{"stop_seconds": 10, **options})


# HTTP


def test_a_request_arrives_whole_and_the_answer_goes_out_whole(app: func.FunctionApp) -> None:
    seen: list[func.HttpRequest] = []

    @app.route(route="things/{id}", methods=["PUT"])
    def put_thing(req: func.HttpRequest) -> func.HttpResponse:
        seen.append(req)
        answer = func.HttpResponse(
            b"\x00" * 3_000_000, status_code=201, mimetype="video/mp4", headers={"X-A": "1"}
        )
        answer.headers.add("Set-Cookie", "a=1")
        answer.headers.add("Set-Cookie", "b=2")
        return answer

    with web(app) as host:
        body = bytes(range(256)) * 10_000
        answer = requests.put(f"{host.url}/api/things/7?a=1&a=2&empty=&b=%C3%A4", data=body, timeout=10)
    request = seen[0]
    assert request.get_body() == body
    assert request.method == "PUT"
    assert request.url == f"{host.url}/api/things/7?a=1&a=2&empty=&b=%C3%A4"
    assert dict(request.params) == {"a": "1,2", "b": "ä"}
    assert dict(request.route_params) == {"id": "7"}
    assert request.headers["content-LENGTH"] == str(len(body))
    assert (answer.status_code, len(answer.content)) == (201, 3_000_000)
    assert answer.headers["Content-Type"] == "video/mp4"
    assert answer.headers["X-A"] == "1"
    assert answer.raw.headers.getlist("Set-Cookie") == ["a=1", "b=2"]


def test_literal_routes_win(app: func.FunctionApp) -> None:
    for name, route in [
        ("rest", "{*path}"),
        ("one", "jobs/{id}"),
        ("number", "jobs/{id:int}"),
        ("import", "jobs/import"),
    ]:
        answer_with_its_name(app, name, route)
    with web(app) as host:
        paths = ["jobs/import", "JOBS/Import", "jobs/12", "jobs/x", "jobs/x/y"]
        answers = [requests.get(f"{host.url}/api/{path}", timeout=10).text for path in paths]
    assert answers == ["import", "import", "number id=12", "one id=x", "rest path=jobs/x/y"]


def test_optional_and_constrained_parameters(app: func.FunctionApp) -> None:
    answer_with_its_name(app, "optional", "a/{name?}")
    answer_with_its_name(app, "guid", "b/{id:guid}")
    answer_with_its_name(app, "alpha", "c/{word:alpha}")
    answer_with_its_name(app, "unknown", "d/{word:no_such_constraint}")
    identifier = "6f9619ff-8b86-d011-b42d-00c04fc964ff"
    paths = ["a", "a/x", "a/x/y", f"b/{identifier}", "b/nope", "c/abc", "c/a1", "d/a1"]
    with web(app) as host:
        answers = [requests.get(f"{host.url}/api/{path}", timeout=10) for path in paths]
    assert [answer.status_code for answer in answers] == [200, 200, 404, 200, 404, 200, 404, 200]
    assert [answer.text for answer in answers if answer.ok] == [
        "optional",
        "optional name=x",
        f"guid id={identifier}",
        "alpha word=abc",
        "unknown word=a1",
    ]


def test_route_values_are_percent_decoded(app: func.FunctionApp) -> None:
    answer_with_its_name(app, "one", "jobs/{id}")
    with web(app) as host:
        assert requests.get(f"{host.url}/api/jobs/a%20b%C3%A4", timeout=10).text == "one id=a bä"
        # A slash in a value is no border between segments, and stays encoded as in Azure.
        assert requests.get(f"{host.url}/api/jobs/a%2Fb", timeout=10).text == "one id=a%2Fb"


def test_unlisted_methods_and_unknown_routes_are_not_found(app: func.FunctionApp) -> None:
    answer_with_its_name(app, "listed", "listed", methods=["GET", "HEAD"])
    answer_with_its_name(app, "any", "any", methods=None)
    with web(app) as host:
        assert requests.get(f"{host.url}/api/listed", timeout=10).text == "listed"
        head = requests.head(f"{host.url}/api/listed", timeout=10)
        assert (head.status_code, head.content) == (200, b"")
        assert requests.post(f"{host.url}/api/listed", data=b"x" * 8_000_000, timeout=10).status_code == 404
        assert requests.get(f"{host.url}/api/none", timeout=10).status_code == 404
        assert requests.get(f"{host.url}/listed", timeout=10).status_code == 404
        assert requests.patch(f"{host.url}/api/any", timeout=10).text == "any"


def test_what_another_site_has_a_browser_send_changes_nothing_here(app: func.FunctionApp) -> None:
    called: list[str] = []

    @app.route(route="things", methods=["GET", "POST"])
    def things(req: func.HttpRequest) -> str:
        called.append(req.method)
        return "done"

    with web(app) as host:
        url = f"{host.url}/api/things"
        assert requests.post(url, headers={"Sec-Fetch-Site": "cross-site"}, timeout=10).status_code == 403
        assert called == []
        for site in ("same-origin", "none"):
            assert requests.post(url, headers={"Sec-Fetch-Site": site}, timeout=10).status_code == 200
        assert requests.get(url, headers={"Sec-Fetch-Site": "cross-site"}, timeout=10).status_code == 200


def test_the_route_prefix_comes_from_host_json(app: func.FunctionApp, tmp_path: Path) -> None:
    answer_with_its_name(app, "root", "v1/videos")
    (tmp_path / "host.json").write_text('{"extensions": {"http": {"routePrefix": ""}}}')
    with web(app, host_json=tmp_path / "host.json") as host:
        assert requests.get(f"{host.url}/v1/videos", timeout=10).text == "root"


def test_async_handlers_share_one_event_loop(app: func.FunctionApp) -> None:
    import asyncio

    loops: list[asyncio.AbstractEventLoop] = []
    both_are_in = asyncio.Barrier(2)

    @app.route(route="wait")
    async def wait(req: func.HttpRequest) -> func.HttpResponse:
        loops.append(asyncio.get_running_loop())
        await asyncio.wait_for(both_are_in.wait(), 10)
        return func.HttpResponse("met")

    with web(app) as host, ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(lambda _: requests.get(f"{host.url}/api/wait", timeout=15).text, range(2)))
    assert answers == ["met", "met"]
    assert len(loops) == 2
    assert loops[0] is loops[1]


def test_a_coroutine_that_waits_holds_no_thread_of_the_functions(
    app: func.FunctionApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    monkeypatch.setenv("PYTHON_THREADPOOL_THREAD_COUNT", "1")
    waits, go_on = threading.Event(), threading.Event()

    @app.route(route="wait")
    async def wait(req: func.HttpRequest) -> func.HttpResponse:
        waits.set()
        await asyncio.to_thread(go_on.wait, 30)
        return func.HttpResponse("waited")

    @app.route(route="quick")
    def quick(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse("quick")

    with web(app) as host, ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(requests.get, f"{host.url}/api/wait", timeout=40)
        try:
            assert waits.wait(10)
            assert requests.get(f"{host.url}/api/quick", timeout=10).text == "quick"
        finally:
            go_on.set()
        assert waiting.result(40).text == "waited"


def test_an_exception_is_a_500_with_an_empty_body_and_is_logged(
    app: func.FunctionApp, caplog: pytest.LogCaptureFixture
) -> None:
    @app.route(route="broken")
    def broken(req: func.HttpRequest) -> func.HttpResponse:
        raise RuntimeError("secret detail")

    with web(app) as host:
        answer = requests.get(f"{host.url}/api/broken", timeout=10)
    assert (answer.status_code, answer.content) == (500, b"")
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "'broken' (Failed, Id=" in record.message
    assert "secret detail" in caplog.text


@pytest.mark.parametrize("returned", [None, {"no": "response"}, b"bytes"])
def test_what_the_worker_cannot_send_is_a_500(app: func.FunctionApp, returned: Any) -> None:
    @app.route(route="odd")
    def odd(req: func.HttpRequest) -> Any:
        return returned

    with web(app) as host:
        assert requests.get(f"{host.url}/api/odd", timeout=10).status_code == 500


def test_a_string_is_an_answer_and_the_context_names_the_function(app: func.FunctionApp) -> None:
    @app.route(route="me")
    def who_am_i(req: func.HttpRequest, context: func.Context) -> str:
        return f"{context.function_name} {len(context.invocation_id)}"

    with web(app) as host:
        assert requests.get(f"{host.url}/api/me", timeout=10).text == "who_am_i 36"


def test_connections_are_kept_open(app: func.FunctionApp) -> None:
    answer_with_its_name(app, "fine", "fine", methods=["GET", "POST"])
    with web(app) as host:
        connection = http.client.HTTPConnection("127.0.0.1", int(host.url.rsplit(":", 1)[1]), timeout=10)
        sockets = []
        for _ in range(3):
            connection.request("POST", "/api/fine", body=b"some body")
            assert connection.getresponse().read() == b"fine"
            sockets.append(connection.sock)
        connection.close()
    assert sockets[0] is not None
    assert sockets == [sockets[0]] * 3


# Queues


def test_a_message_arrives_decoded_and_is_deleted_when_done(
    app: func.FunctionApp, queue: QueueClient, azurite: Azurite
) -> None:
    seen: list[Any] = []
    listen(app, queue, seen.append)
    with host_for(app, azurite) as host:
        send(queue, "grüße")
        assert until(lambda: seen)
        assert host.wait_idle(10)
        assert count(queue) == 0
    [message] = seen
    assert message.get_body() == "grüße".encode()
    assert message.dequeue_count == 1
    assert message.id
    assert message.pop_receipt
    assert message.insertion_time < message.time_next_visible < message.expiration_time


def test_a_message_without_base64_is_taken_as_it_is_when_host_json_says_so(
    app: func.FunctionApp, queue: QueueClient, azurite: Azurite
) -> None:
    seen: list[bytes] = []
    listen(app, queue, lambda message: seen.append(message.get_body()))
    plain = HostJson(queues=replace(QUICK.queues, message_encoding="none"))
    with host_for(app, azurite, host_json=plain):
        queue.send_message("{plain ä}")
        assert until(lambda: seen)
    assert seen == ["{plain ä}".encode()]


def test_a_message_that_is_not_base64_lies_in_the_poison_queue(
    app: func.FunctionApp, queue: QueueClient, azurite: Azurite
) -> None:
    seen: list[Any] = []
    listen(app, queue, seen.append)
    with host_for(app, azurite) as host:
        queue.send_message("{not base64}")
        assert host.wait_idle(10)
    assert contents(poison_of(queue, azurite)) == ["{not base64}"]
    assert count(queue) == 0
    assert seen == []


def test_a_message_that_fails_five_times_lies_in_the_poison_queue(
    app: func.FunctionApp, queue: QueueClient, azurite: Azurite, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[int] = []

    def fail(message: Any) -> None:
        tries.append(message.dequeue_count)
        raise RuntimeError("never works")

    listen(app, queue, fail)
    with host_for(app, azurite) as host:
        send(queue, "bad")
        assert until(lambda: len(tries) == 5)
        assert host.wait_idle(10)
    assert tries == [1, 2, 3, 4, 5]
    assert "it failed 5 times" in caplog.text
    assert contents(poison_of(queue, azurite)) == [base64.b64encode(b"bad").decode()]
    assert count(queue) == 0


def test_a_failed_message_comes_back_after_the_visibility_timeout(
    app: func.FunctionApp, queue: QueueClient, azurite: Azurite
) -> None:
    times: list[float] = []

    def fail_once(message: Any) -> None:
        times.append(time.monotonic())
        if len(times) == 1:
            raise RuntimeError("not yet")

    listen(app, queue, fail_once)
    patient = HostJson(queues=replace(QUICK.queues, visibility_timeout=1.0))
    with host_for(app, azurite, host_json=patient):
        send(queue, "later")
        assert until(lambda: len(times) == 2)
    assert times[1] - times[0] >= 0.9
    assert count(queue) == 0


@pytest.mark.exhaustive
def test_a_lease_is_renewed_while_the_function_runs(
    app: func.FunctionApp, queue: QueueClient, azurite: Azurite
) -> None:
    running = threading.Event()
    release = threading.Event()
    tries: list[int] = []

    def work(message: Any) -> None:
        tries.append(message.dequeue_count)
        running.set()
        release.wait(15)

    listen(app, queue, work)
    with host_for(app, azurite, lease_seconds=2):
        send(queue, "long")
        assert running.wait(10)
        # Longer than the lease; it is invisible for all of it.
        seen = until(lambda: contents(queue), 2.5)
        release.set()
        assert not seen
        assert until(lambda: count(queue) == 0)
    assert tries == [1]


def test_a_lost_lease_is_logged_and_no_crash(
    app: func.FunctionApp, queue: QueueClient, azurite: Azurite, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []

    def steal_own_message(message: Any) -> None:
        seen.append(message.get_body().decode())
        if seen == ["stolen"]:
            queue.update_message(message.id, message.pop_receipt, visibility_timeout=600)

    listen(app, queue, steal_own_message)
    with host_for(app, azurite):
        send(queue, "stolen")
        assert until(lambda: "another has message" in caplog.text)
        send(queue, "next")
        assert until(lambda: seen == ["stolen", "next"])


def test_no_more_than_a_batch_and_the_threshold_run_at_once(
    app: func.FunctionApp, queue: QueueClient, azurite: Azurite
) -> None:
    lock = threading.Lock()
    running: list[int] = [0]
    most: list[int] = [0]
    finished: list[int] = []
    gate = threading.Semaphore(0)

    def work(message: Any) -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        gate.acquire(timeout=15)
        with lock:
            running[0] -= 1
            finished.append(1)

    listen(app, queue, work)
    for number in range(12):
        send(queue, str(number))
    small = HostJson(queues=replace(QUICK.queues, batch_size=4, new_batch_threshold=2))
    with host_for(app, azurite, host_json=small):
        assert until(lambda: running[0] == 4)
        # Above the threshold nothing is fetched; the other eight stay visible.
        assert not until(lambda: running[0] > 4 or len(contents(queue)) != 8, 0.6)
        gate.release(2)
        assert until(lambda: running[0] == 6)
        assert not until(lambda: running[0] > 6, 0.6)
        gate.release(20)
        assert until(lambda: len(finished) == 12)
    assert most[0] == 6


@pytest.mark.exhaustive
def test_a_storage_outage_is_survived(
    app: func.FunctionApp, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    azurite = Azurite(data_dir=tmp_path)
    seen: list[str] = []
    with azurite:
        queue = QueueClient.from_connection_string(azurite.connection_string, "outage")
        queue.create_queue()
        listen(app, queue, lambda message: seen.append(message.get_body().decode()))
        with host_for(app, azurite):
            send(queue, "before")
            assert until(lambda: seen == ["before"])
            azurite.stop()
            assert until(lambda: "receiving fails" in caplog.text, 15)
            azurite.start()
            send(queue, "after")
            assert until(lambda: seen == ["before", "after"], 15)
    assert caplog.text.count("receiving fails") == 1


# Timers


def test_a_timer_fires_and_never_overlaps_itself(app: func.FunctionApp) -> None:
    running = threading.Lock()
    overlapped: list[bool] = []
    runs: list[float] = []

    @app.timer_trigger(arg_name="timer", schedule="* * * * * *", run_on_startup=True)
    def tick(timer: func.TimerRequest) -> None:
        overlapped.append(not running.acquire(blocking=False))
        assert timer.past_due in (True, False)
        runs.append(time.monotonic())
        stopping.wait(1.4)  # longer than the schedule
        running.release()

    stopping = threading.Event()
    with web(app):
        assert until(lambda: runs, 0.9)  # on start-up, not with the next second
        assert until(lambda: len(runs) >= 2)
        stopping.set()
    assert not any(overlapped)
    assert runs[1] - runs[0] < 2.6


def test_a_failing_timer_runs_again_as_planned(app: func.FunctionApp) -> None:
    runs: list[float] = []

    @app.timer_trigger(arg_name="timer", schedule="* * * * * *")
    def fail(timer: func.TimerRequest) -> None:
        runs.append(time.monotonic())
        raise RuntimeError("this time")

    with web(app):
        assert until(lambda: len(runs) >= 2)
    assert runs[1] - runs[0] > 0.5


# The host


def test_a_function_that_outlives_the_timeout_calls_the_hook(
    app: func.FunctionApp, caplog: pytest.LogCaptureFixture
) -> None:
    ended = threading.Event()

    @app.route(route="slow")
    def slow(req: func.HttpRequest) -> str:
        return "in the end" if ended.wait(10) else "never ended"

    @app.route(route="quick")
    def quick(req: func.HttpRequest) -> str:
        return "quick"

    with web(app, host_json=HostJson(function_timeout=0.3), on_timeout=ended.set) as host:
        assert requests.get(f"{host.url}/api/quick", timeout=10).text == "quick"
        assert requests.get(f"{host.url}/api/slow", timeout=15).text == "in the end"
    [record] = [record for record in caplog.records if record.levelname == "CRITICAL"]
    assert "'slow' (Id=" in record.message


def test_stopping_waits_for_the_running_function(
    app: func.FunctionApp, queue: QueueClient, azurite: Azurite
) -> None:
    started, release = threading.Event(), threading.Event()
    listen(app, queue, lambda _: (started.set(), release.wait(15)))
    host = host_for(app, azurite).start()
    send(queue, "work")
    assert started.wait(10)
    results: list[bool] = []
    stopper = threading.Thread(target=lambda: results.append(host.stop(10)))
    stopper.start()
    assert until(lambda: refuses_connections(host.url))
    send(queue, "not taken any more")
    assert not until(lambda: results, 0.3)
    release.set()
    stopper.join(10)
    assert results == [True]
    assert count(queue) == 1
    assert contents(queue) == [base64.b64encode(b"not taken any more").decode()]


def test_stopping_gives_up_after_its_time(app: func.FunctionApp) -> None:
    started, release = threading.Event(), threading.Event()

    @app.route(route="stuck")
    def stuck(req: func.HttpRequest) -> str:
        started.set()
        release.wait(15)
        return "too late"

    host = web(app).start()
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(requests.get, f"{host.url}/api/stuck", timeout=15)
        assert started.wait(10)
        assert host.stop(0.1) is False
        with pytest.raises(requests.ConnectionError):
            answer.result()
    release.set()


@pytest.mark.parametrize("decorate", ["blob_output", "blob_trigger"])
def test_an_unknown_binding_is_refused(app: func.FunctionApp, decorate: str) -> None:
    def copy_it(**_: Any) -> None: ...

    if decorate == "blob_output":
        decorated = app.blob_output(arg_name="out", path="a/b", connection="AzureWebJobsStorage")(copy_it)
        app.timer_trigger(arg_name="timer", schedule="0 0 * * * *")(decorated)
        pattern = r"copy_it.* type blob \(out\)"
    else:
        app.blob_trigger(arg_name="blob", path="a/b", connection="AzureWebJobsStorage")(copy_it)
        pattern = r"copy_it.* type blobTrigger \(blob\)"
    with pytest.raises(AppError, match=pattern):
        web(app)


def test_an_argument_that_nothing_is_bound_to_is_refused(app: func.FunctionApp) -> None:
    @app.route(route="x")
    def strange(req: func.HttpRequest, more: str) -> str:
        return more

    with pytest.raises(AppError, match=r"strange: nothing is bound to its argument more"):
        web(app)


def test_a_schedule_that_cannot_be_read_is_refused(app: func.FunctionApp) -> None:
    @app.timer_trigger(arg_name="timer", schedule="every day")
    def daily(timer: func.TimerRequest) -> None: ...

    with pytest.raises(AppError, match=r"daily: its schedule 'every day'"):
        web(app)


def test_a_missing_connection_setting_is_named(
    app: func.FunctionApp, queue: QueueClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AzureWebJobsStorage", raising=False)
    listen(app, queue, print)
    with pytest.raises(AppError, match="AzureWebJobsStorage"):
        web(app)


def test_host_json_is_read_and_its_faults_are_named() -> None:
    settings = HostJson.parse(
        {
            "version": "2.0",
            "functionTimeout": "00:10:00",
            "logging": {"logLevel": {"default": "Warning"}},
            "extensions": {
                "queues": {
                    "batchSize": 4,
                    "maxPollingInterval": "00:00:01.5",
                    "visibilityTimeout": "1.00:00:30",
                }
            },
        }
    )
    assert (settings.function_timeout, settings.route_prefix) == (600, "api")
    assert settings.logs.level("Function.any.User") == logging.WARNING
    assert settings.queues == QueueOptions(4, None, 5, 1.5, 86430.0)
    assert settings.queues.threshold == 2
    assert HostJson.parse({"functionTimeout": "-1"}).function_timeout is None
    for queues, name in [
        ({"batchSize": 33}, "batchSize"),
        ({"batchSize": "4"}, "batchSize"),
        ({"visibilityTimeout": 30}, "visibilityTimeout"),
        ({"messageEncoding": "utf8"}, "messageEncoding"),
    ]:
        with pytest.raises(HostJsonError, match=name):
            HostJson.parse({"extensions": {"queues": queues}})


# The command

COMMAND_APP = """
import os, time
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route(route="hello/{name}", methods=["GET"])
def hello(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(os.environ["GREETING"] + os.environ["KEPT"] + req.route_params["name"])

@app.queue_trigger(arg_name="msg", queue_name="%QUEUE%", connection="AzureWebJobsStorage")
def hang(msg: func.QueueMessage) -> None:
    print("HANGING", flush=True)
    time.sleep(60)
"""


@pytest.mark.exhaustive
def test_the_command_runs_an_app_and_a_killed_hosts_message_comes_back_after_the_lease(
    app: func.FunctionApp, queue: QueueClient, azurite: Azurite, tmp_path: Path
) -> None:
    (tmp_path / "function_app.py").write_text(COMMAND_APP)
    (tmp_path / "local.settings.json").write_text('{"Values": {"GREETING": "hello ", "KEPT": "overwritten"}}')
    with command(tmp_path, azurite, QUEUE=queue.queue_name, KEPT="dear ") as process:
        lines = read_until(process, "Ready on ")
        url = lines[-1].split()[2]
        port = url.rsplit(":", 1)[1]
        assert f"  hello: [GET] http://localhost:{port}/api/hello/{{name}}" in lines
        assert requests.get(f"{url}/api/hello/world", timeout=10).text == "hello dear world"
        send(queue, "survivor")
        read_until(process, "HANGING")
        killed_at = time.monotonic()
        process.kill()
        process.wait(10)
    seen: list[int] = []
    listen(app, queue, lambda message: seen.append(message.dequeue_count))
    with host_for(app, azurite):
        assert until(lambda: seen)
    assert seen == [2]
    assert time.monotonic() - killed_at > 0.8  # the lease was renewed within the last second


def test_the_command_stops_on_sigterm_with_0_and_at_once_on_a_second_signal(
    queue: QueueClient, azurite: Azurite, tmp_path: Path
) -> None:
    (tmp_path / "function_app.py").write_text(COMMAND_APP)
    settings = {"QUEUE": queue.queue_name, "GREETING": "", "KEPT": ""}
    with command(tmp_path, azurite, **settings) as calm, command(tmp_path, azurite, **settings) as hasty:
        read_until(calm, "Ready on ")
        read_until(hasty, "Ready on ")
        calm.send_signal(signal.SIGTERM)
        assert calm.wait(10) == 0
        send(queue, "hangs")
        read_until(hasty, "HANGING")
        hasty.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            hasty.wait(0.5)
        hasty.send_signal(signal.SIGINT)
        assert hasty.wait(5) == 128 + signal.SIGINT


def test_the_command_without_an_app_says_so(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "local.function_host", "--app-root", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 1
    assert "There is no function_app.py" in done.stderr
    assert "Traceback" not in done.stderr


# Helpers


def answer_with_its_name(
    app: func.FunctionApp,
    name: str,
    route: str,
    methods: list[str] | None = ["GET"],  # noqa: B006 (never changed)
) -> None:
    @app.function_name(name)
    @app.route(route=route, methods=methods)
    def named(req: func.HttpRequest) -> str:
        return " ".join([name, *(f"{key}={value}" for key, value in req.route_params.items())])


def status_of(address: tuple[str, int], request: bytes) -> int:
    with socket.create_connection(address, timeout=10) as client:
        client.sendall(request)
        return int(client.makefile("rb").readline().split()[1])


def refuses_connections(url: str) -> bool:
    try:
        socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1]))).close()
    except ConnectionRefusedError:
        return True
    return False


def exists(queue: QueueClient) -> bool:
    try:
        queue.get_queue_properties()
    except Exception:  # noqa: BLE001 (any answer but success)
        return False
    return True


def command(app_root: Path, azurite: Azurite, **settings: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "local.function_host", "--port", "0"),
            *("--lease-seconds", "2", "--app-root", str(app_root)),
        ],
        cwd=ROOT,
        env={**os.environ, "AzureWebJobsStorage": azurite.connection_string, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def read_until(process: "subprocess.Popen[str]", start: str) -> list[str]:
    lines: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if line.startswith(start):
            return lines
    raise AssertionError(f"the host ended without saying {start!r}: {lines}")


# --- keys ----------------------------------------------------------------------------------------

ANY_LEVEL = ("anonymous", "function", "admin")


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    app = func.FunctionApp()
    for level in ANY_LEVEL:

        def answer(req: func.HttpRequest) -> str:
            return "in"

        app.function_name(level)(app.route(level, auth_level=func.AuthLevel[level.upper()])(answer))
    with FunctionHost(app, keys=AccessKeys(function="f-key", master="m-key")) as host:
        yield f"{host.url}/api"


@pytest.mark.parametrize(
    ("key", "lets_into"),
    [
        (None, {"anonymous"}),
        ("", {"anonymous"}),
        ("F-KEY", {"anonymous", "function"}),
        ("f-key", {"anonymous", "function"}),
        ("m-key", {"anonymous", "function", "admin"}),
    ],
)
def test_a_key_lets_in_where_azure_lets_it_in(guarded: str, key: str | None, lets_into: set[str]) -> None:
    by_header = {"headers": {"x-functions-key": key} if key is not None else {}}
    by_query = {"params": {"code": key} if key is not None else {}}
    for way in (by_header, by_query):
        answers = {level: requests.get(f"{guarded}/{level}", timeout=10, **way) for level in ANY_LEVEL}
        assert {level for level, answer in answers.items() if answer.status_code == 200} == lets_into
        refused = [answer for answer in answers.values() if answer.status_code != 200]
        assert {(answer.status_code, answer.content) for answer in refused} <= {(401, b"")}


def test_where_both_stand_the_header_counts(guarded: str) -> None:
    answer = requests.get(
        f"{guarded}/function", params={"code": "f-key"}, headers={"x-functions-key": "wrong"}, timeout=10
    )
    assert answer.status_code == 401


def test_what_is_not_there_is_404_with_and_without_a_key(guarded: str) -> None:
    assert requests.get(f"{guarded}/nothing", timeout=10).status_code == 404


def test_a_key_that_is_not_ascii_is_a_wrong_key() -> None:
    keys = AccessKeys(function="f-key")
    assert not keys.admit("function", {"x-functions-key": "schlüssel"}, {})
    assert not keys.admit("admin", {"x-functions-key": "f-key"}, {})
    assert "f-key" not in repr(keys)
