"""The sweeper: what a crash or a lost message left half done is done, and nothing else costs anything."""

from __future__ import annotations

import dataclasses
import itertools
import json
import logging
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

import sweep_jobs.blueprint as blueprint
import sweep_jobs.sweep as sweep
from job_api.act import delete_job
from sweep_jobs.poison import note_poison
from sweep_jobs.sweep import apply_retention, sweep_jobs
from tests.pipeline import AT_ONCE, OWNER, Pipeline, UseServices
from video_jobs.domain.errors import (
    Conflict,
    IdempotencyKeyReused,
    JobNotFound,
    StorageUnavailable,
    UnreadableRow,
)
from video_jobs.domain.gate import Gate, Slot
from video_jobs.domain.ids import new_job_id
from video_jobs.domain.job import Job, Status
from video_jobs.domain.queue_messages import (
    FETCH_QUEUE,
    NOTIFY_QUEUE,
    POLL_QUEUE,
    FetchMessage,
    PollMessage,
    decode_fetch,
)
from video_jobs.lifecycle.find import find_job
from video_jobs.lifecycle.repair import noting_last_error
from video_jobs.ports import LiveJob, StoredJob

MINUTE = 60.0


def minutes(pipeline: Pipeline, count: int, *, losing: bool = False) -> Iterator[None]:
    """Each minute one sweep, and what is due of the queues, or all of it lost."""
    for _ in range(count):
        pipeline.advance(MINUTE)
        sweep_jobs(pipeline.services)
        if losing:
            pipeline.messages.queued.clear()
        while due := [m for m in pipeline.messages.queued if m.visible_at <= pipeline.now()]:
            pipeline.messages.queued.remove(due[0])
            pipeline.deliver(due[0])
        yield


def sweep_until_over(pipeline: Pipeline, job: Job, most: int = 120) -> Job:
    for _ in minutes(pipeline, most):
        if pipeline.job(job).is_terminal:
            return pipeline.job(job)
    raise AssertionError(f"after {most} minutes it is {pipeline.job(job)}")


def repairs_of(job: Job) -> int:
    return sum(event.times for event in job.history if event.what == "repaired")


def logged(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(r.getMessage()) for r in caplog.records if r.name == "reelkeep.jobs"]
    return [line for line in lines if line["event"] == event]


# --- a chain that broke --------------------------------------------------------------------------

#: What brings a job to each status, and keeps it there for a while.
BROUGHT_BY: dict[Status, dict[str, Any]] = {
    Status.WAITING: {"operation": "create", "status": 429},
    Status.SUBMITTING: {"operation": "create", "lost_answer": True},
    Status.QUEUED: {},
    Status.RUNNING: {},
    Status.FETCHING: {},
    Status.PENDING_DOWNLOAD: {"operation": "video", "status": 403},
}


def a_job_in(pipeline: Pipeline, status: Status) -> Job:
    if BROUGHT_BY[status]:
        pipeline.fault(**BROUGHT_BY[status])
    return pipeline.run_until(pipeline.submit(), status)


@pytest.mark.parametrize("status", BROUGHT_BY)
def test_a_job_whose_messages_were_lost_goes_on_to_its_end(pipeline: Pipeline, status: Status) -> None:
    job = a_job_in(pipeline, status)
    pipeline.messages.queued.clear()
    ended = sweep_until_over(pipeline, job)
    assert (ended.status, ended.error) == (Status.SUCCEEDED, None)
    assert len(pipeline.calls("create")) == (2 if status is Status.WAITING else 1)
    assert pipeline.backend_jobs() == 1
    pipeline.drain()
    assert not pipeline.live_jobs.keys


def test_jobs_are_swept_although_the_gates_can_not_be_read(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All gates are in one partition, which may be throttled alone; or somebody deleted their table."""
    job = a_job_in(pipeline, Status.QUEUED)
    pipeline.messages.queued.clear()
    pipeline.advance(180)
    monkeypatch.setattr(pipeline.gates, "all", lambda: (_ for _ in ()).throw(StorageUnavailable("Busy.")))
    sweep_jobs(pipeline.services)
    assert repairs_of(pipeline.job(job)) == 1
    assert pipeline.messages.queued


@pytest.mark.promise("I3")
def test_a_job_whose_messages_are_lost_in_every_status_goes_on_all_the_same(pipeline: Pipeline) -> None:
    pipeline.simulator.world.change({"queue_seconds": 240, "run_seconds": 900})
    job, lost_in = pipeline.submit(), set[Status]()
    for _ in minutes(pipeline, 120):
        status = pipeline.job(job).status
        if status.is_terminal:
            break
        if status not in lost_in:
            lost_in.add(status)
            pipeline.messages.queued.clear()
    assert lost_in >= {Status.QUEUED, Status.RUNNING}
    assert pipeline.job(job).status is Status.SUCCEEDED
    assert repairs_of(pipeline.job(job)) == len(lost_in)


def test_a_job_that_crashed_before_its_first_message_is_set_going(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(pipeline.messages, "send_poll", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            pipeline.submit()
    [stored] = pipeline.jobs.everything()
    assert sweep_until_over(pipeline, stored.job).status is Status.SUCCEEDED
    assert pipeline.backend_jobs() == 1


@pytest.mark.parametrize("status", [Status.QUEUED, Status.PENDING_DOWNLOAD])
def test_a_repair_that_helps_nothing_comes_later_each_time(pipeline: Pipeline, status: Status) -> None:
    if status is Status.QUEUED:
        pipeline.simulator.world.change({"queue_seconds": 10**6})
    job = a_job_in(pipeline, status)
    pipeline.messages.queued.clear()
    repaired_in: list[int] = []
    for minute, _ in enumerate(minutes(pipeline, 180, losing=True)):
        if repairs_of(pipeline.job(job)) > len(repaired_in):
            repaired_in.append(minute)
    waits = [later - sooner for sooner, later in itertools.pairwise(repaired_in)]
    assert waits == sorted(waits)
    assert waits[0] <= 5
    assert 28 <= max(waits) <= 31
    assert 6 <= len(repaired_in) <= 9
    assert pipeline.job(job).chain.repairs == len(repaired_in)


def test_a_chain_that_moves_again_is_repaired_soon_the_next_time(pipeline: Pipeline) -> None:
    pipeline.simulator.world.change({"run_seconds": 3000})
    job = a_job_in(pipeline, Status.RUNNING)
    pipeline.messages.queued.clear()
    for _ in minutes(pipeline, 20, losing=True):
        pass
    assert pipeline.job(job).chain.repairs >= 3
    for _ in minutes(pipeline, 35):
        if pipeline.job(job).chain.repairs == 0:
            break
    pipeline.messages.queued.clear()
    before = repairs_of(pipeline.job(job))
    for _ in minutes(pipeline, 4, losing=True):
        pass
    assert repairs_of(pipeline.job(job)) == before + 1


def test_a_healthy_job_is_left_alone(pipeline: Pipeline) -> None:
    pipeline.simulator.world.change({"run_seconds": 1200})
    job, sweeps = pipeline.submit(), [pipeline.now()]

    def sweeping(seen: Job) -> bool:
        if pipeline.now() - sweeps[-1] >= timedelta(minutes=1):
            sweeps.append(pipeline.now())
            sweep_jobs(pipeline.services)
        assert len(pipeline.messages.queued) <= 2
        return seen.is_terminal

    assert pipeline.run(job, sweeping).status is Status.SUCCEEDED
    assert len(sweeps) > 15
    assert repairs_of(pipeline.job(job)) == 0


def test_a_repair_beside_a_chain_that_was_only_late_leaves_one_chain(pipeline: Pipeline) -> None:
    pipeline.simulator.world.change({"run_seconds": 3000})
    job = a_job_in(pipeline, Status.RUNNING)
    late = pipeline.take_next()
    pipeline.advance(3 * MINUTE)
    sweep_jobs(pipeline.services)
    pipeline.messages.queued.append(late)
    pipeline.run(job, lambda seen: seen.chain.turn >= job.chain.turn + 4)
    assert len(pipeline.messages.queued) == 1


def test_a_deletion_whose_messages_were_lost_is_carried_out(pipeline: Pipeline) -> None:
    job = pipeline.run(pipeline.submit())
    pipeline.drain()
    delete_job(pipeline.services, OWNER, job.id)
    for _ in minutes(pipeline, 40):
        pipeline.messages.queued.clear()
        sweep_jobs(pipeline.services)
        for message in list(pipeline.messages.queued):
            pipeline.deliver(message)
    assert not pipeline.jobs.everything()
    assert not pipeline.blobs.videos
    assert not pipeline.live_jobs.keys


# --- poison --------------------------------------------------------------------------------------


def test_a_poisoned_poll_is_said_in_the_job_and_the_job_goes_on(
    pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    job = a_job_in(pipeline, Status.RUNNING)
    message = PollMessage(owner=OWNER, job_id=job.id, turn=job.chain.turn)
    pipeline.messages.queued.clear()
    with pytest.raises(KeyError), noting_last_error(pipeline.services, OWNER, job.id):
        raise KeyError("what it says may be a secret")
    assert pipeline.job(job).last_error == "KeyError"
    note_poison(pipeline.services, message)
    poisoned = pipeline.job(job)
    assert poisoned.status is Status.RUNNING
    assert "poll" in (poisoned.reason or "")
    assert "KeyError" in (poisoned.reason or "")
    assert poisoned.history[-1].what == "poisoned"
    [line] = logged(caplog, "job.poisoned")
    assert line["job_id"] == job.id
    ended = sweep_until_over(pipeline, job)
    assert (ended.status, ended.reason, ended.last_error) == (Status.SUCCEEDED, None, None)


def test_a_job_in_line_whose_poll_was_poisoned_goes_ahead_though_nobody_calls_it(sora: Pipeline) -> None:
    job = [sora.submit() for _ in range(3)][-1]
    assert job.status is Status.WAITING
    assert job.chain.due_at is None
    sora.gates.gates.clear()  # as after an outage in which the gate's first row could not be written
    sora.messages.queued.clear()
    note_poison(sora.services, PollMessage(owner=OWNER, job_id=job.id, turn=job.chain.turn))
    assert sweep_until_over(sora, job).status is Status.SUCCEEDED


def test_a_poisoned_download_is_said_in_the_job_and_the_video_comes(pipeline: Pipeline) -> None:
    job = a_job_in(pipeline, Status.FETCHING)
    [fetch] = [m for m in pipeline.messages.queued if m.queue == FETCH_QUEUE]
    pipeline.messages.queued.remove(fetch)
    with pytest.raises(StorageUnavailable), noting_last_error(pipeline.services, OWNER, job.id):
        raise StorageUnavailable("Blob Storage is full.")
    note_poison(pipeline.services, decode_fetch(fetch.text.encode()))
    reason = pipeline.job(job).reason or ""
    assert "download" in reason
    assert "Blob Storage is full." in reason
    assert sweep_until_over(pipeline, job).status is Status.SUCCEEDED


def test_trouble_that_can_not_be_noted_hides_nothing(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = pipeline.submit()
    monkeypatch.setattr(pipeline.jobs, "get", lambda *_: (_ for _ in ()).throw(StorageUnavailable("away")))
    with pytest.raises(KeyError), noting_last_error(pipeline.services, OWNER, job.id):
        raise KeyError


def test_poison_of_what_is_over_or_not_there_is_dropped(
    pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    job = pipeline.run(pipeline.submit())
    note_poison(pipeline.services, PollMessage(owner=OWNER, job_id=job.id, turn=1))
    assert pipeline.job(job) == job
    note_poison(pipeline.services, FetchMessage(owner="nobody", job_id=job.id, index=0))
    assert job.id in caplog.text


def test_the_sweeper_reads_the_poison_queues(pipeline: Pipeline) -> None:
    job = a_job_in(pipeline, Status.RUNNING)
    pipeline.messages.queued.clear()
    pipeline.messages.poison(POLL_QUEUE, PollMessage(owner=OWNER, job_id=job.id, turn=1).encode().encode())
    sweep_jobs(pipeline.services)
    assert pipeline.job(job).history[-1].what == "poisoned"
    assert pipeline.messages.poisoned == []
    assert sweep_until_over(pipeline, job).status is Status.SUCCEEDED


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (None, "not base64"),
        (b"\xff\xfe", "not JSON"),
        (b"{", "not JSON"),
        (b'{"v":0}', "v:"),
        (b'{"v":1,"owner":"default","job_id":"../../etc"}', "job_id"),
    ],
)
def test_poison_that_is_none_of_ours_is_said_once_and_dropped(
    pipeline: Pipeline, caplog: pytest.LogCaptureFixture, body: bytes | None, problem: str
) -> None:
    for queue in (POLL_QUEUE, FETCH_QUEUE, NOTIFY_QUEUE):
        caplog.clear()
        pipeline.messages.poison(queue, body)
        for _ in range(2):
            sweep_jobs(pipeline.services)
        assert pipeline.messages.poisoned == []
        [line] = [json.loads(r.getMessage()) for r in caplog.records if "malformed" in r.getMessage()]
        assert (line["event"], line["queue"]) == ("message.malformed", queue)
        assert problem in line["problem"]


def test_poison_that_can_not_be_noted_is_tried_again_and_in_the_end_dropped(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    job = a_job_in(pipeline, Status.RUNNING)
    other = PollMessage(owner="another", job_id=job.id).encode().encode()
    real = pipeline.jobs.get

    def unreadable(owner: str, job_id: str) -> StoredJob:
        if owner == "another":
            raise ValueError("schema 99\nand a secret")
        return real(owner, job_id)

    monkeypatch.setattr(pipeline.jobs, "get", unreadable)
    pipeline.messages.poison(POLL_QUEUE, other)
    for tries in range(1, 6):
        assert len(pipeline.messages.poisoned) == 1
        sweep_jobs(pipeline.services)
        pipeline.advance(2 * MINUTE)
        assert ("message.dropped" in caplog.text) == (tries == 5)
    assert pipeline.messages.poisoned == []
    assert "a secret" not in caplog.text


def test_a_storage_fault_leaves_poison_where_it_is_and_keeps_no_job_from_being_swept(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = a_job_in(pipeline, Status.RUNNING)
    pipeline.messages.queued.clear()
    pipeline.messages.poison(POLL_QUEUE, b"{")
    away = StorageUnavailable("It is away.")
    with monkeypatch.context() as patch:
        patch.setattr(pipeline.messages, "drop_poison", lambda *_: (_ for _ in ()).throw(away))
        assert sweep_until_over(pipeline, job).status is Status.SUCCEEDED
    assert len(pipeline.messages.poisoned) == 1
    pipeline.advance(2 * MINUTE)
    sweep_jobs(pipeline.services)
    assert pipeline.messages.poisoned == []


# --- what a crash left ---------------------------------------------------------------------------


def test_what_follows_an_end_is_done_though_the_process_died_over_it(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = Pipeline(pipeline.simulator, pipeline.dialect, VIDEO_RUNNING_LIMIT="1")
    job, behind = app.submit(), app.submit()
    with monkeypatch.context() as patch:
        # Its slot could not be given back when the video was generated, either.
        patch.setattr(app.gates, "save", lambda *_: (_ for _ in ()).throw(Conflict("others are faster")))
        patch.setattr(app.blobs, "put_summary", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            app.run(job)
    assert app.job(job).status is Status.SUCCEEDED
    assert f"{OWNER}/{job.id}/job.json" not in app.blobs.videos
    assert app.gates.get("default").gate.slot(job.id) is not None
    app.messages.queued.clear()
    sweep_jobs(app.services)
    assert f"{OWNER}/{job.id}/job.json" in app.blobs.videos
    assert {live.job_id for live in app.live_jobs.rows.values()} == {behind.id}
    assert [slot.job_id for slot in app.gates.get("default").gate.slots] == [behind.id]
    assert sweep_until_over(app, behind).status is Status.SUCCEEDED


def test_a_live_row_whose_job_never_came_goes_after_a_quarter_of_an_hour_with_its_image(
    pipeline: Pipeline,
) -> None:
    job_id = new_job_id(pipeline.now())
    key = f"{int(pipeline.now().timestamp() * 1000):014d}_{job_id}"
    pipeline.live_jobs.add(LiveJob("default", key, OWNER, job_id))
    pipeline.blobs.inputs[f"{OWNER}/{job_id}"] = b"a picture"
    pipeline.advance(14 * MINUTE)
    sweep_jobs(pipeline.services)
    assert pipeline.live_jobs.keys
    assert pipeline.blobs.inputs
    pipeline.advance(MINUTE)
    sweep_jobs(pipeline.services)
    assert not pipeline.live_jobs.keys
    assert not pipeline.blobs.inputs


def test_slots_that_nobody_needs_are_taken_back_and_the_next_in_line_is_called(sora: Pipeline) -> None:
    ended = sora.run(sora.submit())
    sora.drain()
    slots = tuple(Slot(job_id, OWNER, sora.now(), sora.now()) for job_id in (ended.id, "job_nobody"))
    sora.gates.save(sora.gates.get("default"), Gate("default", slots=slots))
    waiting = sora.submit()
    assert waiting.status is Status.WAITING
    sora.messages.queued.clear()
    sweep_jobs(sora.services)
    assert [slot.job_id for slot in sora.gates.get("default").gate.slots] == [waiting.id]
    sora.deliver(sora.take_next())
    assert sora.job(waiting).status is Status.QUEUED


def test_a_line_before_a_gate_whose_row_was_deleted_goes_on(sora: Pipeline) -> None:
    held, *line = [sora.submit() for _ in range(4)]
    assert sora.job(line[-1]).status is Status.WAITING
    sora.gates.gates.clear()
    sora.gates._etags.clear()
    sora.messages.queued.clear()
    for job in (held, *line):
        assert sweep_until_over(sora, job).status is Status.SUCCEEDED
    assert sora.backend_jobs() == 4


# --- the alarm -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("hours", "alarmed_at"), [(24, 120), (2, 30), (1, 15)])
def test_a_video_that_is_about_to_be_lost_raises_one_alarm(
    pipeline: Pipeline, caplog: pytest.LogCaptureFixture, hours: int, alarmed_at: int
) -> None:
    pipeline.simulator.world.change({"retention_seconds": hours * 3600})
    pipeline.fault("video", status=403, times=-1)
    job = pipeline.run_until(pipeline.submit(), Status.PENDING_DOWNLOAD)
    assert job.expires_at is not None
    left = (job.expires_at - pipeline.now()).total_seconds()
    pipeline.advance(left - (alarmed_at + 1) * MINUTE)
    sweep_jobs(pipeline.services)
    assert pipeline.job(job).alarm is None
    for _ in range(3):
        pipeline.advance(MINUTE + 1)
        sweep_jobs(pipeline.services)
    alarm = pipeline.job(job).alarm or ""
    assert f"{job.expires_at:%Y-%m-%d %H:%M:%S}" in alarm
    assert "Video 0" in alarm
    assert "403" in alarm
    [line] = logged(caplog, "job.alarm")
    assert (line["job_id"], line["owner"], line["detail"]) == (job.id, OWNER, alarm[:300])
    [record] = [r for r in caplog.records if '"job.alarm"' in r.getMessage()]
    assert record.levelno == logging.ERROR
    ended = pipeline.run(job)
    assert (ended.status, ended.alarm) == (Status.EXPIRED, None)


def test_a_video_that_comes_in_time_raises_no_alarm(pipeline: Pipeline) -> None:
    pipeline.simulator.world.change({"retention_seconds": 3600, "run_seconds": 3000})
    job = pipeline.run(
        pipeline.submit(), lambda seen: pipeline.now() - seen.created_at > timedelta(minutes=48)
    )
    sweep_jobs(pipeline.services)
    assert pipeline.job(job).alarm is None
    assert pipeline.run(job).status is Status.SUCCEEDED
    assert "alarm" not in [event.what for event in pipeline.job(job).history]


# --- what it costs, and what it survives ---------------------------------------------------------


class Counted:
    """A port whose calls are counted."""

    def __init__(self, port: Any, name: str, calls: Counter[str]) -> None:
        self._port, self._name, self._calls = port, name, calls

    def __getattr__(self, method: str) -> Any:
        self._calls[f"{self._name}.{method}"] += 1
        return getattr(self._port, method)


def calls_of_one_sweep(pipeline: Pipeline) -> Counter[str]:
    calls: Counter[str] = Counter()
    ports = ("jobs", "live_jobs", "claims", "gates", "messages", "blobs")
    counted: dict[str, Any] = {name: Counted(getattr(pipeline.services, name), name, calls) for name in ports}
    sweep_jobs(pipeline.services._replace(**counted))
    return calls


@pytest.mark.parametrize("alive", [0, 5])
def test_a_sweep_costs_what_is_alive_and_not_what_ever_was(videos: Pipeline, alive: int) -> None:
    ended = videos.run(videos.submit())
    videos.drain()
    live = [videos.submit() for _ in range(alive)]
    before = calls_of_one_sweep(videos)
    for _ in range(100):
        videos.jobs.insert(dataclasses.replace(ended, id=new_job_id(videos.now())), None)
    assert calls_of_one_sweep(videos) == before
    assert before["jobs.get"] == len(live)
    assert sum(before.values()) <= 7 + 2 * len(live)  # one for the line of a backend without a gate row


def the_minute(caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    lines = [r.getMessage() for r in caplog.records if r.getMessage().startswith('{"event": "sweep.minute"')]
    told: dict[str, Any] = json.loads(lines[-1])
    return told


def test_a_sweep_says_in_one_line_what_waits_lives_and_is_closed(
    videos: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    sweep_jobs(videos.services)
    idle = the_minute(caplog)
    assert {name: value for name, value in idle.items() if value not in (0, [])} == {
        "event": "sweep.minute",
        "complete": True,
    }
    videos.fault("create", lost_answer=True)
    videos.run_until(videos.submit(), Status.SUBMITTING)
    videos.run(videos.submit(), lambda job: job.status is Status.QUEUED)
    videos.fault("create", status=401)
    videos.run_until(videos.submit(), Status.WAITING)
    videos.submit()
    videos.advance(400)
    caplog.clear()
    sweep_jobs(videos.services)
    told = the_minute(caplog)
    assert len([r for r in caplog.records if "sweep.minute" in r.getMessage()]) == 1
    assert (told["live"], told["in_doubt"], told["waiting"]) == (2, 1, 2)
    assert told["closed_gates"] == ["default: misconfigured"]
    assert told["gates_to_mend"] == 1
    assert told["poll_depth"] >= 1
    assert told["oldest_seconds"] == told["poll_oldest_seconds"] > 300


def test_a_queue_that_can_not_be_read_costs_its_own_fields_only(
    videos: Pipeline, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    state = videos.messages.state

    def state_of(queue: str) -> Any:
        if queue == FETCH_QUEUE:
            raise StorageUnavailable("Azure Storage answered 503.")
        return state(queue)

    monkeypatch.setattr(videos.messages, "state", state_of)
    sweep_jobs(videos.services)
    assert {"fetch_depth", "fetch_oldest_seconds"}.isdisjoint(the_minute(caplog))
    assert the_minute(caplog)["notify_depth"] == 0


def unreadable(
    pipeline: Pipeline, job: Job, monkeypatch: pytest.MonkeyPatch, kind: type[Exception] = UnreadableRow
) -> None:
    """As if a newer version had written the job's row."""
    get = pipeline.jobs.get

    def get_or_refuse(owner: str, job_id: str) -> StoredJob:
        if job_id == job.id:
            raise kind("The row has schema 2, and this version knows 1. Deploy the newer one.")
        return get(owner, job_id)

    monkeypatch.setattr(pipeline.jobs, "get", get_or_refuse)


@pytest.mark.parametrize("kind", [UnreadableRow, TypeError])
def test_a_row_that_can_not_be_read_keeps_no_other_job_from_being_swept(
    pipeline: Pipeline,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    kind: type[Exception],
) -> None:
    app = Pipeline(pipeline.simulator, pipeline.dialect, VIDEO_RUNNING_LIMIT="2")
    foreign, job = app.submit(), app.submit()
    app.messages.queued.clear()
    unreadable(app, foreign, monkeypatch, kind)
    ended = sweep_until_over(app, job)
    assert ended.status is Status.SUCCEEDED
    assert foreign.id in caplog.text
    assert "schema 2" in caplog.text
    # Nobody can say that it needs no slot.
    assert [slot.job_id for slot in app.gates.get("default").gate.slots] == [foreign.id]


def test_slots_are_taken_back_though_a_row_can_not_be_read(
    sora: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = sora.submit()
    slots = (*sora.gates.get("default").gate.slots, Slot("job_nobody", OWNER, sora.now(), sora.now()))
    sora.gates.save(sora.gates.get("default"), Gate("default", slots=slots))
    unreadable(sora, foreign, monkeypatch)
    sweep_jobs(sora.services)
    assert [slot.job_id for slot in sora.gates.get("default").gate.slots] == [foreign.id]


def test_a_row_in_line_that_can_not_be_read_does_not_stop_those_behind_it(
    sora: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [sora.submit() for _ in range(4)]
    assert [job.status for job in jobs[2:]] == [Status.WAITING] * 2
    unreadable(sora, jobs[2], monkeypatch)
    # Its own messages end in the poison queue; what counts here are the others'.
    sora.messages.queued[:] = [m for m in sora.messages.queued if jobs[2].id not in m.text]
    assert [sora.run(jobs[n]).status for n in (0, 1, 3)] == [Status.SUCCEEDED] * 3


def test_storage_that_fails_for_one_job_keeps_no_other_from_being_swept(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = pipeline.submit(), pipeline.submit()
    pipeline.messages.queued.clear()
    pipeline.advance(5 * MINUTE)
    save = pipeline.jobs.save

    def save_or_fail(stored: StoredJob, job: Job) -> StoredJob:
        if job.id == first.id:
            raise StorageUnavailable("away")
        return save(stored, job)

    monkeypatch.setattr(pipeline.jobs, "save", save_or_fail)
    sweep_jobs(pipeline.services)
    assert [m.queue for m in pipeline.messages.queued] == [POLL_QUEUE]
    assert repairs_of(pipeline.job(second)) == 1


# --- retention -----------------------------------------------------------------------------------

KEPT_A_DAY = {"RETENTION_DAYS": "1", "VIDEO_RUNNING_LIMIT": "0"}


@pytest.fixture
def kept_a_day(pipeline: Pipeline) -> Pipeline:
    pipeline.simulator.world.change({"running_limit": None})
    return Pipeline(pipeline.simulator, pipeline.dialect, **KEPT_A_DAY)


def ended_jobs(pipeline: Pipeline, count: int) -> list[Job]:
    jobs = [pipeline.run(pipeline.submit()) for _ in range(count)]
    pipeline.drain()
    return jobs


def test_what_ended_long_ago_goes_with_its_videos_and_what_is_younger_or_lives_stays(
    kept_a_day: Pipeline,
) -> None:
    pipeline = kept_a_day
    old = ended_jobs(pipeline, 2)
    pipeline.advance(23 * 3600)
    [young] = ended_jobs(pipeline, 1)
    pipeline.simulator.world.change({"run_seconds": 10**6})
    living = pipeline.submit()
    pipeline.advance(2 * 3600)
    assert apply_retention(pipeline.services, seconds=60) == 2
    for job in old:
        with pytest.raises(JobNotFound):
            find_job(pipeline.services, OWNER, job.id)
    pipeline.run(living, lambda seen: pipeline.now() - young.created_at > timedelta(hours=3))
    left = {stored.job.id for stored in pipeline.jobs.everything()}
    assert left == {young.id, living.id}
    assert {name.split("/")[1] for name in pipeline.blobs.videos} == {young.id}
    assert apply_retention(pipeline.services, seconds=60) == 0


def test_retention_has_a_time_and_serves_each_owner_by_turns(
    kept_a_day: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = kept_a_day
    monkeypatch.setattr(sweep, "_MOST_OF_AN_OWNER", 1)
    jobs = ended_jobs(pipeline, 3)
    late = dataclasses.replace(jobs[0], owner="zoe", id=new_job_id(jobs[0].created_at))
    pipeline.jobs.insert(late, None)
    pipeline.advance(25 * 3600)
    assert apply_retention(pipeline.services, seconds=0) == 0
    order: list[str] = []
    real = sweep.mark_deleted
    monkeypatch.setattr(
        sweep,
        "mark_deleted",
        lambda services, stored: (order.append(stored.job.owner), real(services, stored)),
    )
    assert apply_retention(pipeline.services, seconds=60) == 4
    assert order == [OWNER, "zoe", OWNER, OWNER]
    pipeline.drain()
    assert not pipeline.jobs.everything()
    assert not pipeline.blobs.videos
    assert not pipeline.live_jobs.keys
    assert not pipeline.claims.claims


def test_an_idempotency_key_goes_when_its_job_is_gone_and_would_be_by_its_age(kept_a_day: Pipeline) -> None:
    pipeline = kept_a_day
    old = pipeline.submit(key="old")
    pipeline.run(old)
    pipeline.advance(20 * 3600)
    young = pipeline.submit(key="young")
    pipeline.run(young)
    pipeline.drain()
    delete_job(pipeline.services, OWNER, young.id)
    pipeline.drain()
    pipeline.advance(6 * 3600)
    apply_retention(pipeline.services, seconds=60)
    with pytest.raises(IdempotencyKeyReused):
        pipeline.submit(key="old")  # it is still being deleted
    pipeline.drain()
    apply_retention(pipeline.services, seconds=60)
    assert pipeline.submit(key="old").id != old.id
    with pytest.raises(IdempotencyKeyReused):
        pipeline.submit(key="young")  # a client has deleted its job, a day has not passed


def test_unless_told_otherwise_everything_is_kept_for_ever(pipeline: Pipeline) -> None:
    [job] = ended_jobs(pipeline, 1)
    pipeline.advance(10 * 365 * 86_400)
    assert apply_retention(pipeline.services, seconds=60) == 0
    assert pipeline.job(job) == job


def test_a_deletion_that_the_retention_began_and_a_crash_interrupted_is_finished(
    kept_a_day: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = kept_a_day
    ended_jobs(pipeline, 1)
    pipeline.advance(25 * 3600)
    with monkeypatch.context() as patch:
        patch.setattr(pipeline.messages, "send_poll", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            apply_retention(pipeline.services, seconds=60)
    for _ in minutes(pipeline, 30):
        pass
    assert not pipeline.jobs.everything()
    assert not pipeline.live_jobs.keys


# --- the timers ----------------------------------------------------------------------------------


def test_the_timers_sweep_and_apply_the_retention(kept_a_day: Pipeline, use_services: UseServices) -> None:
    pipeline = kept_a_day
    use_services(pipeline.services)
    [old] = ended_jobs(pipeline, 1)
    pipeline.advance(25 * 3600)
    job = pipeline.submit()
    pipeline.messages.queued.clear()
    pipeline.advance(5 * MINUTE)
    timer: Any = None
    blueprint.sweep_jobs_function.build().get_user_function()(timer)
    assert repairs_of(pipeline.job(job)) == 1
    blueprint.apply_retention_function.build().get_user_function()(timer)
    assert pipeline.job(old).deleted_at is not None


# --- overload, and too little time ---------------------------------------------------------------


def test_what_is_late_behind_a_backlog_is_not_taken_for_broken(pipeline: Pipeline) -> None:
    pipeline.simulator.world.change({"run_seconds": 10**5})
    job = a_job_in(pipeline, Status.RUNNING)
    for _ in range(10):  # its message lies there, visible, and nobody takes it
        pipeline.advance(MINUTE)
        sweep_jobs(pipeline.services)
    assert repairs_of(pipeline.job(job)) == 0
    pipeline.advance(31 * MINUTE)
    sweep_jobs(pipeline.services)
    assert repairs_of(pipeline.job(job)) == 1  # no backlog explains that


def test_an_outage_of_the_queues_makes_no_repair_come_later(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [a_job_in(pipeline, Status.RUNNING), pipeline.submit()]
    pipeline.messages.queued.clear()
    asked = []

    def away(*_: object) -> None:
        asked.append(1)
        raise StorageUnavailable("The queues are away.")

    with monkeypatch.context() as outage:
        for call in ("has_backlog", "send_poll", "take_poison", "state"):
            outage.setattr(pipeline.messages, call, away)
        for _ in range(120):
            pipeline.advance(MINUTE)
            before = len(asked)
            sweep_jobs(pipeline.services)
            assert len(asked) - before <= 5, "each queue is asked once in a sweep, however many jobs are late"
    sweep_jobs(pipeline.services)
    assert [repairs_of(pipeline.job(job)) for job in jobs] == [1, 1]
    assert len(pipeline.messages.queued) == 2


def test_a_sweep_that_runs_out_of_time_goes_on_where_it_stopped(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = Pipeline(pipeline.simulator, pipeline.dialect, VIDEO_RUNNING_LIMIT="0")
    for _ in range(3):
        app.submit()
    app.services = app.services._replace(timings=AT_ONCE._replace(longest_sweep=0.0))
    swept: list[str] = []
    monkeypatch.setattr(sweep, "_sweep_job", lambda services, live, polls, minute: swept.append(live.job_id))
    in_order = [live.job_id for live in app.live_jobs.all()]
    assert len(in_order) >= 2
    for _ in range(len(in_order) + 2):
        sweep_jobs(app.services)
    # One job a sweep; after the last one a sweep finds nothing more, and the next begins anew.
    assert swept == [*in_order, in_order[0]]


def test_a_live_row_without_a_job_costs_no_stored_video(pipeline: Pipeline) -> None:
    job = pipeline.run(pipeline.submit())
    pipeline.drain()
    stored = pipeline.jobs.get(job.owner, job.id)
    pipeline.jobs.delete(stored)  # by hand
    pipeline.live_jobs.add(LiveJob.of(job))
    pipeline.advance(60 * MINUTE)
    sweep_jobs(pipeline.services)
    assert not pipeline.live_jobs.keys
    assert f"{OWNER}/{job.id}/0.mp4" in pipeline.blobs.videos
