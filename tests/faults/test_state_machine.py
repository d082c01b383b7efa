"""Anything that clients, queues, operators, backends and crashes may do, in any order: the promises hold.

The real handlers run; the rules are what may happen to them, and after each of them the invariants are checked.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from backend_api.gates import pause_backend, resume_backend
from job_api.act import send_webhook
from job_api.import_job import import_job, read_import
from local.simulator.job import Order
from local.simulator.server import Simulator
from tests.faults import scenarios
from tests.faults.effects import Effects, ProcessKilled, Strike
from tests.faults.machine import ClientGaveUp, Machine
from tests.faults.promises import broken_promises
from tests.faults.scenarios import Story
from tests.pipeline import DIALECTS, OWNER, SMALL, Pipeline
from tests.receiver import HOOK
from video_jobs.domain.errors import (
    BackendJobNotFound,
    IdempotencyKeyReused,
    JobNotFound,
    NothingToSend,
    NotRetriable,
    ReelkeepError,
)
from video_jobs.domain.job import Job, Status

LIMIT = 2

struck = st.none() | st.tuples(st.integers(1, 8), st.sampled_from(Strike))
some = st.integers(0, 30)


class Jobs(RuleBasedStateMachine):
    simulator: ClassVar[Simulator]

    @initialize(dialect=st.sampled_from(DIALECTS))
    def begin(self, dialect: str) -> None:
        self.simulator.world.reset()
        self.simulator.faults.clear()
        self.simulator.world.change(
            {"queue_seconds": 2, "run_seconds": 20, "videos_running_limit": None, "running_limit": None}
        )
        self.effects = Effects()
        self.pipeline = Pipeline(self.simulator, dialect, VIDEO_RUNNING_LIMIT=str(LIMIT))
        self.machine = Machine(self.pipeline, self.effects)
        self.machine.is_always_on = False  # time passes here in which nothing runs
        self.delivered: list[Any] = []
        self.ended: dict[str, Status] = {}
        self.deleted: set[str] = set()
        self.elsewhere: set[str] = set()
        self.creates_without_row: list[str] = []
        self._watch_creates()

    # --- what may happen ---

    @rule(key=st.sampled_from("abcdef"), strike=struck)
    def submit(self, key: str, strike: Any) -> None:
        with self._struck(strike), contextlib.suppress(IdempotencyKeyReused):
            scenarios.submit(self.machine, key, **({"webhook_url": HOOK} if key in "abc" else {}))

    @rule(strike=struck)
    def deliver_what_is_due(self, strike: Any) -> None:
        self.delivered += self.pipeline.messages.queued
        with self._struck(strike):
            self.machine.step()

    @rule(which=some, strike=struck)
    def deliver_out_of_order(self, which: int, strike: Any) -> None:
        queued = self.pipeline.messages.queued
        if queued:
            message = queued[which % len(queued)]
            self.delivered.append(message)
            with self._struck(strike):
                self.machine.deliver(message)

    @rule(which=some)
    def deliver_once_more(self, which: int) -> None:
        if self.delivered:
            with contextlib.suppress(ReelkeepError):
                self.machine.hand_over(self.delivered[which % len(self.delivered)])

    @rule(which=some)
    def lose_a_message(self, which: int) -> None:
        queued = self.pipeline.messages.queued
        if queued:
            queued.pop(which % len(queued))

    @rule(which=some, strike=struck)
    def cancel(self, which: int, strike: Any) -> None:
        self._with_job(which, strike, lambda job: scenarios.cancel(self.machine, job))

    @rule(which=some, strike=struck)
    def retry(self, which: int, strike: Any) -> None:
        self._with_job(which, strike, lambda job: scenarios.retry(self.machine, job))

    @rule(which=some, strike=struck)
    def delete(self, which: int, strike: Any) -> None:
        def mark_deleted(job: Job) -> None:
            scenarios.delete(self.machine, job)
            self.deleted.add(job.id)

        self._with_job(which, strike, mark_deleted)

    @rule(strike=struck)
    def import_what_was_made_elsewhere(self, strike: Any) -> None:
        services = self.pipeline.services
        _, limits = services.backends.choose(None)
        small = SMALL[self.pipeline.dialect]
        request = limits.complete("made elsewhere", small["size"], small["seconds"], None, None)
        made = self._made_elsewhere(request)
        body = json.dumps({"backend_job_id": made}).encode()
        with self._struck(strike), contextlib.suppress(BackendJobNotFound, JobNotFound):
            self.machine.ask(lambda services: import_job(services, OWNER, read_import(body)))

    @rule(strike=struck)
    def sweep(self, strike: Any) -> None:
        with self._struck(strike):
            self.machine.sweep()

    @rule(seconds=st.sampled_from([1, 10, 60, 400, 1200]))
    def time_passes(self, seconds: int) -> None:
        self.pipeline.advance(seconds)

    @rule(which=some, strike=struck)
    def send_a_webhook_again(self, which: int, strike: Any) -> None:
        def send(job: Job) -> None:
            with contextlib.suppress(NothingToSend):
                self.machine.ask(lambda services: send_webhook(services, OWNER, job.id))

        self._with_job(which, strike, send)

    @rule(status=st.sampled_from([0, 302, 500]))
    def the_receiver_strays(self, status: int) -> None:
        self.pipeline.receiver.answers = [status] * 2

    @rule(
        fault=st.sampled_from(
            [
                {"operation": "create", "status": 429, "headers": {"retry-after": "15"}},
                {"operation": "create", "status": 500},
                {"operation": "create", "status": 401},
                {"operation": "create", "lost_answer": True},
                {"operation": "create", "status": 400},
                {"operation": "get", "status": 404, "times": 3},
                {"operation": "get", "status": 503},
                {"operation": "video", "status": 403},
                {"operation": "video", "cut_after": 1000},
                {"operation": "delete", "status": 409},
                {"operation": "delete", "lost_answer": True},
                {"operation": "list", "status": 503},
            ]
        )
    )
    def the_backend_strays(self, fault: dict[str, Any]) -> None:
        self.pipeline.fault(**fault)

    @rule()
    def the_operator_pauses(self) -> None:
        pause_backend(self.pipeline.services, "default")

    @rule()
    def the_operator_resumes(self) -> None:
        resume_backend(self.pipeline.services, "default")

    # --- what always holds ---

    @invariant()
    def i1_no_paid_call_without_a_durable_submitting(self) -> None:
        assert self.creates_without_row == []

    @invariant()
    def i2_no_two_jobs_have_one_backend_job(self) -> None:
        jobs = self._jobs()
        retried = {job.retry_of for job in jobs}
        ids = [job.backend_job_id for job in jobs if job.backend_job_id and job.id not in retried]
        assert len(ids) == len(set(ids))

    @invariant()
    def i5_terminal_is_final(self) -> None:
        for job in self._jobs():
            if job.id in self.ended:
                assert job.status is self.ended[job.id]
            elif job.is_terminal:
                self.ended[job.id] = job.status

    @invariant()
    def never_more_slots_than_the_limit(self) -> None:
        assert all(len(gate.slots) <= LIMIT for gate in self.pipeline.gates.all())

    def teardown(self) -> None:
        """When nobody does anything any more and nothing goes wrong, all comes to its end."""
        if not hasattr(self, "machine"):
            return
        self.simulator.faults.clear()
        self.effects.disarm()
        self.pipeline.receiver.answers.clear()
        resume_backend(self.pipeline.services, "default")
        self.machine.run_to_the_end()
        story = Story(deleted=self.deleted, elsewhere=self.elsewhere, most_paid=None, doubt=True)
        assert broken_promises(self.machine, story) == []
        for job in self._jobs():
            assert job.is_terminal

    # --- how ---

    def _jobs(self) -> list[Job]:
        return [stored.job for stored in self.pipeline.jobs.everything()] if hasattr(self, "pipeline") else []

    @contextlib.contextmanager
    def _struck(self, strike: Any) -> Iterator[None]:
        if strike is not None:
            self.effects.arm(*strike)
        try:
            with contextlib.suppress(ClientGaveUp):
                yield
        except ProcessKilled:
            self.effects.restart()
        finally:
            self.effects.disarm()

    def _with_job(self, which: int, strike: Any, action: Callable[[Job], Any]) -> None:
        jobs = self._jobs()
        if jobs:
            with self._struck(strike), contextlib.suppress(JobNotFound, NotRetriable):
                action(jobs[which % len(jobs)])

    def _watch_creates(self) -> None:
        backend, _ = self.pipeline.services.backends.choose(None)
        client: Any = self.pipeline.services.backends.client(backend)
        real = client.create

        def create(*args: Any) -> Any:
            if not any(job.status is Status.SUBMITTING for job in self._jobs()):
                self.creates_without_row.append(str(args[0]))
            return real(*args)

        client.create = create

    def _made_elsewhere(self, request: Any) -> str:
        """Straight to the simulated world, whatever faults are on."""
        order = Order(
            request.prompt, "sora", request.width, request.height, request.seconds, request.variants
        )
        made = self.simulator.world.create(self.pipeline.dialect, order).id
        self.elsewhere.add(made)
        return made


@pytest.mark.promise("I1", "I2", "I5", "I6")
def test_the_promises_hold_whatever_happens_in_whatever_order(shared_simulator: Simulator) -> None:
    Jobs.simulator = shared_simulator
    run_state_machine_as_test(
        Jobs,
        settings=settings(
            max_examples=int(os.environ.get("EXAMPLES", "25")),
            stateful_step_count=30,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
