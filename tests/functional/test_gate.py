"""The gate before a video API: who goes ahead, who waits and is told why, and what opens and closes it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from backend_api.gates import list_backends, pause_backend, resume_backend
from http_edge.answers import see_job
from job_api.act import cancel_job
from local.simulator.server import Simulator
from sweep_jobs.sweep import sweep_jobs
from tests.cases import EACH_DIALECT
from tests.pipeline import OWNER, Pipeline
from tests.steps import go_on, statuses, submit, with_limits
from video_jobs.domain import gate
from video_jobs.domain.gate import UNCLAIMED, ClosureReason, Gate, Slot
from video_jobs.domain.job import Job, Status
from video_jobs.domain.queue_messages import PollMessage, decode_poll
from video_jobs.lifecycle import admission
from video_jobs.lifecycle.poll_chain import poll_now
from video_jobs.ports import StoredGate, StoredJob
from video_jobs.storage.memory import QueuedMessage

JOB_SECONDS = 40  # of the simulated API, until it has generated
AT_ONCE = 5.0  # seconds; harness messages are delivered when they are due


@pytest.fixture(params=EACH_DIALECT)
def two(request: pytest.FixtureRequest, simulator: Simulator) -> Pipeline:
    """An API with two slots, in each dialect."""
    return with_limits(simulator, request.param, running=2)


@pytest.fixture
def one(simulator: Simulator) -> Pipeline:
    """An API with one slot."""
    return with_limits(simulator, "azure-sora", running=1)


def run_all(pipeline: Pipeline, jobs: Iterable[Job]) -> None:
    for job in jobs:
        assert pipeline.run(job).status is Status.SUCCEEDED


def waiting(pipeline: Pipeline, jobs: Iterable[Job]) -> int:
    return statuses(pipeline, jobs).count(Status.WAITING)


def answer(pipeline: Pipeline, job: Job) -> dict[str, Any]:
    return see_job(pipeline.services, pipeline.job(job)).body


def create_times(pipeline: Pipeline, status: int | None = None) -> list[float]:
    return [call["at"] for call in pipeline.calls("create") if status in (None, call["status"])]


def as_created(pipeline: Pipeline, jobs: Iterable[Job]) -> list[str]:
    """Their ids in the order in which the video API made them."""
    made = {job.backend_job_id: job.id for job in map(pipeline.job, jobs)}
    return [made[job.id] for job in pipeline.simulator.world.everything() if job.id in made]


def everything(pipeline: Pipeline) -> list[Any]:
    """What the video API made, oldest first."""
    return pipeline.simulator.world.everything()


def change_gate(pipeline: Pipeline, change: Callable[[Gate], Gate]) -> None:
    """As a process that ended in the middle of something left it."""
    stored = pipeline.gates.get("default")
    pipeline.gates.save(stored, change(stored.gate))


# --- the line ---


def test_jobs_beyond_the_limit_wait_and_go_ahead_in_order_of_arrival(two: Pipeline) -> None:
    jobs = submit(two, 9)
    assert waiting(two, jobs) == 7
    assert len(create_times(two)) == 2
    run_all(two, jobs)
    assert as_created(two, jobs) == [job.id for job in jobs]
    assert create_times(two, 429) == []
    assert len(create_times(two)) == 9


def test_a_newcomer_does_not_overtake_who_waits_when_a_slot_is_free(one: Pipeline) -> None:
    first, second = submit(one, 2)
    one.run_until(first, Status.FETCHING)
    newcomer = one.submit()
    assert newcomer.status is Status.WAITING
    run_all(one, [first, second, newcomer])
    assert as_created(one, [first, second, newcomer]) == [first.id, second.id, newcomer.id]


def test_a_waiting_job_is_told_its_place_in_line_and_what_it_waits_for(one: Pipeline) -> None:
    first, *rest = submit(one, 4)
    assert answer(one, first).get("queue_position") is None
    assert [answer(one, job)["queue_position"] for job in rest] == [1, 2, 3]
    assert all("free slot" in answer(one, job)["reason"] for job in rest)
    one.run(first)
    go_on(one, AT_ONCE)
    assert [answer(one, job).get("queue_position") for job in rest] == [None, 1, 2]


def test_a_job_in_line_holds_no_message_and_is_neither_polled_nor_swept(
    one: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    one.simulator.world.change({"run_seconds": 3000})
    first, *rest = submit(one, 4)
    assert [first.id in message.text for message in one.messages.queued] == [True]
    before = [one.jobs.get(job.owner, job.id) for job in rest]
    read: list[str] = []
    get = one.jobs.get
    monkeypatch.setattr(one.jobs, "get", lambda owner, job_id: (read.append(job_id), get(owner, job_id))[1])
    for _ in range(20):
        go_on(one, 60)
        sweep_jobs(one.services)
    # Only the first two of the line are ever read: to see who is next, and that somebody is left.
    assert set(read) <= {first.id, rest[0].id, rest[1].id}
    assert [get(job.owner, job.id) for job in rest] == before
    assert len(create_times(one)) == 1


def test_whoever_a_crash_left_in_line_without_a_note_at_the_gate_is_called_by_the_sweeper(
    one: Pipeline,
) -> None:
    first, second = submit(one, 2)
    one.gates.gates["default"] = replace(one.gates.gates["default"], contended=False)
    one.run(first)
    assert one.job(second).status is Status.WAITING
    sweep_jobs(one.services)
    assert one.run(second).status is Status.SUCCEEDED


def test_who_was_called_by_a_message_that_was_lost_is_called_again_within_two_minutes(one: Pipeline) -> None:
    first, second = submit(one, 2)
    one.run(first, lambda seen: bool(one.gates.gates["default"].called))
    for message in [m for m in one.messages.queued if second.id in m.text]:
        one.messages.queued.remove(message)  # taken by a host that dies
    for _ in range(2):
        go_on(one, 60)
        sweep_jobs(one.services)
    assert one.run(second).status is Status.SUCCEEDED


def test_who_waits_goes_ahead_at_once_when_a_slot_is_free(two: Pipeline) -> None:
    jobs = submit(two, 6)
    run_all(two, jobs)
    creates, ends = create_times(two), [job.created_at + JOB_SECONDS for job in everything(two)]
    for create, end in zip(creates[2:], ends, strict=False):
        assert end <= create <= end + AT_ONCE


def test_a_slot_is_free_before_the_videos_are_here(one: Pipeline) -> None:
    first, second = submit(one, 2)
    one.fault("video", status=503, times=-1)
    one.run_until(second, Status.RUNNING)
    assert one.job(first).status in (Status.FETCHING, Status.PENDING_DOWNLOAD)


def test_a_job_that_fails_makes_room_for_the_next(one: Pipeline) -> None:
    [failing] = submit(one, 1, prompt="internal-failure")
    after = one.submit()
    assert one.run(failing).status is Status.FAILED
    go_on(one, AT_ONCE)
    assert one.job(after).status is Status.QUEUED


def test_who_is_called_in_the_middle_of_a_look_of_its_own_is_woken_all_the_same(
    one: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    one.simulator.world.change({"run_seconds": 3000})
    first, second = submit(one, 2)
    one.gates.gates["default"] = replace(one.gates.gates["default"], paused_since=one.now())
    poll_now(one.services, one.job(second))
    look = next(m for m in one.messages.queued if second.id in m.text)
    save = one.jobs.save

    def freed_meanwhile(stored: StoredJob, job: Job) -> StoredJob:
        monkeypatch.undo()  # the poll has found no place, and has not saved that yet
        one.simulator.world.delete(everything(one)[0])
        admission.call_next(one.services, "default", lambda found: gate.resume(gate.leave(found, first.id)))
        return save(stored, job)

    monkeypatch.setattr(one.jobs, "save", freed_meanwhile)
    one.deliver(look)
    assert one.job(second).status is Status.WAITING
    go_on(one, AT_ONCE)
    assert one.job(second).status is Status.QUEUED


def test_two_polls_at_once_of_who_was_called_do_not_give_its_slot_to_another(
    one: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    one.simulator.world.change({"run_seconds": 3000})
    first, second, third = submit(one, 3)
    poll_now(one.services, one.job(second))
    get = one.gates.get

    def freed_meanwhile(backend: str) -> StoredGate:
        monkeypatch.undo()
        one.simulator.world.delete(everything(one)[0])
        admission.leave(one.services, first)
        return get(backend)

    monkeypatch.setattr(one.gates, "get", freed_meanwhile)
    # It has read the row before it was called, and loses to the message.
    one.deliver(next(m for m in one.messages.queued if second.id in m.text))
    assert [slot.job_id for slot in one.gates.gates["default"].slots] == [second.id]
    go_on(one, AT_ONCE)
    assert statuses(one, [second, third]) == [Status.QUEUED, Status.WAITING]
    assert create_times(one, 429) == []


def test_a_poll_that_came_too_late_leaves_the_slot_to_the_poll_that_was_faster(one: Pipeline) -> None:
    first, second, third = submit(one, 3)
    as_the_late_one_read_it = one.job(second)
    one.run_until(second, Status.QUEUED)
    admission.leave_unless_running(one.services, as_the_late_one_read_it)
    go_on(one, AT_ONCE)
    assert [slot.job_id for slot in one.gates.gates["default"].slots] == [second.id]
    run_all(one, [first, second, third])
    assert create_times(one, 429) == []


def own_message(pipeline: Pipeline, job: Job) -> QueuedMessage:
    """The one with which the job's chain goes on."""
    wanted = PollMessage(owner=OWNER, job_id=job.id, turn=pipeline.job(job).chain.turn)
    return next(m for m in pipeline.messages.queued if decode_poll(m.text.encode()) == wanted)


def test_calling_the_next_reads_two_more_jobs_than_there_is_room_for(
    one: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *_ = submit(one, 40)
    read: list[str] = []
    get = one.jobs.get

    def counted(owner: str, job_id: str) -> Any:
        read.append(job_id)
        return get(owner, job_id)

    monkeypatch.setattr(one.jobs, "get", counted)
    admission.leave(one.services, first)
    assert len(read) == 3


def test_cancelling_a_waiting_job_takes_it_out_of_line(one: Pipeline) -> None:
    first, second, third = submit(one, 3)
    assert cancel_job(one.services, OWNER, second.id).status is Status.CANCELLED
    assert answer(one, third)["queue_position"] == 1
    run_all(one, [first, third])
    assert len(create_times(one)) == 2


def test_cancelling_who_was_called_gives_the_slot_to_the_next(one: Pipeline) -> None:
    first, second, third = submit(one, 3)
    one.simulator.world.delete(everything(one)[0])
    admission.leave(one.services, first)
    assert [slot.job_id for slot in one.gates.gates["default"].called] == [second.id]
    cancel_job(one.services, OWNER, second.id)
    assert [slot.job_id for slot in one.gates.gates["default"].called] == [third.id]


def test_two_backends_have_gates_of_their_own(simulator: Simulator) -> None:
    other = {
        "name": "other",
        "dialect": "openai-videos",
        "base_url": f"{simulator.url}/openai/v1",
        "model": "sora-2",
        "api_key_setting": "AZURE_OPENAI_API_KEY",
        "running_limit": 1,
    }
    pipeline = with_limits(simulator, "azure-sora", running=1, VIDEO_BACKENDS=json.dumps([other]))
    pipeline.fault("create", status=429, headers={"retry-after": "600"})
    here = submit(pipeline, 2)
    there = submit(pipeline, 2, backend="other", size="720x1280", seconds=4)
    assert statuses(pipeline, here) == [Status.WAITING, Status.WAITING]
    assert statuses(pipeline, there) == [Status.QUEUED, Status.WAITING]
    assert [answer(pipeline, job)["queue_position"] for job in (*here, there[1])] == [1, 2, 1]
    closures = {view["name"]: view["closed"] for view in list_backends(pipeline.services)}
    assert closures["default"]["why"] == "busy"
    assert closures["other"] is None


# --- closed ---


@pytest.mark.parametrize(("says", "seconds"), [(0, 10), (2, 10), (40, 40), (300, 300)])
def test_a_429_closes_the_gate_for_no_less_than_it_says(two: Pipeline, says: int, seconds: int) -> None:
    two.fault("create", status=429, headers={"retry-after": str(says)})
    jobs = submit(two, 5)
    run_all(two, jobs)
    refused, *after = create_times(two)
    assert refused + seconds <= after[0] <= refused + seconds + AT_ONCE
    assert len(after) == len(jobs)


def test_after_a_429_a_single_probe_goes_ahead_and_then_all(two: Pipeline) -> None:
    two.fault("create", times=3, status=429, headers={"retry-after": "30"})
    jobs = submit(two, 5)
    run_all(two, jobs)
    refused, creates = create_times(two, 429), create_times(two)
    assert creates[:3] == refused
    assert [round(later - earlier) for earlier, later in itertools.pairwise(creates[:4])] == [30, 30, 40]
    assert creates[4] - creates[3] <= AT_ONCE, "the second slot is used as soon as the probe has succeeded"
    assert as_created(two, jobs) == [job.id for job in jobs]


def test_a_job_from_before_the_429_does_not_open_the_gate(
    two: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two creates at a time: the one that comes through last was under way when the other was refused."""
    backend = two.services.backends
    client = backend.client(backend.choose(None)[0])
    create = client.create

    def refused_meanwhile(*args: Any) -> Any:
        monkeypatch.undo()
        made = create(*args)
        two.fault("create", status=429, headers={"retry-after": "50"})
        two.submit()
        return made

    monkeypatch.setattr(client, "create", refused_meanwhile)
    submit(two, 2)
    assert [call["status"] for call in two.calls("create")][1:] == [429]
    [refused] = create_times(two, 429)
    go_on(two, 100)
    assert create_times(two)[2] >= refused + 50


def test_who_is_woken_while_the_gate_is_closed_again_comes_when_it_opens(one: Pipeline) -> None:
    one.simulator.world.change({"run_seconds": 3000})
    first, second = submit(one, 2)
    change_gate(one, lambda found: gate.close(found, one.now(), ClosureReason.BUSY, "busy", 30))
    one.simulator.world.delete(everything(one)[0])
    admission.leave(one.services, first)
    change_gate(one, lambda found: gate.close(found, one.now(), ClosureReason.BUSY, "busy", 90))
    go_on(one, 80)
    assert len(create_times(one)) == 1
    go_on(one, 10 + AT_ONCE)
    assert one.job(second).status is Status.QUEUED


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refused_key_or_a_missing_deployment_closes_the_gate_and_all_are_told_why(
    two: Pipeline, status: int
) -> None:
    two.fault("create", times=2, status=status)
    jobs = submit(two, 5)
    go_on(two, 60)
    assert len(create_times(two)) == 1, "nobody else runs into it"
    [view] = list_backends(two.services)
    assert (view["closed"]["why"], view["waiting"]) == ("misconfigured", 5)
    for job in jobs:
        seen = answer(two, job)
        assert seen["status"] == "waiting"
        assert seen["reason"] == view["closed"]["reason"]
        assert "The backend 'default'" in seen["reason"]
    go_on(two, 100)
    assert len(create_times(two)) == 2, "a single probe"
    assert waiting(two, jobs) == 5
    run_all(two, jobs)
    assert len(create_times(two)) == 7
    assert list_backends(two.services)[0]["closed"] is None


def test_a_probe_that_is_refused_for_what_it_asks_opens_the_gate_too(one: Pipeline) -> None:
    one.fault("create", status=401)
    first = one.submit()
    [second] = submit(one, 1, prompt="rejected-prompt")
    go_on(one, 130)
    assert one.job(second).status is Status.FAILED, "who closed it goes last"
    assert one.job(first).status is Status.QUEUED


def test_an_operator_who_has_mended_the_key_need_not_wait_for_the_probe(two: Pipeline) -> None:
    two.fault("create", status=401)
    jobs = submit(two, 3)
    resume_backend(two.services, "default")
    go_on(two, AT_ONCE)
    assert statuses(two, jobs) == [Status.QUEUED, Status.QUEUED, Status.WAITING]


def test_an_outcome_that_is_not_known_keeps_most_of_a_line_from_the_same(simulator: Simulator) -> None:
    pipeline = with_limits(simulator, "openai-videos", running=None)
    pipeline.fault("create", times=-1, status=500)
    jobs = submit(pipeline, 40)
    go_on(pipeline, 600)
    assert 5 <= len(create_times(pipeline)) <= 20
    assert waiting(pipeline, jobs) >= 20
    pipeline.simulator.faults.clear()
    run_all(pipeline, [job for job in jobs if pipeline.job(job).status is Status.WAITING])
    assert len(create_times(pipeline)) == 40, "each is sent once"


def test_ten_answers_that_are_lost_at_once_are_settled_within_minutes(simulator: Simulator) -> None:
    pipeline = with_limits(simulator, "openai-videos", running=None)
    pipeline.fault("create", times=10, lost_answer=True)
    began = pipeline.now()
    jobs = submit(pipeline, 10)
    run_all(pipeline, jobs)
    assert pipeline.now() - began < timedelta(minutes=7)
    assert len(create_times(pipeline)) == pipeline.backend_jobs() == 10


def test_an_api_without_limits_takes_all_after_a_429(simulator: Simulator) -> None:
    pipeline = with_limits(simulator, "openai-videos", running=None)
    before = submit(pipeline, 3)
    assert waiting(pipeline, before) == 0
    pipeline.fault("create", status=429, headers={"retry-after": "90"})
    after = submit(pipeline, 80)
    assert waiting(pipeline, after) == 80
    [refused] = create_times(pipeline, 429)
    go_on(pipeline, 12)
    assert waiting(pipeline, after[:50]) == 0
    run_all(pipeline, [*before, *after])
    assert min(at for at in create_times(pipeline) if at > refused) >= refused + 90
    assert create_times(pipeline)[-1] <= refused + 90 + JOB_SECONDS + 3 * AT_ONCE
    assert len(create_times(pipeline)) == 84
    left = replace(pipeline.gates.gates["default"], opened_at=None)
    assert left == Gate("default"), "nothing is left that costs a write"


# --- paused ---


def test_a_paused_backend_gets_nothing_new_while_what_runs_is_fetched(two: Pipeline) -> None:
    running = submit(two, 2)
    assert pause_backend(two.services, "default")["paused_since"]
    late = submit(two, 3)
    run_all(two, running)
    go_on(two, 600)
    assert len(create_times(two)) == 2
    assert all("paused" in answer(two, job)["reason"] for job in late)
    assert [answer(two, job)["queue_position"] for job in late] == [1, 2, 3]
    assert resume_backend(two.services, "default")["paused_since"] is None
    go_on(two, AT_ONCE)
    assert statuses(two, late) == [Status.QUEUED, Status.QUEUED, Status.WAITING]
    run_all(two, late)


# --- creates a minute ---


def test_no_more_creates_a_minute_than_the_limit_and_no_time_is_lost(simulator: Simulator) -> None:
    pipeline = with_limits(simulator, "azure-sora", running=None, VIDEO_CREATES_PER_MINUTE="3")
    simulator.world.change({"creates_per_minute": 3})
    jobs = submit(pipeline, 12)
    run_all(pipeline, jobs)
    assert create_times(pipeline, 429) == []
    first, last = create_times(pipeline)[0], create_times(pipeline)[-1]
    assert last - first <= 3 * 61 + AT_ONCE
    assert as_created(pipeline, jobs) == [job.id for job in jobs]


def test_the_only_one_in_line_is_woken_when_a_minute_is_over(simulator: Simulator) -> None:
    pipeline = with_limits(simulator, "azure-sora", running=None, VIDEO_CREATES_PER_MINUTE="1")
    _, second = submit(pipeline, 2)
    go_on(pipeline, 61 + AT_ONCE)
    assert pipeline.job(second).status is Status.QUEUED


# --- after a crash ---


def test_the_sweeper_takes_back_slots_of_jobs_that_have_ended(two: Pipeline) -> None:
    ended = submit(two, 2)
    run_all(two, ended)
    slots = tuple(Slot(job.id, job.owner, job.created_at, job.created_at) for job in ended)
    change_gate(two, lambda found: replace(found, slots=slots))  # the process ended before it gave them back
    later = submit(two, 3)
    assert waiting(two, later) == 3
    sweep_jobs(two.services)
    go_on(two, AT_ONCE)
    assert statuses(two, later) == [Status.QUEUED, Status.QUEUED, Status.WAITING]


def test_a_slot_whose_job_is_not_there_is_taken_back(one: Pipeline) -> None:
    change_gate(one, lambda found: gate.call(found, one.now(), "job_that_is_not_there", OWNER))
    job = one.submit()
    assert job.status is Status.WAITING
    sweep_jobs(one.services)
    go_on(one, AT_ONCE)
    assert one.job(job).status is Status.QUEUED


def test_who_is_called_and_does_not_come_loses_the_slot_to_the_next(one: Pipeline) -> None:
    first, lost, third = submit(one, 3)
    one.run_until(first, Status.FETCHING)
    assert [slot.job_id for slot in one.gates.gates["default"].called] == [lost.id]
    lose_messages(one, lost)
    one.advance(UNCLAIMED.total_seconds())
    sweep_jobs(one.services)
    lose_messages(one, lost)  # whatever is the matter with it, it is not called for ever
    go_on(one, AT_ONCE)
    assert one.job(third).status is Status.QUEUED
    go_on(one, 300)
    sweep_jobs(one.services)
    run_all(one, [third, lost])


def test_who_was_called_just_before_a_long_outage_goes_ahead_after_it(
    one: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, called = submit(one, 2)
    monkeypatch.setattr(admission, "_wake", lambda *_: None)  # the process ended before it sent the message
    one.run_until(first, Status.FETCHING)
    monkeypatch.undo()
    assert [slot.job_id for slot in one.gates.gates["default"].called] == [called.id]
    one.advance(UNCLAIMED.total_seconds())  # no process runs, not even the sweeper
    sweep_jobs(one.services)
    go_on(one, 300)
    assert one.job(called).status is Status.WAITING
    sweep_jobs(one.services)
    run_all(one, [first, called])


def lose_messages(pipeline: Pipeline, job: Job) -> None:
    queued = pipeline.messages.queued
    pipeline.messages.queued = [m for m in queued if decode_poll(m.text.encode()).job_id != job.id]


def test_a_process_that_ends_after_a_create_and_before_it_reopens_the_gate_holds_nobody_up(
    two: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    two.fault("create", status=429, headers={"retry-after": "30"})
    jobs = submit(two, 3)
    monkeypatch.setattr(admission, "reopen", lambda services, job: None)
    go_on(two, 40)
    monkeypatch.undo()
    assert len(create_times(two)) == 2
    sweep_jobs(two.services)
    go_on(two, AT_ONCE)
    assert waiting(two, jobs) == 1
    assert len(create_times(two)) == 3


def test_who_changes_the_gate_at_the_same_time_as_another_decides_anew(
    one: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = one.gates.save
    first = one.submit()

    def beaten(stored: StoredGate, changed: Gate) -> StoredGate:
        monkeypatch.undo()
        admission.leave(one.services, first)
        return save(stored, changed)

    monkeypatch.setattr(one.gates, "save", beaten)
    one.simulator.world.delete(everything(one)[0])
    second = one.submit()
    assert second.status is Status.QUEUED
    assert [slot.job_id for slot in one.gates.gates["default"].slots] == [second.id]
