"""The Functions host in simulated time, around the real handlers and the simulated API.

Storage is in memory, and the API is reached over its socket. What takes time around the handlers is modelled:
the host's queue triggers with their back-off and batches, visibility in whole seconds, each call of storage and
of the video API, and a sweep a minute. Nothing depends on how fast the machine is: one seed, one story.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from fetch_video.fetch import fetch_video
from local.function_host.backoff import Backoff
from local.function_host.host_json import HostJson
from local.simulator.server import Simulator
from local.simulator.world import World
from poll_job.poll import poll_job
from sweep_jobs.sweep import sweep_jobs
from tests.pipeline import Pipeline
from video_jobs.domain.backend_job import BackendJob
from video_jobs.domain.gate import Gate
from video_jobs.domain.job import Job, VideoRequest
from video_jobs.domain.queue_messages import FetchMessage, PollMessage
from video_jobs.ports import Gates, Image, StoredGate
from video_jobs.ports.messages import QueueState
from video_jobs.services import Services

STANDSTILL = 1e-9
"""The speed of the simulated API's clock: only the timeline moves it."""

# Seconds, each drawn anew.
_STORAGE_CALL = (0.01, 0.04)
_API_CALL = (0.1, 0.4)
_INVOCATION = (0.01, 0.05)  # from the host to the handler

_SWEEP_EVERY = 60.0
_ROOM_AGAIN = 0.02  # how soon the host sees that it may fetch a batch
_LONGEST = timedelta(days=1)  # of simulated time: a job that hasn't ended by then never will

_QUEUES = HostJson.read(Path(__file__).parents[1] / "host.json").queues

_Pace = Callable[[Callable[[], Any]], Any]
"""Lets a call happen, and takes its time over it."""


class Timeline:
    """Tasks that take turns: one that sleeps hands over to the one that is due next, and time moves on."""

    def __init__(self, world: World) -> None:
        self._clock = world.clock
        # The video API tells time in whole seconds: where they begin must not depend on when the test does.
        self._clock.advance(math.ceil(self._clock.now()) - self._clock.now())
        self._started = self._clock.now()
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


class SimulatedHost:
    """The Functions host, its queues, and the services of the app as it sees them: each call takes time."""

    def __init__(
        self, pipeline: Pipeline, chance: random.Random, run_seconds: Callable[[VideoRequest], float]
    ) -> None:
        """`run_seconds`: how long the video API works on what is created now."""
        self._pipeline = pipeline
        self._chance = chance
        self._run_seconds = run_seconds
        self._timeline = Timeline(pipeline.simulator.world)
        self.let_in: list[str] = []  #: job ids, as they got their slots
        self.fetch_began: dict[str, datetime] = {}  #: by job id
        self._arrived: list[Job] = []
        self._expected = 0
        self._services = pipeline.services = self._slow(pipeline.services)

    def bring(
        self, jobs: Sequence[Mapping[str, Any]], between: tuple[float, float] | Iterator[float]
    ) -> list[Job]:
        """Let these requests arrive, so many seconds apart, and everything happen until all have ended.

        `between`: from and to, or the seconds before each.

        Gives the jobs as they came.
        """
        self._expected = len(jobs)
        poll, fetch = self._queues
        if isinstance(between, tuple):
            shortest, longest = between
            between = itertools.chain([0.0], iter(lambda: self._chance.uniform(shortest, longest), None))
        self._timeline.start(lambda: self._clients(jobs, between))
        self._timeline.start(lambda: self._listen(poll))
        self._timeline.start(lambda: self._listen(fetch))
        self._timeline.start(self._sweeper)
        self._timeline.run()
        return self._arrived

    # --- who does something ---

    def _clients(self, jobs: Sequence[Mapping[str, Any]], before: Iterator[float]) -> None:
        for job, seconds in zip(jobs, before, strict=False):
            self._timeline.sleep(seconds)
            self._timeline.start(partial(self._arrive, job))

    def _arrive(self, job: Mapping[str, Any]) -> None:
        self._arrived.append(self._pipeline.submit(**job))

    def _sweeper(self) -> None:
        while not self._over():
            self._timeline.sleep(_SWEEP_EVERY)
            sweep_jobs(self._services)

    def _listen(self, queue: _Queue) -> None:
        """As `local/function_host/queues.py` does it, and the real host."""
        backoff = Backoff(_QUEUES.max_polling_interval, self._chance)
        while not self._over():
            if queue.in_process > _QUEUES.threshold:
                self._timeline.sleep(_ROOM_AGAIN)
                continue
            self._pause(_STORAGE_CALL)
            found = queue.receive(_QUEUES.batch_size, self._timeline.now)
            for message in found:
                self._timeline.start(partial(self._invoke, queue, message))
            if found:
                backoff.found()
            else:
                self._timeline.sleep(backoff.pause())

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

    def _slow(self, services: Services) -> Services:
        self._queues = _Queue(poll_job), _Queue(self._fetch)
        ports: dict[str, Any] = {
            name: _Slow(getattr(services, name), lambda call: self._after(_STORAGE_CALL, call))
            for name in ("jobs", "live_jobs", "claims", "estimates", "blobs")
        }
        gates: Any = _Slow(
            _WatchedGates(services.gates, self.let_in), lambda call: self._after(_STORAGE_CALL, call)
        )
        messages: Any = _Slow(
            _Messages(*self._queues, self._timeline), lambda call: self._after(_STORAGE_CALL, call)
        )
        backends: Any = _Backends(services.backends, self._api_call, self._set_run_seconds)
        return services._replace(gates=gates, messages=messages, backends=backends, **ports)

    def _after(self, seconds: tuple[float, float], call: Callable[[], Any]) -> Any:
        self._pause(seconds)
        return call()

    def _fetch(self, services: Services, message: FetchMessage) -> None:
        self.fetch_began.setdefault(message.job_id, self._pipeline.now())
        fetch_video(services, message)

    def _set_run_seconds(self, request: VideoRequest) -> None:
        self._pipeline.simulator.world.change({"run_seconds": self._run_seconds(request)})

    def _api_call(self, call: Callable[[], Any]) -> Any:
        """On its way there, and back."""
        self._pause(_API_CALL, share=0.5)
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

    def has_backlog(self, queue: str) -> bool:
        return False

    def state(self, queue: str) -> QueueState:
        return QueueState(0, timedelta())  # nobody reads it here

    def count_poison(self, queue: str) -> int:
        return 0  # the same

    def take_poison(self, most: int) -> list[Any]:
        return []

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

    def __init__(self, real: Any, pace: _Pace) -> None:
        self._real, self._pace = real, pace

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._real, name)
        return lambda *args, **kwargs: self._pace(lambda: method(*args, **kwargs))


class _Client(_Slow):
    """See `ports.Backend`."""

    def __init__(self, real: Any, pace: _Pace, about_to_create: Callable[[VideoRequest], None]) -> None:
        super().__init__(real, pace)
        self._about_to_create = about_to_create

    def create(self, request: VideoRequest, images: Mapping[int, Image], deadline: float) -> BackendJob:
        def create() -> BackendJob:
            self._about_to_create(request)
            made: BackendJob = self._real.create(request, images, deadline)
            return made

        created: BackendJob = self._pace(create)
        return created


class _Backends:
    def __init__(self, real: Any, pace: _Pace, about_to_create: Callable[[VideoRequest], None]) -> None:
        self._real, self._pace, self._about_to_create = real, pace, about_to_create

    def client(self, ref: Any) -> Any:
        return _Client(self._real.client(ref), self._pace, self._about_to_create)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def render_ahead(simulator: Simulator, dialect: str, *jobs: Mapping[str, Any]) -> None:
    """So that every job like these has its video at once, and rendering takes no part in it."""
    for job in jobs or ({},):
        Pipeline(simulator, dialect).submit(**job)
        for made in simulator.world.everything():
            for output in made.outputs:
                output.rendering.result()
        simulator.world.reset()
