"""What the line of waiting jobs costs: storage calls with ten jobs in it, with a thousand and with ten thousand.

The app's own code runs on Azurite, and what its SDKs send is counted, so that each page of a query is a call. The line is
written as rows; the two jobs that hold the slots, and those that are counted, are submitted.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from http_edge.answers import job_answer
from job_api.wait import follow_job
from poll_job.poll import poll_job
from submit_job.request import read_submission
from sweep_jobs.sweep import sweep_jobs
from tests.bench.report import say, table, verdict
from tests.bench.stack import Stack, running_stack
from tests.bench.storage_calls import counted
from video_jobs.domain.ids import new_job_id
from video_jobs.domain.job import Job, Status
from video_jobs.domain.queue_messages import PollMessage
from video_jobs.lifecycle import admission
from video_jobs.lifecycle.submit import submit_job
from video_jobs.ports import LiveJob
from video_jobs.services import Services
from video_jobs.settings.app import Settings
from video_jobs.storage.connection import connect
from video_jobs.storage.job_rows import to_row
from video_jobs.storage.jobs import JOBS_TABLE
from video_jobs.storage.live_jobs import LIVE_TABLE, to_live_row
from video_jobs.wiring import build

SIZES = (10, 1_000, 10_000)
MOST_DIFFERENCE = 1.1
MOST_A_SUBMIT = 8
MOST_A_READ = 2

SWEEP, SUBMIT, READ, NEXT = "a sweep", "a submit that waits", "a GET of the last", "a slot given back"

_SLOTS = 2
_BATCH = 100  # rows of one partition in a transaction
_OWNERS = 20


@dataclass(frozen=True)
class Measured:
    """Storage calls, by what makes them, in the order of the sizes."""

    calls: dict[str, list[list[str]]]

    def counts(self, what: str) -> list[int]:
        return [len(each) for each in self.calls[what]]

    def growth(self, what: str) -> float:
        """How many times as many calls the longest line costs as the cheapest."""
        counts = self.counts(what)
        return max(counts) / max(min(counts), 1)


def measure(sizes: Sequence[int] = SIZES) -> Measured:
    measured = Measured({what: [] for what in (SWEEP, SUBMIT, READ, NEXT)})
    with running_stack() as stack:
        stack.api.configure(queue_seconds=0, run_seconds=3600)
        line = _Line(stack)
        line.warm_up()
        for size in sizes:
            line.grow_to(size)
            for what, act in line.acts().items():
                with counted() as calls:
                    act()
                measured.calls[what].append(calls)
            line.let_the_called_in()
    return measured


class _Line:
    def __init__(self, stack: Stack) -> None:
        environment = stack.environment | {"VIDEO_RUNNING_LIMIT": str(_SLOTS)}
        settings = Settings.from_environment(environment)
        self._services: Services = build(settings)
        self._storage = connect(settings.storage)
        self._running = [self._submit() for _ in range(_SLOTS)]
        self._last = self._submit()
        self._waiting = 1
        assert self._last.status is Status.WAITING, self._last

    def warm_up(self) -> None:
        """What is counted goes by what the process kept of the round before: so there is one before the first."""
        for act in self.acts().values():
            act()
        self.let_the_called_in()

    def acts(self) -> dict[str, Callable[[], object]]:
        """In this order: what is read was submitted before."""
        return {
            SWEEP: lambda: sweep_jobs(self._services),
            SUBMIT: self._submit_and_answer,
            READ: lambda: asyncio.run(
                follow_job(self._services, self._last.owner, self._last.id, named=None, seconds=0)
            ),
            NEXT: lambda: admission.leave(self._services, self._running[0]),
        }

    def grow_to(self, size: int) -> None:
        """Before the last one, all with rows of their own."""
        jobs = list(self._more(size - self._waiting))
        tables = self._storage.tables
        for _, owned in itertools.groupby(jobs, key=lambda job: job.owner):
            for batch in _batches(list(owned)):
                tables.get_table_client(JOBS_TABLE).submit_transaction(
                    [("upsert", to_row(job)) for job in batch]
                )
        for batch in _batches(jobs):
            rows = [to_live_row(LiveJob.of(job, waiting=True)) for job in batch]
            tables.get_table_client(LIVE_TABLE).submit_transaction([("upsert", row) for row in rows])
        self._waiting = size
        # As of what other processes wrote: nothing of it is known here, however little time has passed.
        self._services.live_jobs._lines._known.clear()  # type: ignore[attr-defined]

    def _more(self, count: int) -> Iterator[Job]:
        for number in range(count):
            at = self._last.created_at - timedelta(milliseconds=1 + number)
            owner = f"bench-{number * _OWNERS // count:02}"
            yield replace(self._last, id=new_job_id(at), owner=owner, created_at=at)

    def _submit(self) -> Job:
        body = json.dumps({"prompt": "a benchmark", "size": "720x1280", "seconds": 4}).encode()
        submission = read_submission({"content-type": "application/json"}, body, _no_form)
        return submit_job(self._services, "default", submission)

    def _submit_and_answer(self) -> None:
        self._last = self._submit()
        self._waiting += 1
        job_answer(self._services, self._last, 202)

    def let_the_called_in(self) -> None:
        """As its message would: a slot that nobody takes is the sweeper's business after a while."""
        left = self._running.pop(0)
        self._services.live_jobs.remove(LiveJob.of(left))  # it counts as ended
        gate = self._services.gates.get(left.backend.name).gate
        called = gate.called[-1]
        job = self._services.jobs.get(called.owner, called.job_id).job
        poll_job(self._services, PollMessage(owner=job.owner, job_id=job.id, turn=job.chain.turn))
        self._running.append(self._services.jobs.get(job.owner, job.id).job)
        self._waiting -= 1


def _batches(jobs: list[Job]) -> Iterator[list[Job]]:
    return (jobs[start : start + _BATCH] for start in range(0, len(jobs), _BATCH))


def _no_form() -> object:
    raise AssertionError("a JSON request was read as a form")


def run() -> None:
    say("Storage calls before a line of waiting jobs")
    logging.disable(logging.CRITICAL)
    measured = measure()
    logging.disable(logging.NOTSET)
    rows = [[what, *map(str, measured.counts(what))] for what in measured.calls]
    table("Storage calls", ["waiting", *(f"{size:,}" for size in SIZES)], rows)
    growth = max(map(measured.growth, measured.calls))
    submit, read = max(measured.counts(SUBMIT)), max(measured.counts(READ))
    say(
        f"  most / least, whatever waits: {verdict(growth, f'≤ {MOST_DIFFERENCE}', growth <= MOST_DIFFERENCE)}"
    )
    say(f"  a submit that ends in line: {verdict(submit, f'≤ {MOST_A_SUBMIT}', submit <= MOST_A_SUBMIT)}")
    say(f"  a GET of a waiting job: {verdict(read, f'≤ {MOST_A_READ}', read <= MOST_A_READ)}")


if __name__ == "__main__":
    run()
