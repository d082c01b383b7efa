"""The promise, proved with real processes: clients submit at random moments, the function host is killed at random
moments, Azurite is restarted, and in the end the simulated API's books are compared with what lies in storage.

    python -m tests.faults.soak --jobs 50 --kills 20 --seed 7

The seed repeats what is done and when, not how the machine schedules it: a broken promise may take several runs to
come again, so its jobs' histories are printed, and all logs are kept.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from azure.core.exceptions import AzureError

from local.azurite_process import AzuriteError
from local.processes import stop_on_signals
from local.stack import StackError
from tests.faults.soak_books import Books, Rows
from tests.faults.soak_clients import Client, plans
from tests.faults.soak_host import WAITS
from tests.faults.soak_machine import LEASE_SECONDS, TRUE_LEASE_SECONDS, Kill, SoakMachine, Storm
from video_jobs.domain.errors import ReelkeepError
from video_jobs.domain.job import Job
from video_jobs.storage.connection import connect
from video_jobs.views.job_view import history_view

_READ_EVERY = 2.0  # seconds
_SAY_EVERY = 15.0


@dataclass(frozen=True)
class Length:
    """How much, and for how long. Seconds."""

    kills: int
    restarts: int
    over: float  #: jobs are submitted
    storm: float  #: kills come
    patience: float  #: for the last job to end, after the storm


_FULL = Length(kills=24, restarts=5, over=150, storm=200, patience=420)
SHORT = Length(kills=12, restarts=3, over=50, storm=70, patience=180)
_TRUE = Length(kills=6, restarts=0, over=60, storm=90, patience=600)
USUAL_JOBS = 50  # for which these are meant
_A_KILL = 5.5  # seconds between two kills, so that something goes on between them
_A_JOB = 1.5  # seconds that one more takes, where a video API with four slots makes half of them
_LONGEST_STANDSTILL = 240.0  # seconds from a kill: three minutes, and a poll that takes its time


def main() -> int:
    options = _options()
    length = _TRUE if options.true_times else SHORT if options.short else _FULL
    kills = length.kills if options.kills is None else options.kills
    length = for_more(length, options.jobs, kills)
    seed = random.SystemRandom().randrange(1_000_000) if options.seed is None else options.seed
    stop_on_signals()
    folder = Path(tempfile.mkdtemp(prefix="reelkeep-soak-"))
    print(f"==> soak: {options.jobs} jobs, {kills} kills, seed {seed}", flush=True)
    _say(f"while it runs, and if a promise is broken, logs and data are in {folder}")
    if options.short:
        _say("short: the app's code is the real one; these waits of minutes are seconds:")
        for name, seconds in WAITS.items():
            print(f"        {name} = {seconds:g} s")
    try:
        lease = TRUE_LEASE_SECONDS if options.true_times else LEASE_SECONDS
        with SoakMachine(folder, shortened=options.short, lease_seconds=lease) as machine:
            books = _run(machine, length, jobs=options.jobs, kills=kills, seed=seed)
            _report(machine, books)
    except (StackError, AzuriteError) as error:
        print(f"\nThe soak could not go on: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        return 130
    late = _late(books, machine) if options.true_times else []
    for words in late:
        print(f"    {words}")
    if books.verdict.broken or machine.died or late:
        _explain(books, machine, seed)
        return 1
    shutil.rmtree(folder)
    return 0


def for_more(length: Length, jobs: int, kills: int) -> Length:
    """More jobs come over more time and are waited for longer; more kills are spread over more time.

    The storage is restarted as often as ever: on a busy machine it takes a while each time, and no host starts without it.
    """
    more = max(jobs - USUAL_JOBS, 0) * _A_JOB
    storm = max(length.storm + more, kills * _A_KILL)
    return replace(
        length,
        over=length.over + storm - length.storm,
        storm=storm,
        patience=length.patience + more,
    )


# --- living through it ---------------------------------------------------------------------------


def _run(machine: SoakMachine, length: Length, *, jobs: int, kills: int, seed: int) -> Books:
    rng = random.Random(seed)
    stopping = threading.Event()
    started = time.monotonic()
    wanted = plans(rng, jobs, length.over)
    clients = [Client(machine.api, plan, started, stopping) for plan in wanted]
    storm = Storm(machine, rng, kills=kills, restarts=length.restarts, over=length.storm)
    watch = _Watch(machine, clients, started)
    for thread in (*clients, storm):
        thread.start()
    try:
        watch.until(lambda: not storm.is_alive(), length.storm + length.patience)
        if storm.failure is not None:
            raise storm.failure
        watch.until(watch.is_quiet, length.patience)
    finally:
        storm.stop()
        stopping.set()
        for client in clients:
            client.join()
    machine.stop_host()
    _say(f"{time.monotonic() - started:.0f} s: the host is stopped, in order; comparing the books")
    return Books(machine, clients)


class _Watch:
    """Says now and then how far things are."""

    def __init__(self, machine: SoakMachine, clients: Sequence[Client], started: float) -> None:
        self._machine = machine
        self._clients = clients
        self._started = started
        self._storage = connect(machine.settings.storage)
        self._said_at = started
        self._rows: Rows | None = None

    def until(self, over: Callable[[], bool], most: float) -> None:
        give_up_at = time.monotonic() + most
        took = 0.0
        while not over() and time.monotonic() < give_up_at:
            time.sleep(max(_READ_EVERY, 5 * took))  # many rows are read less often
            began = time.monotonic()
            self._rows = self._read_rows()
            took = time.monotonic() - began
            if time.monotonic() - self._said_at >= _SAY_EVERY:
                self._said_at = time.monotonic()
                self._say()

    def is_quiet(self) -> bool:
        """Whether all is done; in a short soak the tombstones, too, have had their time."""
        rows = self._rows
        if rows is None or any(client.is_alive() for client in self._clients):
            return False
        return not rows.unfinished() and not (self._machine.shortened and rows.tombstones)

    def _read_rows(self) -> Rows | None:
        try:
            return Rows.read(self._storage)
        except (AzureError, ReelkeepError):
            return None  # Azurite is being restarted

    def _say(self) -> None:
        if self._rows is None:
            return
        statuses = Counter(job.status.value for job in self._rows.jobs.values())
        said = ", ".join(f"{count} {status}" for status, count in statuses.most_common())
        _say(f"{time.monotonic() - self._started:.0f} s, {len(self._machine.kills)} kills: {said}")


# --- telling of it -------------------------------------------------------------------------------


def _report(machine: SoakMachine, books: Books) -> None:
    clients, rows, verdict = books.clients, books.rows, books.verdict
    jobs = [*rows.jobs.values()]
    statuses = Counter(job.status.value for job in jobs)
    answers = sum((client.answers for client in clients), Counter[str]())
    held = {made.id for made in books.made} & {job.backend_job_id for job in jobs}
    again = [(kill.answers_at - kill.at).total_seconds() for kill in machine.kills]
    recovered = [seconds for kill in machine.kills if (seconds := _progress_after(kill, books)) is not None]
    doubts = [seconds for job in jobs if (seconds := _seconds_in_doubt(job)) is not None]
    ended = [job for job in jobs if job.finished_at is not None]
    took = [_seconds_of(job) for job in ended]
    told = machine.receiver.told
    slowest = f"; the slowest is {max(ended, key=_seconds_of).id}" if ended else ""
    print(
        f"""
    jobs                {len(clients)} submitted, {_count(c.retry_id for c in clients)} retried, {_count(c.import_id for c in clients)} imported
    they are            {_counted(statuses)}
    deleted             {sum(c.delete_asked for c in clients)}, of which {len(rows.tombstones)} tombstones wait for their time
    befell              {len(machine.kills)} kills of the function host, {len(machine.azurite_stops)} restarts of Azurite
    clients heard       {_counted(answers)}
    the webhook heard   {len(told)} ends, {sum(map(len, told.values()))} times

    lost                {len(verdict.lost)}
    paid twice          {len(verdict.paid_twice)}
    paid and not had    {len(verdict.not_had)}
    left unfinished     {len(verdict.unfinished)}
    ends not told       {len(verdict.untold)}
    otherwise broken    {len(verdict.other)}
    unconfirmed         {len(books.unconfirmed)}{_doubts(books)}

    at the video API    {len(books.made)} jobs made: {len(held)} each one job's, {len(books.made) - len(held) - len(verdict.not_had)} gone with their deleted jobs
    what happened       {_counted(books.events())}
    a kill to HTTP      {_spread(again)} (the host's start)
    a kill to progress  {_spread(recovered)} (that, and the lease of {machine.lease_seconds} s or the chain's next turn)
    an unknown outcome  {_spread(doubts)} until it is resolved
    a job, start to end {_spread(took)}{slowest}
    storage             {len(jobs)} job rows, {len(rows.live)} live rows ({len(rows.orphans)} without a job), {len(rows.claims)} claims, {len(books.blobs)} blobs
    messages left       {_counted(Counter(books.messages))} (of turns that are over, or of tombstones)
    Azurite's stops     {_spread(machine.azurite_stops)}
""",
        flush=True,
    )


def _late(books: Books, machine: SoakMachine) -> list[str]:
    """Jobs that a kill held up for longer than it may: all that was alive then has ended soon after the last one."""
    if not machine.kills:
        return []
    last = machine.kills[-1].at
    in_doubt = {job.id for job in books.rows.jobs.values() if _seconds_in_doubt(job) is not None}
    ends = {
        job.id: (job.finished_at - last).total_seconds()
        for job in books.rows.jobs.values()
        if job.finished_at
    }
    return [
        f"I11: {job_id} ended {seconds:.0f} s after the last kill"
        for job_id, seconds in ends.items()
        if seconds > _LONGEST_STANDSTILL and job_id not in in_doubt
    ]


def _seconds_of(job: Job) -> float:
    return ((job.finished_at or job.updated_at) - job.created_at).total_seconds()


def _doubts(books: Books) -> str:
    if not books.unconfirmed:
        return ""
    named = _count(job.error.candidates for job in books.unconfirmed if job.error)
    return f" ({named} of them with candidates for import)"


def _count(found: Iterable[object]) -> int:
    return sum(bool(each) for each in found)


def _progress_after(kill: Kill, books: Books) -> float | None:
    """Seconds until something went on of what was under way; None where nothing was.

    Left out is what waits for its time, kill or no kill: tombstones, jobs in line, and those whose paid call was
    in flight or is in doubt.
    """
    alive = [
        job
        for job in books.rows.jobs.values()
        if job.created_at < kill.at
        and (job.finished_at is None or job.finished_at > kill.at)
        and (job.deleted_at is None or job.deleted_at > kill.at)
        and [event.what for event in job.history if event.at < kill.at][-1:]
        not in (["submitting"], ["waits"])
    ]
    backend_jobs = {job.backend_job_id for job in alive}
    moments = [event.first_at or event.at for job in alive for event in job.history]
    moments += [
        datetime.fromtimestamp(call["at"], kill.at.tzinfo)
        for call in books.ledger["calls"]
        if call["job_id"] in backend_jobs
    ]
    after = [(moment - kill.at).total_seconds() for moment in moments if moment > kill.at]
    return min(after, default=None)


def _seconds_in_doubt(job: Job) -> float | None:
    """From the paid call whose answer never came to the end of the doubt."""
    called_at = None
    for event in job.history:
        if event.what == "submitting":
            called_at = event.at
        elif event.what in ("submitted", "waits"):
            called_at = None
        elif called_at is not None and event.what in ("adopted", "failed"):
            return (event.at - called_at).total_seconds()
    return None


def _explain(books: Books, machine: SoakMachine, seed: int) -> None:
    print("==> broken promises", flush=True)
    broken = [*books.verdict.broken, *machine.died]
    for words in broken:
        print(f"    {words}")
    for job in books.rows.jobs.values():
        names = (job.id, job.backend_job_id or job.id, f"'{job.request.prompt}'")
        if any(name in words for name in names for words in broken):
            _tell(job, books)
    print(
        f"==> again: make soak SEED={seed}; logs of every process and Azurite's data: {machine.logs.parent}"
    )


def _tell(job: Job, books: Books) -> None:
    print(
        f"==> {job.id}: {job.status}, {job.request.prompt!r}, backend job {job.backend_job_id}, turn {job.chain.turn}"
    )
    for event in history_view(job):
        times = f" x{event['times']} since {event['first_at']}" if event["times"] > 1 else ""
        print(f"    {event['at']}  {event['event']}{times}  {event['detail'] or ''}")
    for call in books.ledger["calls"]:
        if call["job_id"] == job.backend_job_id is not None:
            at = datetime.fromtimestamp(call["at"]).astimezone().isoformat(timespec="milliseconds")
            print(f"    {at}  the video API: {call['operation']} {call['status']}")


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counter.most_common() if count) or "none"


def _spread(seconds: Sequence[float]) -> str:
    return f"median {statistics.median(seconds):.1f} s, max {max(seconds):.1f} s" if seconds else "none"


def _say(text: str) -> None:
    print(f"    {text}", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak")
    parser.add_argument("--jobs", type=int, default=USUAL_JOBS)
    parser.add_argument(
        "--kills", type=int, help=f"of the function host ({_FULL.kills}, short {SHORT.kills})"
    )
    parser.add_argument("--seed", type=int, help="what is done, and when; another one each time by default")
    parser.add_argument(
        "--short", action="store_true", help="in less time, with the app's longest waits shortened"
    )
    parser.add_argument(
        "--true-times", action="store_true", help="with the real host's times: a killed one hides for 600 s"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
