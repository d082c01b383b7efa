"""One machine in simulated time: clients, queues that redeliver, a sweeper each minute, processes that die.

What happens next is what is due first. The effects of whatever runs are counted, and struck where the run was
told to; the test looks at what is left when nothing more happens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from sweep_jobs.sweep import sweep_jobs
from tests.faults.effects import DOWN_FOR, Effects, ProcessKilled, counting
from tests.pipeline import Pipeline, hand_over
from video_jobs.domain.errors import BackendError, ReelkeepError, StorageUnavailable
from video_jobs.domain.job import Job, Status
from video_jobs.lifecycle.webhook_chain import is_untold
from video_jobs.services import Services
from video_jobs.storage.memory import QueuedMessage

T = TypeVar("T")

LEASE = timedelta(minutes=10)  # after a killed host, its messages are hidden for so long
AFTER_FAILURE = timedelta(seconds=30)  # host.json's visibilityTimeout
MOST_TRIES = 5  # host.json's maxDequeueCount
SWEEP_EVERY = timedelta(minutes=1)
MOST_STEPS = 20_000
STANDSTILL = timedelta(minutes=3)  # I11: how long a job may stand still after a crash


class ClientGaveUp(Exception):
    """The client's request was never answered with anything but an error."""


class Machine:
    def __init__(
        self, pipeline: Pipeline, effects: Effects, *, sweeping: bool = True, variants: int = 1
    ) -> None:
        self.is_always_on = True  #: a host runs all the time, so that I11 can be held to its minutes
        self.pipeline = pipeline
        self.variants = variants  #: videos in each job that a scenario asks for
        self.effects = effects
        self.services: Services = counting(pipeline.services, effects)
        self.poisoned = 0
        self.standstills: dict[str, str] = {}  #: by job id, in words
        self._tries: dict[int, int] = {}
        self._struck_at = pipeline.now()  #: when the last crash was, or the last effect that failed
        self._strikes = 0
        self._refusing_until: datetime | None = None
        self._moved_at = pipeline.now()
        self._next_sweep = pipeline.now() + SWEEP_EVERY if sweeping else None

    # --- what a client does ---

    def ask(self, action: Callable[[Services], T]) -> T:
        """A request of a client that repeats it until it has an answer."""
        for _ in range(4):
            try:
                return action(self.services)
            except ProcessKilled:
                self._restart()
            except (StorageUnavailable, BackendError):
                self._sit_out()
                continue  # 503: again
        raise ClientGaveUp

    def ask_once(self, action: Callable[[Services], T]) -> T | None:
        """A request of a client that goes away when it gets no answer."""
        try:
            return action(self.services)
        except ProcessKilled:
            self._restart()
        except StorageUnavailable:
            pass
        return None

    def job(self, job: Job) -> Job:
        return self.pipeline.job(job)

    def _sit_out(self) -> None:
        """Wait until storage takes everything again."""
        while self.effects.refusing and self.step():
            pass
        if self.effects.refusing and self._refusing_until is not None:
            self.wait_until(self._refusing_until)

    def _restart(self) -> None:
        if self.effects.is_down:
            self.pipeline.advance(DOWN_FOR.total_seconds())
            self._moved_at = self.pipeline.now()
            if self._next_sweep is not None:
                self._next_sweep = self.pipeline.now() + SWEEP_EVERY
        self.effects.restart()

    # --- what happens by itself ---

    def run(self, until: Callable[[], bool]) -> None:
        """Let happen what is due, until the condition holds, or nothing is left to happen."""
        for _ in range(MOST_STEPS):
            if until() or not self.step():
                return
        raise AssertionError(f"it never ends: {self.pipeline.messages.queued[:5]}")

    def run_to_the_end(self) -> None:
        self.run(lambda: False)

    def sweep(self) -> None:
        try:
            sweep_jobs(self.services)
        except ProcessKilled:
            self._restart()
        except ReelkeepError:
            pass  # the timer comes again

    def step(self) -> bool:
        """Let happen what is due first; False where nothing is left to happen."""
        if self.effects.refusing and self._refusing_until is None:
            self._refusing_until = self.pipeline.now() + DOWN_FOR
        no_queues = "messages" in self.effects.refusing
        queued = self.pipeline.messages.queued if not no_queues else []
        message = min(queued, key=lambda m: m.visible_at, default=None)
        idle = not (
            self.pipeline.live_jobs.keys
            or self.pipeline.messages.poisoned
            or any(g.slots for g in self.pipeline.gates.all())
        )
        if message is None and (self._next_sweep is None or (idle and not no_queues)):
            return False
        if self._next_sweep is not None and (message is None or self._next_sweep <= message.visible_at):
            self.wait_until(self._next_sweep)
            self._next_sweep = self.pipeline.now() + SWEEP_EVERY
            self.sweep()
            return True
        assert message is not None
        self.wait_until(message.visible_at)
        self.deliver(message)
        return True

    def deliver(self, message: QueuedMessage) -> None:
        """As the host does: the message goes when its function has succeeded, comes again when it has not."""
        queued = self.pipeline.messages.queued
        queued.remove(message)
        tries = self._tries.pop(id(message), 0) + 1
        deleted = False

        def delete() -> None:
            nonlocal deleted
            deleted = True

        try:
            self.hand_over(message, tries)
            self.effects.carry_out("host.delete_message", delete, lambda: StorageUnavailable("too late"))
        except ProcessKilled:
            self._restart()
            if not deleted:
                self._come_again(message, tries, LEASE)
        except ReelkeepError:
            if not deleted:
                self._come_again(message, tries, AFTER_FAILURE)

    def hand_over(self, message: QueuedMessage, tries: int = 1) -> None:
        hand_over(self.services, message, tries)

    def _come_again(self, message: QueuedMessage, tries: int, after: timedelta) -> None:
        if tries >= MOST_TRIES:
            self.poisoned += 1
            self.pipeline.messages.poison(message.queue, message.text.encode())
            return
        again = replace(message, visible_at=self.pipeline.now() + after)
        self._tries[id(again)] = tries
        self.pipeline.messages.queued.append(again)

    def wait_until(self, moment: datetime) -> None:
        if self._refusing_until is not None and moment >= self._refusing_until:
            left = (self._refusing_until - self.pipeline.now()).total_seconds()
            self.pipeline.advance(max(left, 0.0))
            self.effects.refusing, self._refusing_until = (), None
            self._moved_at = self._struck_at = self.pipeline.now()
            self._strikes = self.effects.strikes
        wait = (moment - self.pipeline.now()).total_seconds()
        if wait > 0:
            self.pipeline.advance(wait)
            self._watch()

    def _watch(self) -> None:
        """Note each job that nobody has gone on with for too long since it was due."""
        if not self.is_always_on or self._refusing_until is not None:
            return
        now = self.pipeline.now()
        if self.effects.strikes > self._strikes:  # in the steps since the last time that time moved on
            self._strikes, self._struck_at = self.effects.strikes, self._moved_at
        self._moved_at = now
        for stored in self.pipeline.jobs.everything():
            for what, due_at in _due(stored.job):
                since = max(due_at, self._struck_at)
                if now - since > STANDSTILL:
                    seconds = (now - since).total_seconds()
                    self.standstills[stored.job.id] = f"{what} was due for {seconds:.0f} s"


def _due(job: Job) -> Iterator[tuple[str, datetime]]:
    """What a job waits for that is somebody's to do, and since when; nothing for a reason that it shows."""
    if not job.is_over:
        if not (job.status is Status.WAITING and job.reason):
            yield f"a poll of the {job.status} job", job.chain.due_at or job.updated_at
        for output in job.outputs if job.deleted_at is None else ():
            if not output.is_settled and output.chain.due_at is not None:
                yield f"the download of video {output.index}", output.chain.due_at
    elif is_untold(job) and job.webhook is not None:
        yield "the notification", job.webhook.chain.due_at or job.updated_at
