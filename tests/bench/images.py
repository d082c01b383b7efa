"""How much memory four jobs take that bring an image of 19 MiB each, all at once, and whether others are answered meanwhile.

From the request to the paid call, in a process of its own: requests on threads, and messages eight at a time, as the host has
them. Measured above what the process holds when all is imported and warm and the four bodies have come: those are the
host's to hand over, whole, before a function runs.
"""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.bench.memory import megabytes
from tests.bench.report import say, table, verdict
from tests.bench.stack import running_stack

GOAL = 60 * (1 << 20) / 1e6  # MB
LONGEST = 1.0  # seconds for the answer to somebody else
AT_ONCE = 4
_IMAGE = 19 << 20  # bytes
_MESSAGES = 8  # at once, as host.json has it

_STATUS = Path("/proc/self/status")
_FORMS = ("json", "form")


def run() -> None:
    if not _STATUS.exists():
        say("Images: left out, since this system has no /proc to read it from")
        return
    say(f"Images: {AT_ONCE} jobs at once with {_IMAGE >> 20} MiB each, in a fresh process")
    rows, peaks, slowest = [], [], []
    with running_stack() as stack:
        for form in _FORMS:
            done = subprocess.run(
                [sys.executable, "-m", "tests.bench.images", form],
                env={**os.environ, **stack.environment},
                check=True,
                capture_output=True,
                text=True,
            )
            idle, peak, slow = map(float, done.stdout.split())
            peaks.append(peak - idle)
            slowest.append(slow)
            rows.append(
                [form, f"{idle:.0f} MB", f"{peak:.0f} MB", f"{peak - idle:.0f} MB", f"{slow * 1000:.0f} ms"]
            )
    head = ["", "idle, with bodies", "peak", "above idle", "slowest other answer"]
    table("Memory of jobs with an image (resident, peak)", head, rows)
    say(f"  most above idle, MB: {verdict(max(peaks), f'≤ {GOAL:.0f}', max(peaks) <= GOAL)}")
    say(f"  slowest other answer, s: {verdict(max(slowest), f'≤ {LONGEST:.0f}', max(slowest) <= LONGEST)}")


def measure(form: str) -> tuple[float, float, float]:
    """The process's memory in MB, idle and at its peak, and the seconds of the slowest answer to somebody else."""
    import azure.functions as func

    import function_app  # noqa: F401 (the whole app is in memory when a function runs)
    from http_edge.answers import see_job
    from poll_job.poll import poll_job
    from submit_job.blueprint import submit_job_function
    from video_jobs.domain.job import Status
    from video_jobs.domain.queue_messages import POLL_QUEUE, decode_poll
    from video_jobs.settings.app import Settings
    from video_jobs.storage.connection import connect
    from video_jobs.wiring import get_services

    services = get_services()
    queue = connect(Settings.from_environment(os.environ).storage).queues.get_queue_client(POLL_QUEUE)
    submit: Callable[..., Any] = submit_job_function.build(None).get_user_function()  # type: ignore[attr-defined]

    def request(body: bytes, content_type: str) -> func.HttpRequest:
        return func.HttpRequest(
            method="POST",
            url="http://localhost/api/jobs",
            headers={"content-type": content_type},
            body=body,
        )

    def poll(message: Any) -> None:
        poll_job(services, decode_poll(base64.b64decode(message.content)))

    def go_through(requests: list[func.HttpRequest]) -> float:
        slowest, waiting = 0.0, list[str]()
        with ThreadPoolExecutor(len(requests)) as clients, ThreadPoolExecutor(_MESSAGES) as host:
            answers = [clients.submit(submit, each) for each in requests]
            polls: list[Future[None]] = []
            while not all(answer.done() for answer in answers) or waiting or not polls:
                waiting = [
                    job_id
                    for job_id in (json.loads(a.result().get_body())["id"] for a in answers if a.done())
                    if services.jobs.get("default", job_id).job.status is Status.WAITING
                ]
                polls = [each for each in polls if not each.done() or each.result()]  # type: ignore[func-returns-value]
                for message in queue.receive_messages(max_messages=_MESSAGES, visibility_timeout=600):
                    polls.append(host.submit(poll, message))
                began = time.monotonic()
                see_job(services, services.jobs.get("default", known).job)
                slowest = max(slowest, time.monotonic() - began)
                time.sleep(0.02)
                if answers and all(a.done() for a in answers) and not waiting:
                    break
        return slowest

    def sent(size: int) -> func.HttpRequest:
        return request(*_body(form, size))

    first = submit(request(json.dumps({"prompt": "a warm-up"}).encode(), "application/json"))
    known = json.loads(first.get_body())["id"]
    go_through([sent(100_000)])
    requests = [sent(_IMAGE) for _ in range(AT_ONCE)]
    # 5 sets the peak back to what is in use now: proc_pid_clear_refs(5).
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    idle = megabytes("VmRSS")
    slowest = go_through(requests)
    return idle, megabytes("VmHWM"), slowest


def _body(form: str, size: int) -> tuple[bytes, str]:
    from PIL import Image
    from urllib3 import encode_multipart_formdata

    picture = io.BytesIO()
    Image.new("RGB", (720, 1280)).save(picture, "PNG")
    content = picture.getvalue() + os.urandom(size)
    if form == "form":
        fields = {"prompt": "a boat", "size": "720x1280", "input_image": ("a.png", content, "image/png")}
        return encode_multipart_formdata(fields)
    url = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    body = {"prompt": "a boat", "size": "720x1280", "input_image": url}
    return json.dumps(body).encode(), "application/json"


if __name__ == "__main__":
    print(*measure(*sys.argv[1:]))
