"""`make load`: one, two and four function hosts with one storage and one video API. How much do they do, and is it right?

Clients submit as fast as they are answered, others read at the same time; in the end the video API's books are held
against what lies in storage. All parts share this machine's cores: what is bounded by them here is not in Azure.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import requests

from local.processes import stop_on_signals
from local.stack import Service, StackError
from tests.bench.host_process import processor_seconds, running_host
from tests.bench.load_books import Ledger, Outcome, broken_promises, read_outcome, still_alive
from tests.bench.report import say, table
from tests.bench.stack import Stack, running_stack
from video_jobs.settings.app import Settings
from video_jobs.storage.connection import connect

HOSTS = (1, 2, 4)
JOBS = 240  # in all

_RUNNING_LIMIT = 40
_RUN_SECONDS = 5.0
_CLIENTS = 8
_GET_EVERY = 0.05  # seconds
_COUNT_EVERY = 2.0  # seconds
_PATIENCE = (120.0, 1.5)  # seconds for the last job to end, and as many more for each job
_DIALECT = "azure-sora"
_BODY = {"prompt": "a load", "size": "480x480", "seconds": 1}


@dataclass
class Stage:
    """What one number of hosts came to. Times are seconds."""

    hosts: int
    jobs: int
    submitting: float = 0.0
    finishing: float = 0.0  #: from the first submit to the last end
    submits: list[float] = field(default_factory=list)
    reads: list[float] = field(default_factory=list)
    refused: int = 0  #: answers other than 202, after which the client asked again
    processor: dict[str, float] = field(default_factory=dict)
    busy: float = 0.0  #: share of the machine's processors, whoever used them
    broken: list[str] = field(default_factory=list)

    @property
    def ours(self) -> float:
        """Share of the machine's processors that went into this."""
        return sum(self.processor.values()) / max(self.finishing, 0.1) / (os.cpu_count() or 1)


def measure(hosts: int, jobs: int, clients: int = _CLIENTS) -> Stage:
    stage = Stage(hosts, jobs)
    with tempfile.TemporaryDirectory(prefix="reelkeep-load-") as folder, contextlib.ExitStack() as parts:
        stack = parts.enter_context(running_stack())
        stack.api.configure(
            speed=1, queue_seconds=0, run_seconds=_RUN_SECONDS, running_limit=_RUNNING_LIMIT, any_size=True
        )
        settings = {"VIDEO_DIALECT": _DIALECT, "VIDEO_RUNNING_LIMIT": str(_RUNNING_LIMIT)}
        running = [
            parts.enter_context(running_host(stack, Path(folder), f"host-{number}", **settings))
            for number in range(hosts)
        ]
        environment = stack.environment | settings
        storage = connect(Settings.from_environment(environment).storage)
        _warm_up(running)
        used, ledger = _processor(running, stack), Ledger(stack.api)
        began, machine = time.monotonic(), _machine()
        ids = _submit(stage, [host.url for host in running], clients)
        patience = began + _PATIENCE[0] + _PATIENCE[1] * jobs
        while left := still_alive(storage):
            ledger.read_on()
            if time.monotonic() > patience:
                stage.broken.append(f"{left} jobs have not ended after {time.monotonic() - began:.0f} s")
                break
            time.sleep(_COUNT_EVERY)
        stage.processor = {name: seconds - used[name] for name, seconds in _processor(running, stack).items()}
        stage.busy = 1 - (_machine()[1] - machine[1]) / max(_machine()[0] - machine[0], 1)
        ledger.read_on()
        outcome: Outcome = read_outcome(storage)
        stage.finishing = outcome.seconds
        stage.broken += broken_promises(ids, outcome, ledger)
    return stage


def _submit(stage: Stage, urls: Sequence[str], clients: int) -> list[str]:
    """Every client asks the hosts in turn, until it is answered 202; somebody reads meanwhile."""
    numbers, lock = iter(range(stage.jobs)), threading.Lock()
    accepted: list[str] = []
    done = threading.Event()

    def client(which: int) -> None:
        hosts = itertools.cycle(urls[which % len(urls) :] + urls[: which % len(urls)])
        with requests.Session() as session:
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                job_id, seconds, refused = _ask(session, hosts, f"load-{number}")
                with lock:
                    accepted.append(job_id)
                    stage.submits.append(seconds)
                    stage.refused += refused

    def reader() -> None:
        hosts, chance = itertools.cycle(urls), random.Random(1)
        with requests.Session() as session:
            while not done.wait(_GET_EVERY):
                if accepted:
                    asked = time.monotonic()
                    answer = session.get(f"{next(hosts)}/api/jobs/{chance.choice(accepted)}", timeout=60)
                    answer.raise_for_status()
                    stage.reads.append(time.monotonic() - asked)

    began = time.monotonic()
    with ThreadPoolExecutor(clients + 1) as pool:
        reading = pool.submit(reader)
        try:
            for each in [pool.submit(client, which) for which in range(clients)]:
                each.result()
        finally:
            stage.submitting = time.monotonic() - began
            done.set()
        reading.result()
    return accepted


def _ask(session: requests.Session, hosts: itertools.cycle[str], key: str) -> tuple[str, float, int]:
    """The job's id, how long the answer took, and how many came before it that were none."""
    for refused in range(100):
        asked = time.monotonic()
        try:
            answer = session.post(
                f"{next(hosts)}/api/jobs", json=_BODY, headers={"Idempotency-Key": key}, timeout=60
            )
        except requests.RequestException:
            continue
        if answer.status_code == 202:
            return str(answer.json()["id"]), time.monotonic() - asked, refused
        time.sleep(0.2)
    raise AssertionError(f"{key} was not accepted in a hundred tries")


def _warm_up(hosts: Sequence[Service]) -> None:
    """So that tables and queues are there, and no worker imports anything any more."""
    for host in hosts:
        requests.get(f"{host.url}/api/jobs", timeout=60).raise_for_status()


def _processor(hosts: Sequence[Service], stack: Stack) -> dict[str, float]:
    each = [processor_seconds(host.pid) for host in hosts]
    return {
        "workers": sum(used["others"] for used in each),
        "hosts": sum(used["leader"] for used in each),
        "Azurite": sum(processor_seconds(stack.azurite.pid).values()),
        "video API": sum(processor_seconds(stack.api.pid).values()),
    }


def _machine() -> tuple[int, int]:
    """Ticks of all processors, and those in which they had nothing to do."""
    ticks = [
        int(each) for each in Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]
    ]
    return sum(ticks), ticks[3] + ticks[4]


def run(jobs: int, hosts: Sequence[int]) -> list[Stage]:
    stages = []
    for number in hosts:
        say(f"==> {number} function host{'s' if number > 1 else ''}, {jobs // len(hosts)} jobs")
        stages.append(measure(number, jobs // len(hosts)))
        for words in stages[-1].broken:
            say(f"  BROKEN: {words}")
    _report(stages)
    return stages


def _report(stages: Sequence[Stage]) -> None:
    rows = [
        ["submits a second", *(f"{each.jobs / each.submitting:.1f}" for each in stages)],
        ["jobs finished a minute", *(f"{60 * each.jobs / max(each.finishing, 0.1):.0f}" for each in stages)],
        ["submit, p50 / p95", *(_spread(each.submits) for each in stages)],
        ["GET, p50 / p95", *(_spread(each.reads) for each in stages)],
        ["answers that were no 202", *(str(each.refused) for each in stages)],
        *(
            [
                f"processor seconds a job, {name}",
                *(f"{each.processor[name] / each.jobs:.3f}" for each in stages),
            ]
            for name in stages[0].processor
        ),
        [f"of {os.cpu_count()} processors, used", *(f"{each.busy:.0%}" for each in stages)],
        ["... by all of these parts", *(f"{each.ours:.0%}" for each in stages)],
        ["broken promises", *(str(len(each.broken)) for each in stages)],
    ]
    table("Load", ["function hosts", *(str(each.hosts) for each in stages)], rows)


def _spread(seconds: Sequence[float]) -> str:
    if len(seconds) < 2:
        return "-"
    late = statistics.quantiles(seconds, n=20)[-1]
    return f"{statistics.median(seconds) * 1000:.0f} / {late * 1000:.0f} ms"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.load", description=__doc__)
    parser.add_argument("--jobs", type=int, default=JOBS, help=f"in all stages together ({JOBS})")
    parser.add_argument("--hosts", default=",".join(map(str, HOSTS)), help="how many, a stage each (1,2,4)")
    options = parser.parse_args()
    stop_on_signals()
    try:
        stages = run(options.jobs, [int(number) for number in options.hosts.split(",")])
    except StackError as error:
        print(f"The load could not go on: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 1 if any(stage.broken for stage in stages) else 0


if __name__ == "__main__":
    sys.exit(main())
