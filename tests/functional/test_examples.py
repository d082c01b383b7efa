"""The small clients under `examples/`, run as a person runs them: against the whole app."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from standardwebhooks.webhooks import Webhook

from local.azurite_process import Azurite, find_node
from local.simulator.server import Simulator
from tests.leaks import SECRETS
from tests.pipeline import API_KEY
from tests.whole_app import running_app

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NEXTJS = EXAMPLES / "nextjs"
SECRET = "whsec_" + base64.b64encode(b"the secret of the examples").decode()
SECRETS[SECRET] = "the webhook secret of the examples"
PROGRAMS = {"curl": ["bash", "curl.sh"], "python": [sys.executable, "python/generate.py"]}


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(api_key=API_KEY, speed=30, running_limit=None) as running:
        yield running


@pytest.fixture(scope="module")
def api(azurite: Azurite, simulator: Simulator) -> Iterator[str]:
    with running_app(
        azurite,
        simulator,
        VIDEO_RUNNING_LIMIT="0",
        WEBHOOK_SECRETS=SECRET,
        WEBHOOK_ALLOW_HTTP_LOOPBACK="true",
    ) as host:
        yield f"{host.url}/api"


@dataclass
class Run:
    """A program, and the folder that it was to leave its video in."""

    process: subprocess.Popen[str]
    folder: Path

    def finish(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=100)
        return self.process.returncode, out, err


Runs = dict[tuple[str, str], Run]
PROMPTS = {
    "made": "a paper boat",
    "failing": "a paper boat, internal-failure",
    "refused": "\x1b",
    "rejected": "a paper boat, rejected-prompt",
}


@pytest.fixture(scope="module")
def runs(api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """All at once: most of it is waiting."""
    environment = {**os.environ, "REELKEEP_API": api, "REELKEEP_KEY": "key-of-a-function"}
    started: Runs = {}
    for program, what in itertools.product(PROGRAMS, PROMPTS):
        folder = tmp_path_factory.mktemp(program)
        process = subprocess.Popen(
            [*PROGRAMS[program], PROMPTS[what], str(folder / "boat.mp4")],
            cwd=EXAMPLES,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started[program, what] = Run(process, folder)
    yield started
    for run in started.values():
        run.process.kill()
        run.process.wait()


# --- from a prompt to a file ---------------------------------------------------------------------


@pytest.mark.parametrize("program", PROGRAMS)
def test_it_leaves_the_video_that_was_stored(api: str, runs: Runs, program: str) -> None:
    status, out, err = runs[program, "made"].finish()
    assert status == 0, out + err
    job = requests.get(f"{api}/jobs/{out.split()[0]}", timeout=10).json()
    [file] = runs[program, "made"].folder.iterdir()
    content = file.read_bytes()
    assert (file.name, content[4:8]) == ("boat.mp4", b"ftyp")
    assert hashlib.sha256(content).hexdigest() == job["videos"][0]["sha256"] == out.split()[-1]
    assert "queued" in out + err


WAITING = {"id": "job_x", "status": "waiting", "reason": None, "progress": None, "expected_at": None}


def run_against(
    answers: list[dict[str, Any]], program: str, folder: Path
) -> subprocess.CompletedProcess[str]:
    """Runs the program against an app that gives these answers one after another, and then the last one again. One with a
    code is a problem."""

    class App(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            told = answers.pop(0) if len(answers) > 1 else answers[0]
            body = json.dumps(told).encode()
            self.send_response(told["status"] if "code" in told else 200)
            headers = {"ETag": f'"{len(answers)}"', "Content-Length": str(len(body))}
            if "code" in told:
                headers["Content-Type"] = "application/problem+json"
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer  # noqa: N815 - as http.server calls them

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), App) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        said = subprocess.run(
            [*PROGRAMS[program], "a paper boat", str(folder / "boat.mp4")],
            cwd=EXAMPLES,
            env={**os.environ, "REELKEEP_API": f"http://127.0.0.1:{server.server_port}/api"},
            capture_output=True,
            text=True,
            timeout=60,
        )
        server.shutdown()
    return said


@pytest.mark.parametrize("program", PROGRAMS)
def test_why_a_job_waits_is_said_once_and_not_kept_to_itself(program: str, tmp_path: Path) -> None:
    """Against an app that answers as one whose key is refused, and then as one that has been mended."""
    waiting = {**WAITING, "reason": "The key is refused."}
    ended = {**WAITING, "status": "failed", "error": {"message": "Gone."}, "videos": []}
    said = run_against([waiting, waiting, {**waiting, "updated_at": "later"}, ended], program, tmp_path)
    assert said.returncode == 1, said
    assert said.stderr.count("The key is refused.") == 1


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_job_that_is_cancelled_ends_it_with_a_sentence(program: str, tmp_path: Path) -> None:
    """A cancelled job has no `error` that could be shown."""
    ended = {**WAITING, "status": "cancelled", "error": None, "videos": []}
    said = run_against([WAITING, ended], program, tmp_path)
    assert said.returncode == 1, said
    assert said.stderr.splitlines()[-1] == "It is cancelled."
    assert "Traceback" not in said.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_job_that_fails_ends_it_with_the_reason(api: str, runs: Runs, program: str) -> None:
    status, out, err = runs[program, "failing"].finish()
    assert status == 1
    job = requests.get(f"{api}/jobs/{out.split()[0]}", timeout=10).json()
    assert job["error"]["message"] in err
    assert list(runs[program, "failing"].folder.iterdir()) == []


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_is_refused_is_said_in_the_apps_words(runs: Runs, program: str) -> None:
    status, _, err = runs[program, "refused"].finish()
    assert status != 0
    assert "it holds control characters" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_job_that_the_video_api_refuses_is_over_and_the_next_run_begins_another(
    runs: Runs, program: str
) -> None:
    status, _, err = runs[program, "rejected"].finish()
    assert status == 1
    assert "The request was refused by the content filter" in err
    assert list(runs[program, "rejected"].folder.iterdir()) == []


@pytest.mark.parametrize(
    "answers",
    [
        [WAITING, {"status": 404, "code": "job_not_found", "detail": "It was deleted."}],
        [{"status": 409, "code": "idempotency_key_reused", "detail": "It was deleted."}],
    ],
    ids=["while it is followed", "before"],
)
@pytest.mark.parametrize("program", PROGRAMS)
def test_after_a_job_was_deleted_the_next_run_begins_another(
    program: str, answers: list[dict[str, Any]], tmp_path: Path
) -> None:
    said = run_against([*answers], program, tmp_path)
    assert said.returncode == 1, said
    assert "It was deleted." in said.stderr
    assert list(tmp_path.iterdir()) == []


# --- route handlers ------------------------------------------------------------------------------


class Server:
    def __init__(self, url: str, log: Path) -> None:
        self.url, self._log = url, log

    @property
    def said(self) -> str:
        return self._log.read_text()

    def says(self, line: str) -> re.Match[str]:
        """Waits for a line that this matches."""
        deadline = time.monotonic() + 60
        while (found := re.search(line, self.said)) is None:
            assert time.monotonic() < deadline, self.said
            time.sleep(0.02)
        return found

    def post(self, path: str, **arguments: Any) -> requests.Response:
        return requests.post(f"{self.url}/api/{path}", timeout=30, **arguments)

    def receive(
        self, secret: str, body: str = '{"type": "job.succeeded"}', at: datetime | None = None
    ) -> int:
        """An event, signed by whoever has the secret."""
        at = at or datetime.now(UTC)
        signed = Webhook(secret).sign("evt_1", at, body)
        headers = {
            "webhook-id": "evt_1",
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": signed,
        }
        return self.post("webhooks/reelkeep", data=body, headers=headers).status_code


@pytest.fixture(scope="module")
def server(api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The route handlers, checked by the compiler, on Node's own server."""
    compiler = NEXTJS / "node_modules" / "typescript" / "bin" / "tsc"
    assert compiler.exists(), "make .venv/.dev-ready, or: npm ci --prefix examples/nextjs"
    built = subprocess.run([find_node(), compiler], cwd=NEXTJS, capture_output=True, text=True, timeout=110)
    assert built.returncode == 0, built.stdout
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "PORT": str(port),
        "REELKEEP_API": api,
        "REELKEEP_WEBHOOK_URL": f"http://127.0.0.1:{port}/api/webhooks/reelkeep",
        "REELKEEP_WEBHOOK_SECRET": SECRET,
    }
    running = Server(f"http://127.0.0.1:{port}", tmp_path_factory.mktemp("nextjs") / "server.log")
    with running._log.open("w") as log:
        process = subprocess.Popen(
            [find_node(), "build/server.js"], cwd=NEXTJS, env=environment, stdout=log, stderr=log
        )
    try:
        running.says("Ready on")
        yield running
    finally:
        process.kill()
        process.wait()


@pytest.mark.exhaustive
def test_a_video_is_submitted_and_its_end_received_and_verified(server: Server, api: str) -> None:
    answer = server.post("videos", json={"prompt": "a paper boat"})
    assert answer.status_code == 202, answer.text
    server.says(f"job.succeeded {answer.json()['id']} 1 videos")
    deadline = time.monotonic() + 60
    while (told := hook_of(api, answer.json()["id"]))["status"] != "delivered":
        assert time.monotonic() < deadline, told
        time.sleep(0.05)
    assert [delivery["status_code"] for delivery in told["deliveries"]] == [204]
    assert requests.post(f"{api}/jobs/{answer.json()['id']}/webhook", timeout=10).status_code == 202
    while len(hook_of(api, answer.json()["id"])["deliveries"]) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert server.said.count(answer.json()["id"]) == 1, "what came twice was taken twice"


def test_a_browser_follows_a_video_and_is_led_to_a_fresh_url_each_time(server: Server) -> None:
    job_id = server.post("videos", json={"prompt": "a paper boat"}).json()["id"]
    status = f"{server.url}/api/videos/{job_id}"
    deadline = time.monotonic() + 60
    while (told := requests.get(status, timeout=10).json())["status"] != "succeeded":
        assert told["video"] is None
        assert time.monotonic() < deadline, told
        time.sleep(0.2)  # as a browser polls
    assert told["video"] == f"/api/videos/{job_id}/video"
    led = requests.get(f"{status}/video", timeout=10, allow_redirects=False)
    assert led.status_code == 302
    assert led.headers["cache-control"] == "no-store"
    assert requests.get(led.headers["location"], timeout=10).content[4:8] == b"ftyp"
    assert "x-functions-key" not in str(told)


def test_a_video_that_there_is_not_is_404_in_words(server: Server) -> None:
    for path in ("videos/job_nobody", "videos/job_nobody/video"):
        answer = requests.get(f"{server.url}/api/{path}", timeout=10)
        assert (answer.status_code, answer.json()["error"]) == (404, "There is no such video.")


@pytest.mark.timeout(500)  # a compiler and a bundler, on whatever machine
@pytest.mark.exhaustive
def test_next_builds_the_page_and_its_routes() -> None:
    command = NEXTJS / "node_modules" / "next" / "dist" / "bin" / "next"
    assert command.exists(), "make .venv/.dev-ready, or: npm ci --prefix examples/nextjs"
    environment = {**os.environ, "NEXT_TELEMETRY_DISABLED": "1", "CI": "1"}
    built = subprocess.run(
        [find_node(), command, "build"],
        cwd=NEXTJS,
        env=environment,
        capture_output=True,
        text=True,
        timeout=480,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    for route in ("/", "/api/videos", "/api/videos/[id]", "/api/videos/[id]/video", "/api/webhooks/reelkeep"):
        assert f" {route} " in built.stdout, built.stdout


def hook_of(api: str, job_id: str) -> Any:
    return requests.get(f"{api}/jobs/{job_id}", timeout=10).json()["webhook"]


def test_a_click_that_is_sent_twice_makes_one_video(server: Server) -> None:
    key = {"Idempotency-Key": "one-click"}
    first, second = (server.post("videos", json={"prompt": "a paper boat"}, headers=key) for _ in range(2))
    assert first.json()["id"] == second.json()["id"]


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ("", 400, "Send JSON"),
        ('{"prompt": 7}', 400, "Send JSON"),
        ('{"prompt": ""}', 400, "prompt: it is empty"),
    ],
)
def test_what_a_visitor_may_not_ask_is_refused_in_words(
    server: Server, body: str, status: int, says: str
) -> None:
    answer = server.post("videos", data=body)
    assert answer.status_code == status
    assert says in answer.json()["error"]


ASK = """
globalThis.fetch = async () => Response.json({detail: "the operator's", code: "x"}, {status: STATUS});
console.error = () => {};
const {POST} = require("./build/app/api/videos/route");
const body = JSON.stringify({prompt: "a paper boat"});
POST(new Request("http://x", {method: "POST", body})).then(
  async (answer) => console.log(answer.status, (await answer.json()).error));
"""


@pytest.mark.exhaustive
@pytest.mark.usefixtures("server")  # which builds
def test_what_is_the_operators_to_mend_is_not_shown_to_a_visitor() -> None:
    for status in (401, 403, 404, 500, 503):
        asked = [find_node(), "-e", ASK.replace("STATUS", str(status))]
        said = subprocess.run(asked, cwd=NEXTJS, capture_output=True, text=True, timeout=30)
        assert said.stdout.startswith("502 Videos can't be made right now"), said


def test_only_what_is_signed_and_fresh_is_received(server: Server) -> None:
    another = "whsec_" + base64.b64encode(b"somebody else's secret!!").decode()
    before = server.said
    assert server.receive(another) == 401
    assert server.receive(SECRET, at=datetime.now(UTC) - timedelta(minutes=6)) == 401
    assert server.post("webhooks/reelkeep", data="{}").status_code == 401
    assert server.said == before
