"""Races: whatever comes beside, before, after or twice, one video is paid for, and it is kept."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from local.simulator.server import Simulator
from sweep_jobs.sweep import sweep_jobs
from tests.cases import EACH_DIALECT
from tests.pipeline import OWNER, Pipeline
from tests.steps import (
    assert_cancelled_for_good,
    assert_kept_once,
    assert_nothing_is_left,
    cancel,
    delete,
    finish_generating,
    first_fetch,
    meanwhile,
    only_job,
    picture,
    retry,
    slots,
)
from video_jobs.domain.errors import Conflict, IdempotencyKeyReused, JobNotFound, StorageUnavailable
from video_jobs.domain.gate import Gate
from video_jobs.domain.job import Job, Status
from video_jobs.domain.queue_messages import FETCH_QUEUE, POLL_QUEUE
from video_jobs.ports import StoredGate, StoredJob, VideoKey
from video_jobs.storage.memory import MemoryGates, MemoryJobs, QueuedMessage


def at_once(*actions: Callable[[], Any]) -> list[Any]:
    """Carry them out beside each other, begun together; an error of any is ours."""
    barrier = threading.Barrier(len(actions))

    def begin(action: Callable[[], Any]) -> Any:
        barrier.wait()
        return action()

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(begin, actions))


# --- cancel and delete beside everything else ----------------------------------------------------


def test_a_cancel_that_comes_during_a_poll_is_not_lost(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = pipeline.submit()
    meanwhile(pipeline, monkeypatch, "get", lambda: cancel(pipeline, job))
    pipeline.run(job)
    assert_cancelled_for_good(pipeline, job)
    assert len(pipeline.calls("delete")) == 1


def test_a_cancel_that_comes_while_a_look_sees_the_end_is_too_late(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = pipeline.submit()
    finish_generating(pipeline)
    meanwhile(pipeline, monkeypatch, "get", lambda: cancel(pipeline, job))
    pipeline.run(job)
    assert_kept_once(pipeline, job)
    assert pipeline.calls("delete") == []


def test_a_second_cancel_while_the_first_is_carried_out_changes_nothing(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = pipeline.submit()
    cancel(pipeline, job)
    meanwhile(pipeline, monkeypatch, "delete", lambda: cancel(pipeline, job))
    pipeline.run(job)
    assert_cancelled_for_good(pipeline, job)


def test_cancels_and_looks_at_once_end_in_one_way(pipeline: Pipeline) -> None:
    job = pipeline.submit()
    message = pipeline.take_next()
    at_once(
        *[lambda: cancel(pipeline, job)] * 3,
        *[lambda: pipeline.deliver(message)] * 3,
    )
    pipeline.run(job)
    assert_cancelled_for_good(pipeline, job)


@pytest.mark.parametrize("dialect", EACH_DIALECT)
@pytest.mark.parametrize("stop", [cancel, delete])
def test_a_waiting_job_that_is_stopped_as_it_goes_ahead_is_not_submitted(
    simulator: Simulator, dialect: str, stop: Callable[[Pipeline, Job], Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = Pipeline(simulator, dialect, VIDEO_RUNNING_LIMIT="1")
    pipeline.fault("create", status=429)
    job = pipeline.submit()
    real, waiting = pipeline.gates.save, [lambda: stop(pipeline, job)]

    def save(stored: StoredGate, gate: Gate) -> StoredGate:
        saved = real(stored, gate)
        if waiting and gate.slot(job.id) is not None:
            waiting.pop()()
        return saved

    monkeypatch.setattr(pipeline.gates, "save", save)
    pipeline.drain()
    assert not waiting
    assert len(pipeline.calls("create")) == 1
    assert pipeline.backend_jobs() == 0
    assert slots(pipeline) == []
    sweep_jobs(pipeline.services)
    assert not pipeline.live_jobs.keys


@pytest.mark.parametrize("stop", [cancel, delete])
def test_a_cancel_or_delete_while_another_thread_waits_for_the_paid_calls_answer(
    pipeline: Pipeline, stop: Callable[[Pipeline, Job], Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent, go = threading.Event(), threading.Event()

    def block() -> None:
        sent.set()
        assert go.wait(30)

    meanwhile(pipeline, monkeypatch, "create", block)
    with ThreadPoolExecutor(1) as pool:
        submitting = pool.submit(pipeline.submit)
        try:
            assert sent.wait(30)
            stop(pipeline, only_job(pipeline))
            for _ in range(3):
                pipeline.deliver(pipeline.take_next())
        finally:
            go.set()
        job = submitting.result()
    assert job.backend_job_id is not None
    if stop is cancel:
        pipeline.run(job)
        assert_cancelled_for_good(pipeline, job)
    else:
        assert_nothing_is_left(pipeline)
    assert pipeline.backend_jobs() == 1


def test_a_cancel_beside_two_deletes_is_carried_out_or_404(pipeline: Pipeline) -> None:
    job = pipeline.run_until(pipeline.submit(), Status.RUNNING)

    def cancel_or_404() -> None:
        with contextlib.suppress(JobNotFound):
            cancel(pipeline, job)

    at_once(cancel_or_404, lambda: delete(pipeline, job), lambda: delete(pipeline, job))
    assert_nothing_is_left(pipeline)
    assert pipeline.backend_jobs() == 1


def test_a_delete_beside_the_poll_that_ends_the_job_leaves_nothing(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = pipeline.submit(prompt="a boat, internal-failure")
    finish_generating(pipeline)
    meanwhile(pipeline, monkeypatch, "get", lambda: delete(pipeline, job))
    assert_nothing_is_left(pipeline)


# --- fetch against fetch -------------------------------------------------------------------------


def test_two_downloads_of_one_video_leave_one_blob_and_one_row(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = pipeline.submit()
    message = first_fetch(pipeline, job)
    real, barrier = pipeline.blobs.put_video, threading.Barrier(2)

    def put_video(place: VideoKey, chunks: Any, metadata: Any) -> bool:
        whole = [*chunks]
        barrier.wait(30)  # both have the bytes, and neither has committed them
        return real(place, iter(whole), metadata)

    with monkeypatch.context() as patch:
        patch.setattr(pipeline.blobs, "put_video", put_video)
        at_once(lambda: pipeline.deliver(message), lambda: pipeline.deliver(message))
    assert len(pipeline.calls("video")) == 2
    assert_kept_once(pipeline, job)


@pytest.mark.parametrize(
    "effects", [{"cut_after": 100}, {"status": 403}, {"replace_body": "<html>"}], ids=str
)
def test_a_download_that_fails_beside_one_that_succeeds_takes_nothing_back(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, effects: dict[str, Any]
) -> None:
    job = pipeline.submit()
    message = first_fetch(pipeline, job)
    # The second delivery is through before the first one, which was begun earlier, fails.
    meanwhile(pipeline, monkeypatch, "open_video", lambda: failing_later(pipeline, message, effects))
    pipeline.deliver(message)
    assert_kept_once(pipeline, job)


def failing_later(pipeline: Pipeline, message: QueuedMessage, effects: dict[str, Any]) -> None:
    pipeline.deliver(message)
    pipeline.fault("video", **effects)


def test_a_download_that_succeeds_beside_one_that_fails_is_kept(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = pipeline.submit()
    message = first_fetch(pipeline, job)
    pipeline.fault("video", status=403)
    meanwhile(pipeline, monkeypatch, "open_video", lambda: pipeline.deliver(message))
    pipeline.deliver(message)
    assert_kept_once(pipeline, job)


def test_a_download_asked_for_by_hand_beside_the_chains_own_is_made_once_in_the_row(
    pipeline: Pipeline,
) -> None:
    pipeline.fault("video", status=403, times=2)
    job = pipeline.run_until(pipeline.submit(), Status.PENDING_DOWNLOAD)
    message = next(m for m in pipeline.messages.queued if m.queue == FETCH_QUEUE)
    at_once(lambda: retry(pipeline, job), lambda: pipeline.deliver(message))
    assert_kept_once(pipeline, job)


# --- one key, many clients -----------------------------------------------------------------------


def test_one_key_from_many_clients_at_once_makes_one_job_with_one_image(pipeline: Pipeline) -> None:
    image = picture(pipeline)
    jobs = at_once(*[lambda: pipeline.submit(key="k-1", input_image=image)] * 8)
    [only] = {job.id for job in jobs}
    assert list(pipeline.blobs.inputs) == [f"{OWNER}/{only}"]
    assert len(pipeline.live_jobs.keys) == 1
    pipeline.run(jobs[0])
    assert_kept_once(pipeline, jobs[0])


def test_one_key_with_many_bodies_at_once_makes_one_job_and_tells_the_others(pipeline: Pipeline) -> None:
    def submit(number: int) -> Job | None:
        try:
            return pipeline.submit(key="k-1", metadata={"n": str(number)})
        except IdempotencyKeyReused:
            return None

    answers = at_once(*[lambda n=n: submit(n) for n in range(8)])  # type: ignore[misc]
    [job] = [answer for answer in answers if answer is not None]
    pipeline.run(job)
    assert_kept_once(pipeline, job)


# --- the queues' freedoms ------------------------------------------------------------------------

Post = Callable[[Pipeline, Job], None]


def twice(pipeline: Pipeline, job: Job) -> None:
    """Each message a second time, right after the first."""
    while pipeline.messages.queued:
        message = pipeline.take_next()
        pipeline.deliver(message)
        pipeline.deliver(message)


def two_at_once(pipeline: Pipeline, job: Job) -> None:
    """Each message on two machines, begun together."""
    while pipeline.messages.queued:
        message = pipeline.take_next()
        at_once(lambda m=message: pipeline.deliver(m), lambda m=message: pipeline.deliver(m))  # type: ignore[misc]


def very_late(pipeline: Pipeline, job: Job) -> None:
    """Each message a second time when everything is over, the last one first."""
    delivered = []
    while pipeline.messages.queued:
        message = pipeline.take_next()
        pipeline.deliver(message)
        delivered.append(message)
    before = pipeline.jobs.everything()
    for message in reversed(delivered):
        pipeline.deliver(message)
    assert pipeline.jobs.everything() == before
    assert not pipeline.messages.queued


def one_round_late(pipeline: Pipeline, job: Job) -> None:
    """Each message again when the two after it have come."""
    behind: list[QueuedMessage] = []
    while pipeline.messages.queued:
        message = pipeline.take_next()
        pipeline.deliver(message)
        behind.append(message)
        if len(behind) > 2:
            pipeline.deliver(behind.pop(0))


def out_of_order(pipeline: Pipeline, job: Job) -> None:
    """Whichever message comes, some of them twice, none before it is due."""
    chance = random.Random(20)
    while pipeline.messages.queued:
        message = chance.choice(pipeline.messages.queued)
        if chance.random() < 0.7:
            pipeline.messages.queued.remove(message)
        wait = (message.visible_at - pipeline.now()).total_seconds()
        pipeline.advance(max(wait, 0))
        pipeline.deliver(message)


def by_two_pollers(pipeline: Pipeline, job: Job) -> None:
    """A second chain of messages, begun by a copy of the first one."""
    first = next(m for m in pipeline.messages.queued if m.queue == POLL_QUEUE)
    pipeline.messages.queued.append(dataclasses.replace(first))
    while pipeline.messages.queued:
        pair = [pipeline.take_next() for _ in range(min(2, len(pipeline.messages.queued)))]
        at_once(*[lambda m=message: pipeline.deliver(m) for message in pair])  # type: ignore[misc]


POSTS = (twice, two_at_once, very_late, one_round_late, out_of_order, by_two_pollers)


def several(pipeline: Pipeline) -> dict[str, Any]:
    return {"variants": 2} if pipeline.dialect == "azure-sora" else {}


@pytest.mark.promise("I6")
@pytest.mark.parametrize("post", POSTS)
def test_a_video_is_kept_once_however_the_messages_come(pipeline: Pipeline, post: Post) -> None:
    job = pipeline.submit(**several(pipeline))
    post(pipeline, job)
    assert_kept_once(pipeline, job)


@pytest.mark.parametrize("post", POSTS)
def test_downloads_that_fail_at_first_are_kept_once_however_the_messages_come(
    pipeline: Pipeline, post: Post
) -> None:
    pipeline.fault("video", status=403, times=2)
    pipeline.fault("video", cut_after=100)
    job = pipeline.submit(**several(pipeline))
    post(pipeline, job)
    assert_kept_once(pipeline, job)


@pytest.mark.promise("I6")
@pytest.mark.parametrize("post", POSTS)
def test_a_waiting_job_is_submitted_once_however_the_messages_come(pipeline: Pipeline, post: Post) -> None:
    pipeline.fault("create", status=429, times=2)
    job = pipeline.submit()
    post(pipeline, job)
    assert pipeline.job(job).status is Status.SUCCEEDED
    assert pipeline.backend_jobs() == 1
    assert len(pipeline.calls("create")) == 3
    assert slots(pipeline) == []


@pytest.mark.promise("I2", "I6")
@pytest.mark.parametrize("post", POSTS)
def test_an_unknown_outcome_is_found_once_however_the_messages_come(pipeline: Pipeline, post: Post) -> None:
    pipeline.fault("create", lost_answer=True)
    job = pipeline.submit()
    post(pipeline, job)
    assert_kept_once(pipeline, job)


@pytest.mark.parametrize("post", POSTS)
def test_a_cancelled_job_is_stopped_however_the_messages_come(pipeline: Pipeline, post: Post) -> None:
    job = pipeline.submit()
    cancel(pipeline, job)
    post(pipeline, job)
    assert_cancelled_for_good(pipeline, job)


@pytest.mark.parametrize("post", POSTS)
def test_a_deleted_job_leaves_nothing_however_the_messages_come(pipeline: Pipeline, post: Post) -> None:
    job = pipeline.run_until(pipeline.submit(**several(pipeline)), Status.FETCHING)
    delete(pipeline, job)
    post(pipeline, job)
    assert_nothing_is_left(pipeline)
    assert pipeline.backend_jobs() == 1


@pytest.mark.parametrize("dialect", EACH_DIALECT)
@pytest.mark.parametrize("post", POSTS)
def test_those_in_line_all_get_their_turn_however_the_messages_come(
    simulator: Simulator, dialect: str, post: Post
) -> None:
    pipeline = Pipeline(simulator, dialect, VIDEO_RUNNING_LIMIT="1")
    jobs = [pipeline.submit() for _ in range(4)]
    post(pipeline, jobs[0])
    assert [pipeline.job(job).status for job in jobs] == [Status.SUCCEEDED] * 4
    assert pipeline.backend_jobs() == len(pipeline.calls("create")) == 4
    assert slots(pipeline) == []
    assert not pipeline.gates.get("default").gate.contended


# --- conflicts, and replies that are lost after the write ----------------------------------------


class Contested(MemoryJobs):
    """Before every other save, somebody else writes the row."""

    saves = 0

    def save(self, stored: StoredJob, job: Job) -> StoredJob:
        self.saves += 1
        if self.saves % 2:
            super().save(stored, stored.job)
        return super().save(stored, job)


class LosesReply(MemoryJobs):
    """Stores what it is told to, and of one save says afterwards that the row had changed."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        self.saves = 0

    def save(self, stored: StoredJob, job: Job) -> StoredJob:
        saved = super().save(stored, job)
        self.saves += 1
        if self.saves == self.number:
            raise Conflict("as the table says after a lost reply, when another write has come since")
        return saved


class ContestedGates(MemoryGates):
    """Before every other save, somebody else writes the row; and of every third, the reply is lost."""

    saves = 0

    def save(self, stored: StoredGate, gate: Gate) -> StoredGate:
        self.saves += 1
        if self.saves % 2:
            super().save(self.get(gate.backend), stored.gate)
        saved = super().save(stored, gate)
        if self.saves % 3 == 0:
            raise Conflict("as the table says after a lost reply, when another write has come since")
        return saved


def with_jobs(pipeline: Pipeline, jobs: MemoryJobs) -> None:
    pipeline.jobs = jobs
    pipeline.services = pipeline.services._replace(jobs=jobs)


def test_a_row_that_somebody_else_writes_all_the_time_is_written_all_the_same(pipeline: Pipeline) -> None:
    with_jobs(pipeline, Contested())
    pipeline.fault("video", status=403)
    job = pipeline.submit(**several(pipeline))
    pipeline.run(job)
    assert_kept_once(pipeline, job)


@pytest.mark.parametrize("stop", [cancel, delete])
def test_an_intent_in_a_row_that_somebody_else_writes_all_the_time_is_carried_out(
    pipeline: Pipeline, stop: Callable[[Pipeline, Job], Job]
) -> None:
    with_jobs(pipeline, Contested())
    job = pipeline.submit()
    stop(pipeline, job)
    pipeline.drain()
    assert not pipeline.live_jobs.keys
    assert [s.job.status for s in pipeline.jobs.everything()] == (
        [Status.CANCELLED] if stop is cancel else []
    )
    assert all(made.deleted_at is not None for made in pipeline.simulator.world.everything())


def test_a_reply_that_is_lost_after_any_one_write_changes_nothing(simulator: Simulator) -> None:
    number, saves = 1, 1
    while number <= saves:
        simulator.world.reset()
        simulator.faults.clear()
        pipeline = Pipeline(simulator, "azure-sora")
        jobs = LosesReply(number)
        with_jobs(pipeline, jobs)
        pipeline.fault("create", status=429)
        pipeline.fault("video", status=403)
        job = pipeline.submit()
        pipeline.run(job)
        pipeline.drain()
        assert pipeline.job(job).status is Status.SUCCEEDED, number
        assert pipeline.backend_jobs() == 1, number
        sweep_jobs(pipeline.services)
        assert not pipeline.live_jobs.keys
        assert slots(pipeline) == []
        number, saves = number + 1, jobs.saves
    assert number > 8


@pytest.mark.parametrize("dialect", EACH_DIALECT)
def test_a_gate_that_everybody_writes_at_once_lets_all_in_one_after_another(
    simulator: Simulator, dialect: str
) -> None:
    pipeline = Pipeline(simulator, dialect, VIDEO_RUNNING_LIMIT="2")
    pipeline.gates = ContestedGates()
    pipeline.services = pipeline.services._replace(gates=pipeline.gates)
    jobs = [pipeline.submit() for _ in range(5)]
    while not all(pipeline.job(job).is_terminal for job in jobs):
        if pipeline.messages.queued:
            pipeline.deliver(pipeline.take_next())
        else:
            pipeline.advance(60)
            sweep_jobs(pipeline.services)
    assert [pipeline.job(job).status for job in jobs] == [Status.SUCCEEDED] * 5
    pipeline.drain()
    assert pipeline.backend_jobs() == 5
    assert slots(pipeline) == []


@pytest.mark.parametrize("status", [Status.WAITING, Status.RUNNING, Status.FETCHING, Status.PENDING_DOWNLOAD])
def test_saves_that_fail_for_ten_minutes_multiply_no_messages(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, status: Status
) -> None:
    """Reads and sends work; the host delivers what failed again after half a minute, five times."""
    pipeline.simulator.world.change({"run_seconds": 3000 if status is Status.RUNNING else 5})
    if status is Status.PENDING_DOWNLOAD:
        pipeline.fault("video", times=-1, status=403)
    job = pipeline.submit()
    if status is not Status.WAITING:
        pipeline.run_until(job, status)
    ends = pipeline.now() + timedelta(minutes=10)
    away, save = StorageUnavailable("Azure Storage answered 503 (ServerBusy)."), pipeline.jobs.save
    monkeypatch.setattr(pipeline.jobs, "save", lambda *_: (_ for _ in ()).throw(away))
    tries: dict[int, int] = {}
    delivered = 0
    while pipeline.messages.queued and pipeline.now() < ends:
        message = pipeline.take_next()
        delivered += 1
        assert delivered < 300
        try:
            pipeline.deliver(message)
        except StorageUnavailable:
            again = replace(message, visible_at=pipeline.now() + timedelta(seconds=30))
            tries[id(again)] = tries.pop(id(message), 1) + 1
            if tries[id(again)] <= 5:
                pipeline.messages.queued.append(again)
    assert len(pipeline.messages.queued) <= 4
    monkeypatch.setattr(pipeline.jobs, "save", save)
