"""How much of a video API's slots the gate puts to use: `python -m tests.faults.slot_use`.

The real handlers run on in-memory storage against the simulated API, over its socket, in simulated time. What
takes time around them is modelled: the host's queue trigger with its back-off and batches, visibility in whole
seconds, each call of storage and of the video API, and a sweep a minute. Nothing depends on how fast the
machine is: one seed, one story.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import math
import random
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

from fetch_video.fetch import fetch_video
from local.function_host.host_json import HostJson
from local.function_host.queues import SHORTEST_POLL_SECONDS
from local.simulator.server import Simulator
from local.simulator.world import World
from poll_job.poll import poll_job
from sweep_jobs.sweep import sweep_jobs
from tests.pipeline import Pipeline
from video_jobs.gate import Gate
from video_jobs.job import Job
from video_jobs.messages import FetchMessage, PollMessage
from video_jobs.ports import Gates, StoredGate
from video_jobs.services import Services

STANDSTILL = 1e-9
"""The speed of the simulated API's clock: only the timeline moves it."""

RUN_SECONDS = 60.0

# Seconds, each drawn anew.
_STORAGE_CALL = (0.01, 0.04)
_API_CALL = (0.1, 0.4)
_INVOCATION = (0.01, 0.05)  # from the host to the handler
_BETWEEN_ARRIVALS = (0.1, 0.5)

_SWEEP_EVERY = 60.0
_ROOM_AGAIN = 0.02  # how soon the host sees that it may fetch a batch
_LONGEST = timedelta(days=1)  # of simulated time: a job that hasn't ended by then never will

_QUEUES = HostJson.read(Path(__file__).parents[2] / "host.json").queues


@dataclass(frozen=True)
class SlotUse:
    """What a run came to."""

    used: float  #: share of the slots' time from the first create to the last end in which they generated
    refused: int  #: creates beyond the limit, which the API answered with 429
    overtaken: int  #: jobs that got their slot after one that had arrived later
    overtaken_by: float  #: seconds by which a create came before one of a job that arrived earlier, at most
    looks: float  #: a job, at the backend
    succeeded: int
    took: float  #: simulated seconds


def measure(
    simulator: Simulator, dialect: str, *, jobs: int, limit: int = 2, spread: float = 0.0, seed: int = 1
) -> SlotUse:
    """Bring so many jobs of 60 seconds, give or take `spread`, before a limit of slots.

    The simulator's clock must stand still (`STANDSTILL`). Raises what a handler raises.
    """
    world = simulator.world
    world.reset()
    simulator.faults.clear()
    render_ahead(simulator, dialect)
    limits = {"running_limit": limit, "videos_running_limit": limit}
    world.change({"queue_seconds": 0, "run_seconds": RUN_SECONDS, **limits})
    state = random.getstate()
    random.seed(seed)  # the jitter of the code that runs
    try:
        pipeline = Pipeline(simulator, dialect, VIDEO_RUNNING_LIMIT=str(limit))
        host = _Host(pipeline, random.Random(seed), spread)
        arrived = host.bring(jobs)
    finally:
        random.setstate(state)
    return _result(pipeline, arrived, host.let_in, limit)


class Timeline:
    """Tasks that take turns: one that sleeps hands over to the one that is due next, and time moves on."""

    def __init__(self, world: World) -> None:
        self._clock = world.clock
        self._started = world.clock.now()
        self._due: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count()
        self._ended = threading.Event()
        self.now = 0.0
        self.error: BaseException | None = None

    def start(self, task: Callable[[], None], after: float = 0.0) -> None:
        """A task of its own, so many seconds from now."""
        thread = threading.Thread(target=self._run, args=(task,), daemon=True)
        self._add(after, thread.start)

    def sleep(self, seconds: float) -> None:
        """Let others go on meanwhile."""
        mine = threading.Semaphore(0)
        self._add(seconds, mine.release)
        self._hand_over()
        mine.acquire()

    def run(self) -> None:
        """Until no task is left. Raises what the first of them raised that failed."""
        self._hand_over()
        self._ended.wait()
        if self.error is not None:
            raise self.error

    def _run(self, task: Callable[[], None]) -> None:
        try:
            task()
        except BaseException as error:  # noqa: BLE001 - raised again by run(), where the test is
            self.error = self.error or error
        self._hand_over()

    def _add(self, seconds: float, go_on: Callable[[], object]) -> None:
        heapq.heappush(self._due, (self.now + seconds, next(self._numbers), go_on))

    def _hand_over(self) -> None:
        if not self._due:
            self._ended.set()
            return
        self.now, _, go_on = heapq.heappop(self._due)
        self._clock.advance(max(self._started + self.now - self._clock.now(), 0.0))
        go_on()


class _Host:
    """The Functions host, its queues, and the services of the app as it sees them: each call takes time."""

    def __init__(self, pipeline: Pipeline, chance: random.Random, spread: float) -> None:
        self._pipeline = pipeline
        self._chance = chance
        self._timeline = Timeline(pipeline.simulator.world)
        self.let_in: list[str] = []  #: job ids, as they got their slots
        self._arrived: list[Job] = []
        self._expected = 0
        self._services = pipeline.services = self._slow(pipeline.services, spread)

    def bring(self, jobs: int) -> list[Job]:
        """Let so many jobs arrive, and everything happen until all have ended. Gives them as they came."""
        self._expected = jobs
        poll, fetch = self._queues
        self._timeline.start(self._clients)
        self._timeline.start(lambda: self._listen(poll))
        self._timeline.start(lambda: self._listen(fetch))
        self._timeline.start(self._sweeper)
        self._timeline.run()
        return self._arrived

    # --- who does something ---

    def _clients(self) -> None:
        for _ in range(self._expected):
            self._timeline.start(lambda: self._arrived.append(self._pipeline.submit()))
            self._pause(_BETWEEN_ARRIVALS)

    def _sweeper(self) -> None:
        while not self._over():
            self._timeline.sleep(_SWEEP_EVERY)
            sweep_jobs(self._services)

    def _listen(self, queue: _Queue) -> None:
        """As `local/function_host/queues.py` does it, and the real host."""
        pause, longest = SHORTEST_POLL_SECONDS, _QUEUES.max_polling_interval
        while not self._over():
            if queue.in_process > _QUEUES.threshold:
                self._timeline.sleep(_ROOM_AGAIN)
                continue
            self._pause(_STORAGE_CALL)
            found = queue.receive(_QUEUES.batch_size, self._timeline.now)
            for message in found:
                self._timeline.start(partial(self._invoke, queue, message))
            pause = SHORTEST_POLL_SECONDS if found else min(pause * 2, longest)
            self._timeline.sleep(min(pause * self._chance.uniform(0.8, 1.2), longest))

    def _invoke(self, queue: _Queue, message: Any) -> None:
        self._pause(_INVOCATION)
        try:
            queue.handler(self._services, message)
            self._pause(_STORAGE_CALL)  # the message is deleted
        finally:
            queue.in_process -= 1

    def _over(self) -> bool:
        if self._timeline.error is not None:
            return True
        if self._timeline.now > _LONGEST.total_seconds():
            raise AssertionError(f"these never end: {self._pipeline.live_jobs.keys}")
        return len(self._arrived) == self._expected and not self._pipeline.live_jobs.keys

    # --- what takes time ---

    def _slow(self, services: Services, spread: float) -> Services:
        self._queues = _Queue(poll_job), _Queue(fetch_video)
        ports: dict[str, Any] = {
            name: _Slow(getattr(services, name), lambda call: self._after(_STORAGE_CALL, call))
            for name in ("jobs", "live_jobs", "claims", "blobs")
        }
        gates: Any = _Slow(
            _WatchedGates(services.gates, self.let_in), lambda call: self._after(_STORAGE_CALL, call)
        )
        messages: Any = _Slow(
            _Messages(*self._queues, self._timeline), lambda call: self._after(_STORAGE_CALL, call)
        )
        backends: Any = _Backends(services.backends, lambda call: self._api_call(call, spread))
        return replace(services, gates=gates, messages=messages, backends=backends, **ports)

    def _after(self, seconds: tuple[float, float], call: Callable[[], Any]) -> Any:
        self._pause(seconds)
        return call()

    def _api_call(self, call: Callable[[], Any], spread: float) -> Any:
        """On its way there, and back. Whatever is created now runs for a time of its own."""
        self._pause(_API_CALL, share=0.5)
        run_seconds = RUN_SECONDS + self._chance.uniform(-spread, spread)
        self._pipeline.simulator.world.change({"run_seconds": run_seconds})
        result = call()
        self._pause(_API_CALL, share=0.5)
        return result

    def _pause(self, seconds: tuple[float, float], share: float = 1.0) -> None:
        self._timeline.sleep(self._chance.uniform(*seconds) * share)


class _Queue:
    """A storage queue and the function that is triggered by it."""

    def __init__(self, handler: Callable[[Services, Any], None]) -> None:
        self.handler = handler
        self.in_process = 0
        self._hidden: list[tuple[float, int, Any]] = []
        self._numbers = itertools.count()

    def send(self, message: Any, visible_at: float) -> None:
        heapq.heappush(self._hidden, (visible_at, next(self._numbers), message))

    def receive(self, most: int, now: float) -> list[Any]:
        found: list[Any] = []
        while len(found) < most and self._hidden and self._hidden[0][0] <= now:
            found.append(heapq.heappop(self._hidden)[2])
        self.in_process += len(found)
        return found


class _Messages:
    """See `ports.Messages`."""

    def __init__(self, poll: _Queue, fetch: _Queue, timeline: Timeline) -> None:
        self._poll, self._fetch, self._timeline = poll, fetch, timeline

    def send_poll(self, message: PollMessage, delay: timedelta) -> None:
        self._poll.send(message, self._visible_at(delay))

    def send_fetch(self, message: FetchMessage, delay: timedelta) -> None:
        self._fetch.send(message, self._visible_at(delay))

    def _visible_at(self, delay: timedelta) -> float:
        return self._timeline.now + math.ceil(delay.total_seconds())  # as `storage/queues.py` rounds it


class _WatchedGates:
    """Notes who gets a slot, in order."""

    def __init__(self, real: Gates, let_in: list[str]) -> None:
        self._real, self._let_in = real, let_in

    def get(self, backend: str) -> StoredGate:
        return self._real.get(backend)

    def save(self, stored: StoredGate, gate: Gate) -> StoredGate:
        saved = self._real.save(stored, gate)
        self._let_in += [slot.job_id for slot in gate.slots if slot.job_id not in self._let_in]
        return saved

    def all(self) -> list[Gate]:
        return self._real.all()


class _Slow:
    """A port, each of whose calls goes through `pace`."""

    def __init__(self, real: Any, pace: Callable[[Callable[[], Any]], Any]) -> None:
        self._real, self._pace = real, pace

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._real, name)
        return lambda *args, **kwargs: self._pace(lambda: method(*args, **kwargs))


class _Backends:
    def __init__(self, real: Any, pace: Callable[[Callable[[], Any]], Any]) -> None:
        self._real, self._pace = real, pace

    def client(self, ref: Any) -> Any:
        return _Slow(self._real.client(ref), self._pace)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def render_ahead(simulator: Simulator, dialect: str) -> None:
    """So that every job has its video at once, and rendering takes no part in it."""
    pipeline = Pipeline(simulator, dialect)
    pipeline.submit()
    for job in simulator.world.everything():
        for output in job.outputs:
            output.rendering.result()
    simulator.world.reset()


def _result(pipeline: Pipeline, arrived: list[Job], let_in: list[str], limit: int) -> SlotUse:
    made = pipeline.simulator.world.everything()
    began = made[0].created_at
    ended = max(job.created_at + job.run_seconds for job in made)
    generating = sum(job.run_seconds for job in made)
    created_at = {job.id: job.created_at for job in made}
    jobs = [pipeline.job(job) for job in sorted(arrived, key=_arrival)]
    creates = [created_at[job.backend_job_id or ""] for job in jobs]
    places = [let_in.index(job.id) for job in jobs]
    return SlotUse(
        used=generating / (limit * (ended - began)),
        refused=sum(call["status"] == 429 for call in pipeline.calls("create")),
        overtaken=sum(place < before for place, before in zip(places, accumulate(places, max), strict=True)),
        overtaken_by=max(before - at for at, before in zip(creates, accumulate(creates, max), strict=True)),
        looks=len(pipeline.calls("get")) / len(jobs),
        succeeded=sum(job.status.value == "succeeded" for job in jobs),
        took=ended - began,
    )


def _arrival(job: Job) -> datetime:
    return job.created_at


def main() -> None:
    """Print the figures for 200 jobs before a limit of 2."""
    logging.disable(logging.CRITICAL)
    with Simulator(speed=STANDSTILL) as simulator:
        for spread in (0.0, 15.0):
            began = time.monotonic()
            use = measure(simulator, "azure-sora", jobs=200, spread=spread)
            sys.stdout.write(
                f"200 jobs of {RUN_SECONDS:.0f} s give or take {spread:.0f}, limit 2: slots used {use.used:.1%}, "
                f"{use.refused} requests over the limit, {use.overtaken} overtaken (creates by {use.overtaken_by:.2f} s at most), {use.looks:.1f} looks a job, "
                f"{use.succeeded} succeeded in {use.took:.0f} s ({time.monotonic() - began:.0f} s real)\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
