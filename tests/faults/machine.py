"""One machine in simulated time: clients, queues that redeliver, a sweeper each minute, processes that die.

What happens next is what is due first. The effects of whatever runs are counted, and struck where the run was
told to; the test looks at what is left when nothing more happens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from sweep_jobs.poison import note_poison, note_poisoned_notice
from sweep_jobs.sweep import sweep_jobs
from tests.faults.effects import Effects, ProcessKilled, counting
from tests.pipeline import Pipeline, hand_over
from video_jobs.errors import BackendError, ReelkeepError, StorageUnavailable
from video_jobs.job import Job
from video_jobs.messages import FETCH_QUEUE, POLL_QUEUE, decode_fetch, decode_notify, decode_poll
from video_jobs.services import Services
from video_jobs.storage.memory import QueuedMessage

T = TypeVar("T")

LEASE = timedelta(minutes=10)  # after a killed host, its messages are hidden for so long
AFTER_FAILURE = timedelta(seconds=30)  # host.json's visibilityTimeout
MOST_TRIES = 5  # host.json's maxDequeueCount
SWEEP_EVERY = timedelta(minutes=1)
MOST_STEPS = 20_000


class ClientGaveUp(Exception):
    """The client's request was never answered with anything but an error."""


class Machine:
    def __init__(
        self, pipeline: Pipeline, effects: Effects, *, sweeping: bool = True, variants: int = 1
    ) -> None:
        self.pipeline = pipeline
        self.variants = variants  #: videos in each job that a scenario asks for
        self.effects = effects
        self.services: Services = counting(pipeline.services, effects)
        self.poisoned = 0
        self._tries: dict[int, int] = {}
        self._next_sweep = pipeline.now() + SWEEP_EVERY if sweeping else None

    # --- what a client does ---

    def ask(self, action: Callable[[Services], T]) -> T:
        """A request of a client that repeats it until it has an answer."""
        for _ in range(4):
            try:
                return action(self.services)
            except ProcessKilled:
                self.effects.restart()
            except (StorageUnavailable, BackendError):
                continue  # 503: again
        raise ClientGaveUp

    def ask_once(self, action: Callable[[Services], T]) -> T | None:
        """A request of a client that goes away when it gets no answer."""
        try:
            return action(self.services)
        except ProcessKilled:
            self.effects.restart()
        except StorageUnavailable:
            pass
        return None

    def job(self, job: Job) -> Job:
        return self.pipeline.job(job)

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
            self.effects.restart()
        except ReelkeepError:
            pass  # the timer comes again

    def step(self) -> bool:
        """Let happen what is due first; False where nothing is left to happen."""
        queued = self.pipeline.messages.queued
        message = min(queued, key=lambda m: m.visible_at, default=None)
        idle = not self.pipeline.live_jobs.keys and not any(g.slots for g in self.services.gates.all())
        if message is None and (idle or self._next_sweep is None):
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
            self.hand_over(message)
            self.effects.carry_out("host.delete_message", delete, lambda: StorageUnavailable("too late"))
        except ProcessKilled:
            self.effects.restart()
            if not deleted:
                self._come_again(message, tries, LEASE)
        except ReelkeepError:
            if not deleted:
                self._come_again(message, tries, AFTER_FAILURE)

    def hand_over(self, message: QueuedMessage) -> None:
        hand_over(self.services, message)

    def _come_again(self, message: QueuedMessage, tries: int, after: timedelta) -> None:
        if tries >= MOST_TRIES:
            self.poisoned += 1
            self.ask_once(partial(_note_poison, message))
            return
        again = replace(message, visible_at=self.pipeline.now() + after)
        self._tries[id(again)] = tries
        self.pipeline.messages.queued.append(again)

    def wait_until(self, moment: datetime) -> None:
        wait = (moment - self.pipeline.now()).total_seconds()
        if wait > 0:
            self.pipeline.advance(wait)


def _note_poison(message: QueuedMessage, services: Services) -> None:
    body = message.text.encode()
    if message.queue in (POLL_QUEUE, FETCH_QUEUE):
        decode = decode_poll if message.queue == POLL_QUEUE else decode_fetch
        note_poison(services, decode(body))
    else:
        note_poisoned_notice(services, decode_notify(body))
