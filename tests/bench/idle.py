"""What the app costs while nothing happens, and what a job costs: beside what Durable Functions were measured to.

The whole app runs under the local function host, which polls its queues as the real one does, and Azurite's own log says
what was called. The real host has more calls of its own (its primary lock and its metrics).
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import requests

from local.stack import Service
from tests.bench.azurite_log import Request, read_requests
from tests.bench.host_process import processor_seconds, running_host, submit
from tests.bench.report import say, table, verdict
from tests.bench.stack import Stack, running_stack

MOST_IDLE = 2844  # an hour; Durable Functions' monitor pattern, measured under the real host
MOST_CPU = 0.11  # seconds a job, of worker and host

_SETTLING = 20.0  # seconds until each listener pauses for as long as it ever does
_IDLE = 120.0  # seconds, of which two begin a sweep
_TOGETHER = 20  # jobs
_RUN_SECONDS = 20.0  # of each
_AFTER_THE_END = 2.0  # seconds, for what follows the last `job.json`
_LONGEST_WAIT = 180.0


@dataclass(slots=True)
class Counted:
    idle: Counter[str] = field(default_factory=Counter)  #: calls an hour, by who makes them
    alone: float = 0.0  #: calls of a job of two seconds
    together: float = 0.0  #: calls of each of many
    cpu: dict[str, float] = field(default_factory=dict)  #: seconds a job, of each process


def measure(idle_seconds: float = _IDLE) -> Counted:
    counted = Counted()
    with tempfile.TemporaryDirectory(prefix="reelkeep-bench-") as folder:
        log = Path(folder) / "azurite.log"
        with running_stack(debug_log=log) as stack, running_host(stack, Path(folder)) as host:
            requests.get(f"{host.url}/api/jobs", timeout=60).raise_for_status()  # tables and queues are made
            time.sleep(_SETTLING)
            before = len(read_requests(log))
            time.sleep(idle_seconds)
            for request in read_requests(log)[before:]:
                counted.idle[_who(request)] += 1
            hourly = 3600 / idle_seconds
            counted.idle = Counter({who: round(n * hourly) for who, n in counted.idle.items()})
            _count_jobs(stack, host, log, counted)
    return counted


def _count_jobs(stack: Stack, host: Service, log: Path, counted: Counted) -> None:
    a_second = counted.idle.total() / 3600
    stack.api.configure(speed=1, queue_seconds=0, run_seconds=2)
    _calls_of(1, host, log, a_second)  # warms up
    counted.alone = _calls_of(1, host, log, a_second)
    stack.api.configure(speed=1, queue_seconds=0, run_seconds=_RUN_SECONDS)
    before = processor_seconds(host.pid)
    counted.together = _calls_of(_TOGETHER, host, log, a_second)
    after = processor_seconds(host.pid)
    counted.cpu = {name: (after[name] - used) / _TOGETHER for name, used in before.items()}


def _calls_of(jobs: int, host: Service, log: Path, idle_a_second: float) -> float:
    """Of each, less what the app would have called anyway. Nobody asks the app how far they are."""
    before, began = len(read_requests(log)), time.monotonic()
    with requests.Session() as session:
        for _ in range(jobs):
            submit(session, host.url, "a benchmark")  # rendered once
    give_up_at = time.monotonic() + _LONGEST_WAIT
    while _ended(served := read_requests(log)[before:]) < jobs:
        if time.monotonic() > give_up_at:
            raise TimeoutError(f"Of {jobs} jobs {_ended(served)} have ended after {_LONGEST_WAIT:.0f} s.")
        time.sleep(0.5)
    time.sleep(_AFTER_THE_END)
    served = read_requests(log)[before:]
    return (len(served) - idle_a_second * (time.monotonic() - began)) / jobs


def _ended(served: list[Request]) -> int:
    return sum(request.path.endswith("/job.json") for request in served)


def _who(request: Request) -> str:
    if request.path.startswith("azure-webjobs-hosts"):
        return "the host: locks and states of timers"
    if request.queue and not request.queue.endswith("-poison"):
        return f"the listener of {request.queue}"
    return "the sweeper"


def run() -> None:
    say(f"An idle app, for {_IDLE:.0f} s, and then jobs: some minutes")
    counted = measure()
    rows = [[who, f"{calls:,}"] for who, calls in counted.idle.most_common()]
    idle, cpu = counted.idle.total(), sum(counted.cpu.values())
    table("Storage calls of an idle app, an hour", ["who", "calls"], [*rows, ["all", f"{idle:,}"]])
    each = f"host {counted.cpu['leader']:.2f}, worker {counted.cpu['others']:.2f}"
    table(
        "Beside Durable Functions (poll every 5 s; one measurement under the real host)",
        ["", "this app", "Durable"],
        [
            ["storage calls, idle, an hour", f"{idle:,}", "2,844"],
            ["... of a job of 2 s, alone", f"{counted.alone:.0f}", "100"],
            [
                f"... of each of {_TOGETHER} of {_RUN_SECONDS:.0f} s",
                f"{counted.together:.0f}",
                "262 (of 60 s)",
            ],
            ["processor seconds a job", f"{cpu:.2f}", "0.08 (.NET)"],
        ],
    )
    say(f"  storage calls of an idle app, an hour: {verdict(idle, f'< {MOST_IDLE:,}', idle < MOST_IDLE)}")
    say(f"  processor seconds a job ({each}): {verdict(cpu, f'≤ {MOST_CPU}', cpu <= MOST_CPU)}")
    say("  (a job's guard, two minutes after its end, makes three more calls)")


if __name__ == "__main__":
    run()
