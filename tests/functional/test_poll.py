"""The poll chain: one poll a message, one chain a job, until the job has ended and not before."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest

from tests.pipeline import OWNER, Pipeline
from video_jobs.domain.errors import MalformedMessage
from video_jobs.domain.job import Status
from video_jobs.domain.queue_messages import FETCH_QUEUE, POLL_QUEUE, PollMessage, decode_poll
from video_jobs.storage.memory import QueuedMessage


def polls(pipeline: Pipeline) -> list[PollMessage]:
    return [decode_poll(m.text.encode()) for m in pipeline.messages.queued if m.queue == POLL_QUEUE]


def test_a_look_records_and_enqueues_the_next_turn(pipeline: Pipeline) -> None:
    job = pipeline.submit()
    pipeline.deliver(pipeline.take_next())
    [message] = polls(pipeline)
    assert message.turn == job.chain.turn + 1
    assert pipeline.job(job).chain.turn == message.turn
    assert len(pipeline.calls("get")) == 1


def test_a_message_delivered_twice_leaves_one_chain(pipeline: Pipeline) -> None:
    job = pipeline.submit()
    first = pipeline.take_next()
    pipeline.deliver(first)
    pipeline.deliver(first)
    assert len(polls(pipeline)) == 1
    assert len(pipeline.calls("get")) == 1
    assert pipeline.run(job).status is Status.SUCCEEDED


def test_a_crash_between_enqueueing_and_saving_leaves_one_chain_in_the_end(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = pipeline.submit()
    message = pipeline.take_next()
    with monkeypatch.context() as patch:
        patch.setattr(pipeline.jobs, "save", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            pipeline.deliver(message)
    pipeline.messages.queued.append(message)  # its lease ends: the queue delivers it again
    pipeline.run(job, lambda seen: seen.chain.turn >= 6)
    assert len(polls(pipeline)) == 1
    assert pipeline.run(job).status is Status.SUCCEEDED


def test_a_message_without_a_turn_looks_once_and_starts_no_chain(pipeline: Pipeline) -> None:
    job = pipeline.submit()
    before = len(polls(pipeline))
    text = PollMessage(owner=OWNER, job_id=job.id).encode()
    pipeline.deliver(QueuedMessage(POLL_QUEUE, text, pipeline.now()))
    assert len(pipeline.calls("get")) == 1
    assert len(polls(pipeline)) == before
    assert pipeline.job(job).chain.turn == job.chain.turn


def test_a_message_for_a_job_that_is_not_there_is_dropped(pipeline: Pipeline) -> None:
    job = pipeline.submit()
    text = PollMessage(owner="somebody-else", job_id=job.id, turn=1).encode()
    pipeline.deliver(QueuedMessage(POLL_QUEUE, text, pipeline.now()))
    assert len(polls(pipeline)) == 1
    assert pipeline.calls("get") == []


def test_a_terminal_job_ends_its_chain(pipeline: Pipeline) -> None:
    pipeline.run(pipeline.submit())
    calls = len(pipeline.calls("get"))
    pipeline.drain()
    assert polls(pipeline) == []
    assert len(pipeline.calls("get")) == calls


def test_progress_never_falls_and_ends_at_100(videos: Pipeline) -> None:
    job, seen = videos.submit(), [0]

    def note(now: object) -> bool:
        seen.append(videos.job(job).progress or 0)
        return videos.job(job).is_terminal

    videos.run(job, note)
    assert seen == sorted(seen)
    assert seen[-1] == 100
    assert len(set(seen)) > 2


def test_the_backends_hint_sets_the_next_poll(videos: Pipeline) -> None:
    videos.simulator.world.change({"poll_after_ms": 12_500})
    videos.submit()
    videos.deliver(videos.take_next())
    [message] = videos.messages.queued
    assert (message.visible_at - videos.now()).total_seconds() == pytest.approx(12.5, abs=0.1)


def test_polls_begin_after_a_few_seconds_and_grow_to_twenty_with_the_jobs_age(pipeline: Pipeline) -> None:
    pipeline.simulator.world.change({"run_seconds": 6000})
    job = pipeline.submit()
    waits = []
    while not waits or pipeline.now() - job.created_at < timedelta(seconds=3000):
        message = min(pipeline.messages.queued, key=lambda m: m.visible_at)
        waits.append((message.visible_at - pipeline.now()).total_seconds())
        pipeline.deliver(pipeline.take_next())
    assert pipeline.job(job).status is Status.RUNNING
    assert max(waits[:20]) <= 4
    assert max(waits) <= 24
    assert min(waits[-5:]) >= 16
    assert len({round(wait, 3) for wait in waits[-5:]}) > 1, "without jitter, jobs poll in step for ever"


@pytest.mark.parametrize("word", ["pondering", "", None, 7])
def test_an_unknown_status_keeps_polling(pipeline: Pipeline, word: object) -> None:
    job = pipeline.submit()
    pipeline.fault("get", replace_body={"id": job.backend_job_id, "status": word}, times=3)
    for _ in range(3):
        pipeline.deliver(pipeline.take_next())
    assert pipeline.job(job).status is Status.QUEUED
    assert pipeline.run(job).status is Status.SUCCEEDED


@pytest.mark.parametrize(
    "effects",
    [
        {"status": 500},
        {"status": 502, "body": "<html>"},
        {"drop": True},
        {"replace_body": "[1]"},
        {"status": 401},
    ],
    ids=str,
)
def test_a_poll_that_fails_is_repeated_and_changes_nothing(
    pipeline: Pipeline, effects: dict[str, object]
) -> None:
    job = pipeline.submit()
    pipeline.fault("get", times=5, **effects)
    for _ in range(5):
        pipeline.deliver(pipeline.take_next())
    seen = pipeline.job(job)
    assert seen.status is Status.QUEUED
    assert seen.reason
    assert pipeline.run(job).status is Status.SUCCEEDED
    assert pipeline.backend_jobs() == 1


@pytest.mark.parametrize("body_id", [{"id": "the-same-written-otherwise"}, {"id": 7}, {}], ids=str)
def test_an_answer_is_about_the_job_that_was_asked_for_whatever_it_calls_it(
    pipeline: Pipeline, body_id: dict[str, object]
) -> None:
    job = pipeline.submit()
    word = {"azure-sora": "running", "openai-videos": "in_progress"}[pipeline.dialect]
    pipeline.fault("get", replace_body={**body_id, "status": word}, times=1)
    pipeline.deliver(pipeline.take_next())
    assert pipeline.job(job).status is Status.RUNNING
    ended = pipeline.run(job)
    assert (ended.status, ended.backend_job_id) == (Status.SUCCEEDED, job.backend_job_id)


def test_a_list_that_can_not_be_read_ends_no_job(pipeline: Pipeline) -> None:
    job = pipeline.submit()
    pipeline.simulator.world.change({"run_seconds": 3000})
    pipeline.fault("get", status=404, times=-1)
    pipeline.fault("list", status=503, times=-1)
    pipeline.run(job, lambda seen: pipeline.now() - seen.created_at > timedelta(minutes=8))
    assert pipeline.job(job).status is Status.QUEUED
    pipeline.simulator.faults.clear()
    assert pipeline.run(job).status is Status.SUCCEEDED


@pytest.mark.parametrize("list_status", [404, 405, 503])
def test_a_404_that_no_list_bears_out_ends_nothing_before_the_expiry(
    pipeline: Pipeline, list_status: int
) -> None:
    pipeline.simulator.world.change({"run_seconds": 10**6})
    job = pipeline.submit()
    pipeline.fault("get", status=404, times=-1)
    pipeline.fault("list", status=list_status, times=-1)
    ended = pipeline.run(job)
    assert ended.status is Status.EXPIRED
    assert ended.finished_at is not None
    assert ended.expires_at is not None
    assert timedelta() <= ended.finished_at - ended.expires_at <= timedelta(seconds=30)


def test_a_job_that_seems_lost_gives_its_slot_back_and_is_polled_rarely(pipeline: Pipeline) -> None:
    pipeline.simulator.world.change({"run_seconds": 10**6})
    app = Pipeline(pipeline.simulator, pipeline.dialect, VIDEO_RUNNING_LIMIT="1")
    job = app.submit()
    app.fault("get", status=404, times=-1)
    app.fault("list", status=404, times=-1)
    app.run(job, lambda seen: seen.is_in_doubt(app.now()) and not app.gates.gates["default"].slots)
    asked = len(app.calls("get"))
    app.run(job, lambda seen: app.now() - seen.created_at > timedelta(hours=12))
    assert len(app.calls("get")) - asked <= 40
    app.simulator.faults.clear()
    app.simulator.world.change({"run_seconds": 5})
    assert app.run(app.submit()).status is Status.SUCCEEDED, "the slot is another's meanwhile"


def test_404_for_everything_for_a_while_loses_nothing(pipeline: Pipeline) -> None:
    pipeline.simulator.world.change({"run_seconds": 1200})
    job = pipeline.submit()
    pipeline.run_until(job, Status.RUNNING)
    began = pipeline.now()
    pipeline.fault("*", status=404, times=-1)
    pipeline.run(job, lambda seen: pipeline.now() - began > timedelta(hours=3))
    pipeline.simulator.faults.clear()
    assert pipeline.run(job).status is Status.SUCCEEDED


def test_410_is_proof_that_the_job_is_gone(pipeline: Pipeline) -> None:
    job = pipeline.submit()
    pipeline.fault("get", status=410, times=-1)
    pipeline.fault("video", status=410, times=-1)
    ended = pipeline.run(job)
    assert (ended.status, ended.error and ended.error.code) == (Status.FAILED, "backend_lost_job")


def test_a_turn_that_no_chain_can_have_come_to_is_malformed(pipeline: Pipeline) -> None:
    job = pipeline.submit()
    text = PollMessage(owner=OWNER, job_id=job.id, turn=10**9).encode()
    with pytest.raises(MalformedMessage, match="far beyond"):
        pipeline.deliver(QueuedMessage(POLL_QUEUE, text, pipeline.now()))
    assert pipeline.run(job).status is Status.SUCCEEDED


def test_a_failed_generation_says_why(pipeline: Pipeline) -> None:
    for word, code in (("blocked-input", "moderation_blocked"), ("internal-failure", "generation_failed")):
        ended = pipeline.run(pipeline.submit(prompt=f"a {word} boat"))
        assert (ended.status, ended.error and ended.error.code) == (Status.FAILED, code)
        assert ended.error is not None
        assert ended.error.backend_code
    assert not pipeline.live_jobs.keys


def test_fewer_videos_than_asked_are_stored_and_said(sora: Pipeline) -> None:
    ended = sora.run(sora.submit(prompt="fewer-outputs of a boat", variants=3))
    assert ended.status is Status.SUCCEEDED
    assert len(ended.outputs) == 2
    assert "2 of the 3" in (ended.warning or "")


def test_no_output_is_failed_after_five_minutes_and_not_before(sora: Pipeline) -> None:
    job = sora.submit(prompt="no-outputs of a boat")
    waiting = sora.run(job, lambda seen: seen.polls.no_output_since is not None)
    ended = sora.run(job)
    assert (ended.status, ended.error and ended.error.code) == (Status.FAILED, "no_output")
    assert waiting.polls.no_output_since is not None
    assert ended.finished_at is not None
    assert ended.finished_at - waiting.polls.no_output_since >= timedelta(minutes=5)


@pytest.mark.promise("I7")
def test_a_job_that_never_ends_is_expired_when_the_backend_deletes_it(pipeline: Pipeline) -> None:
    pipeline.simulator.world.change({"run_seconds": 10**6, "retention_seconds": 600})
    job = pipeline.submit()
    ended = pipeline.run(job)
    assert ended.status is Status.EXPIRED
    assert ended.finished_at is not None
    assert ended.expires_at is not None
    assert timedelta() <= ended.finished_at - ended.expires_at <= timedelta(seconds=30)


def test_a_job_that_the_backend_forgets_is_given_up_after_five_minutes(pipeline: Pipeline) -> None:
    job = pipeline.submit()
    [created] = pipeline.simulator.world.everything()
    pipeline.simulator.world.delete(created)
    missing = pipeline.run(job, lambda seen: seen.polls.not_found_since is not None)
    ended = pipeline.run(job)
    assert (ended.status, ended.error and ended.error.code) == (Status.FAILED, "backend_lost_job")
    assert missing.polls.not_found_since is not None
    assert ended.finished_at is not None
    assert ended.finished_at - missing.polls.not_found_since >= timedelta(minutes=5)


def test_a_job_that_is_still_listed_is_not_given_up(pipeline: Pipeline) -> None:
    job = pipeline.submit()
    pipeline.simulator.world.change({"run_seconds": 3000})
    pipeline.fault("get", status=404, times=-1)
    pipeline.run(job, lambda seen: pipeline.now() - seen.created_at > timedelta(minutes=8))
    assert not pipeline.job(job).is_terminal
    pipeline.simulator.faults.clear()
    assert pipeline.run(job).status is Status.SUCCEEDED


def test_the_guard_mends_a_crash_before_the_fetch_messages(pipeline: Pipeline) -> None:
    job = pipeline.submit()
    pipeline.run_until(job, Status.FETCHING)
    pipeline.messages.queued = [m for m in pipeline.messages.queued if m.queue != FETCH_QUEUE]
    crashed_at = pipeline.now()
    assert pipeline.run(job).status is Status.SUCCEEDED
    assert pipeline.now() - crashed_at < timedelta(minutes=3)


def test_a_job_of_a_backend_that_is_no_longer_configured_says_so_and_waits(sora: Pipeline) -> None:
    job = sora.submit()
    stored = sora.jobs.get(OWNER, job.id)
    sora.jobs.save(stored, dataclasses.replace(job, backend=dataclasses.replace(job.backend, name="gone")))
    for _ in range(2):  # the first poll may go by what this process saved last
        sora.deliver(sora.take_next())
    seen = sora.job(job)
    assert seen.status is Status.QUEUED
    assert "VIDEO_BACKENDS" in (seen.reason or "")
