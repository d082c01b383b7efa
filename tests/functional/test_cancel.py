"""Cancelling: an intent that is carried out by the chain; what is generated already is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from job_api.act import cancel_job
from local.simulator.server import Simulator
from sweep_jobs.sweep import sweep_jobs
from tests.cases import EACH_DIALECT
from tests.pipeline import OWNER, Pipeline
from tests.steps import (
    assert_cancelled_for_good,
    cancel,
    expired,
    failed,
    finish_generating,
    meanwhile,
    only_job,
    slots,
    succeeded,
)
from video_jobs.domain.errors import InvalidRequest, JobNotFound, StorageUnavailable
from video_jobs.domain.job import Job, Status
from video_jobs.ports import LiveJob

# --- in each status ------------------------------------------------------------------------------


def test_a_waiting_job_is_cancelled_at_once_and_never_submitted(pipeline: Pipeline) -> None:
    pipeline.fault("create", status=429, headers={"retry-after": "30"})
    job = pipeline.submit()
    assert job.status is Status.WAITING
    assert cancel(pipeline, job).status is Status.CANCELLED
    assert not pipeline.live_jobs.keys
    assert_cancelled_for_good(pipeline, job)
    assert len(pipeline.calls("create")) == 1
    assert pipeline.backend_jobs() == 0


@pytest.mark.parametrize("dialect", EACH_DIALECT)
def test_a_job_in_line_is_cancelled_and_the_one_behind_it_goes_ahead(
    simulator: Simulator, dialect: str
) -> None:
    pipeline = Pipeline(simulator, dialect, VIDEO_RUNNING_LIMIT="1")
    first, second, third = (pipeline.submit() for _ in range(3))
    assert (second.status, third.status) == (Status.WAITING, Status.WAITING)
    assert cancel(pipeline, second).status is Status.CANCELLED
    assert pipeline.run(third).status is Status.SUCCEEDED
    assert pipeline.job(first).status is Status.SUCCEEDED
    pipeline.drain()
    assert pipeline.backend_jobs() == 2
    assert slots(pipeline) == []


def test_a_job_whose_paid_call_is_in_flight_is_cancelled_when_its_answer_is_here(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Job] = []
    meanwhile(pipeline, monkeypatch, "create", lambda: seen.append(cancel(pipeline, only_job(pipeline))))
    job = pipeline.submit()
    assert seen[0].status is Status.SUBMITTING
    assert job.status is Status.QUEUED
    assert job.backend_job_id is not None
    assert job.cancellation.requested_at is not None
    pipeline.run(job)
    assert_cancelled_for_good(pipeline, job)
    assert pipeline.backend_jobs() == 1
    assert len(pipeline.calls("delete")) == 1


@pytest.mark.parametrize("status", [401, 404, 429])
def test_a_job_whose_paid_call_is_turned_away_meanwhile_is_cancelled_and_not_offered_again(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    pipeline.fault("create", status=status)
    meanwhile(pipeline, monkeypatch, "create", lambda: cancel(pipeline, only_job(pipeline)))
    job = pipeline.submit()
    assert job.status is Status.CANCELLED
    assert_cancelled_for_good(pipeline, job)
    assert len(pipeline.calls("create")) == 1


def test_a_job_that_is_refused_meanwhile_has_failed(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.fault("create", status=400)
    meanwhile(pipeline, monkeypatch, "create", lambda: cancel(pipeline, only_job(pipeline)))
    job = pipeline.submit()
    assert (job.status, job.error and job.error.code) == (Status.FAILED, "backend_rejected")
    assert cancel(pipeline, job).status is Status.FAILED


def test_a_job_whose_outcome_is_not_known_is_found_and_then_cancelled(pipeline: Pipeline) -> None:
    pipeline.simulator.world.change({"run_seconds": 3000})
    pipeline.fault("create", lost_answer=True)
    job = pipeline.submit()
    assert cancel(pipeline, job).status is Status.SUBMITTING
    pipeline.run(job)
    assert_cancelled_for_good(pipeline, job)
    assert pipeline.backend_jobs() == 1


@pytest.mark.parametrize("status", [Status.QUEUED, Status.RUNNING])
def test_a_job_that_the_backend_works_on_is_stopped_there_at_the_next_poll(
    pipeline: Pipeline, status: Status
) -> None:
    job = pipeline.run_until(pipeline.submit(), status)
    asked = cancel(pipeline, job)
    assert asked.status is status
    assert asked.cancellation.requested_at is not None
    before = pipeline.now()
    assert pipeline.run(job).status is Status.CANCELLED
    assert (pipeline.now() - before).total_seconds() < 1, "it is looked at now, and not when it was due"
    assert_cancelled_for_good(pipeline, job)
    assert len(pipeline.calls("delete")) == 1


@pytest.mark.parametrize("status", [Status.QUEUED, Status.RUNNING])
def test_what_was_generated_since_the_last_poll_is_kept(pipeline: Pipeline, status: Status) -> None:
    job = pipeline.run_until(pipeline.submit(), status)
    finish_generating(pipeline)
    assert cancel(pipeline, job).status is status
    ended = pipeline.run(job)
    assert ended.status is Status.SUCCEEDED
    assert pipeline.calls("delete") == []


def test_it_is_too_late_once_the_videos_are_fetched(pipeline: Pipeline) -> None:
    job = pipeline.run_until(pipeline.submit(), Status.FETCHING)
    asked = cancel(pipeline, job)
    assert (asked.status, asked.cancellation.requested_at) == (Status.FETCHING, None)
    assert pipeline.run(job).status is Status.SUCCEEDED
    assert pipeline.calls("delete") == []


def test_it_is_too_late_while_the_download_is_refused(pipeline: Pipeline) -> None:
    pipeline.fault("video", status=403, times=2)
    job = pipeline.run_until(pipeline.submit(), Status.PENDING_DOWNLOAD)
    assert cancel(pipeline, job).status is Status.PENDING_DOWNLOAD
    assert pipeline.run(job).status is Status.SUCCEEDED


@pytest.mark.parametrize("ended", [succeeded, failed, expired])
def test_what_has_ended_stays_as_it_is(pipeline: Pipeline, ended: Callable[[Pipeline], Job]) -> None:
    job = ended(pipeline)
    pipeline.drain()
    assert cancel(pipeline, job) == job
    assert pipeline.job(job) == job
    assert not pipeline.messages.queued
    assert pipeline.calls("delete") == []


# --- twice, and by whom --------------------------------------------------------------------------


@pytest.mark.parametrize("status", [Status.WAITING, Status.QUEUED, Status.RUNNING])
def test_cancelling_twice_is_cancelling_once(pipeline: Pipeline, status: Status) -> None:
    if status is Status.WAITING:
        pipeline.fault("create", status=429)
    job = pipeline.run_until(pipeline.submit(), status)
    first = cancel(pipeline, job)
    assert cancel(pipeline, job) == first
    pipeline.run(job)
    assert cancel(pipeline, job).status is Status.CANCELLED
    assert_cancelled_for_good(pipeline, job)
    assert len(pipeline.calls("delete")) <= 1


def test_ten_clicks_leave_one_chain(pipeline: Pipeline) -> None:
    pipeline.fault("delete", status=409, times=-1)
    job = pipeline.submit()
    for _ in range(10):
        cancel(pipeline, job)
    pipeline.run(job, lambda seen: seen.chain.turn >= 8)
    assert len(pipeline.messages.queued) == 1
    assert pipeline.run(job).status is Status.SUCCEEDED


def test_another_owners_job_can_not_be_cancelled(pipeline: Pipeline) -> None:
    job = pipeline.submit()
    with pytest.raises(JobNotFound):
        cancel_job(pipeline.services, "somebody-else", job.id)
    assert pipeline.job(job) == job


@pytest.mark.parametrize("named", ["", "job_", "../job", "job_" + "0" * 27])
def test_what_is_no_job_id_is_said(pipeline: Pipeline, named: str) -> None:
    with pytest.raises(InvalidRequest):
        cancel_job(pipeline.services, OWNER, named)


# --- the backend has its own will ----------------------------------------------------------------


def test_a_backend_that_refuses_goes_on_and_the_video_is_kept(pipeline: Pipeline) -> None:
    job = pipeline.run_until(pipeline.submit(), Status.RUNNING)
    pipeline.fault("delete", status=409, body={"error": {"message": "it can't be stopped now"}})
    cancel(pipeline, job)
    refused = pipeline.run(job, lambda seen: seen.cancellation.refused is not None)
    assert refused.status is Status.RUNNING
    assert "409" in (refused.cancellation.refused or "")
    assert "cancel_refused" in {event.what for event in refused.history}
    assert pipeline.run(job).status is Status.SUCCEEDED
    assert len(pipeline.calls("delete")) == 1, "it is asked again only if the client asks again"


def test_asked_again_after_a_refusal_the_backend_is_asked_again(pipeline: Pipeline) -> None:
    pipeline.simulator.world.change({"run_seconds": 3000})
    job = pipeline.run_until(pipeline.submit(), Status.RUNNING)
    pipeline.fault("delete", status=409)
    cancel(pipeline, job)
    pipeline.run(job, lambda seen: seen.cancellation.refused is not None)
    assert cancel(pipeline, job).cancellation.refused is None
    pipeline.run(job)
    assert_cancelled_for_good(pipeline, job)
    assert len(pipeline.calls("delete")) == 2


@pytest.mark.parametrize(
    "effects", [{"status": 503}, {"status": 401}, {"status": 429}, {"drop": True}], ids=str
)
def test_a_backend_that_can_not_be_asked_is_asked_until_it_can(
    pipeline: Pipeline, effects: dict[str, Any]
) -> None:
    pipeline.simulator.world.change({"run_seconds": 3000})
    job = pipeline.run_until(pipeline.submit(), Status.RUNNING)
    pipeline.fault("delete", times=3, **effects)
    cancel(pipeline, job)
    pipeline.run(job)
    assert_cancelled_for_good(pipeline, job)
    assert len(pipeline.calls("delete")) == 4


def test_a_backend_that_is_away_is_asked_when_it_is_back(pipeline: Pipeline) -> None:
    pipeline.simulator.world.change({"run_seconds": 3000})
    job = pipeline.submit()
    pipeline.simulator.stop()
    try:
        cancel(pipeline, job)
        for _ in range(3):
            pipeline.deliver(pipeline.take_next())
        assert pipeline.job(job).status is Status.QUEUED
    finally:
        pipeline.simulator.start()
    pipeline.run(job)
    assert_cancelled_for_good(pipeline, job)


def test_a_stop_whose_answer_was_lost_is_cancelled_and_nothing_else(pipeline: Pipeline) -> None:
    pipeline.simulator.world.change({"run_seconds": 3000})
    job = pipeline.run_until(pipeline.submit(), Status.RUNNING)
    pipeline.fault("delete", lost_answer=True)
    cancel(pipeline, job)
    pipeline.run(job)
    assert_cancelled_for_good(pipeline, job)


def test_a_job_that_the_backend_had_forgotten_is_cancelled_and_not_lost(pipeline: Pipeline) -> None:
    job = pipeline.submit()
    [made] = pipeline.simulator.world.everything()
    pipeline.simulator.world.delete(made)
    cancel(pipeline, job)
    pipeline.run(job)
    assert_cancelled_for_good(pipeline, job)


@pytest.mark.parametrize("word", ["failed", "cancelled"])
def test_what_the_backend_has_ended_itself_is_not_stopped_again(sora: Pipeline, word: str) -> None:
    job = sora.submit()
    sora.fault("get", replace_body={"id": job.backend_job_id, "status": word})
    cancel(sora, job)
    assert sora.run(job).status is Status(word)
    assert sora.calls("delete") == []


# --- the slot ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", EACH_DIALECT)
@pytest.mark.parametrize("status", [Status.QUEUED, Status.RUNNING])
def test_a_cancelled_jobs_place_is_free_for_the_next_at_once(
    simulator: Simulator, dialect: str, status: Status
) -> None:
    simulator.world.change({"run_seconds": 3000})
    pipeline = Pipeline(simulator, dialect, VIDEO_RUNNING_LIMIT="1")
    first = pipeline.run_until(pipeline.submit(), status)
    second = pipeline.submit()
    assert second.status is Status.WAITING
    cancel(pipeline, first)
    before = pipeline.now()
    pipeline.run_until(second, Status.QUEUED)
    assert pipeline.job(first).status is Status.CANCELLED
    assert (pipeline.now() - before).total_seconds() < 1
    assert slots(pipeline) == [second.id]


@pytest.mark.parametrize("dialect", EACH_DIALECT)
def test_the_place_of_a_call_that_is_in_flight_is_free_when_it_is_cancelled(
    simulator: Simulator, dialect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = Pipeline(simulator, dialect, VIDEO_RUNNING_LIMIT="1")
    meanwhile(pipeline, monkeypatch, "create", lambda: cancel(pipeline, only_job(pipeline)))
    first = pipeline.submit()
    second = pipeline.submit()
    assert pipeline.run(second).status is Status.SUCCEEDED
    assert pipeline.job(first).status is Status.CANCELLED
    pipeline.drain()
    assert slots(pipeline) == []


def test_a_stop_that_is_refused_when_its_time_is_over_leaves_the_job_expired(pipeline: Pipeline) -> None:
    pipeline.simulator.world.change({"retention_seconds": 600})
    job = pipeline.submit()
    pipeline.fault("get", replace_body={"id": job.backend_job_id, "status": "queued"}, times=-1)
    pipeline.fault("delete", status=409, times=-1)
    pipeline.advance(700)
    cancel(pipeline, job)
    assert pipeline.run(job).status is Status.EXPIRED


@pytest.mark.parametrize("status", [Status.WAITING, Status.RUNNING])
def test_a_cancel_that_is_saved_is_no_error_and_is_carried_out_though_storage_then_fails(
    sora: Pipeline, monkeypatch: pytest.MonkeyPatch, status: Status
) -> None:
    sora.simulator.world.change({"run_seconds": 10_000})
    app = Pipeline(sora.simulator, "azure-sora", VIDEO_RUNNING_LIMIT="1")
    first = app.submit()
    job = app.submit() if status is Status.WAITING else app.run_until(first, status)

    def away(*_: object) -> None:
        raise StorageUnavailable("Storage is away.")

    with monkeypatch.context() as outage:
        outage.setattr(app.messages, "send_poll", away)
        outage.setattr(app.live_jobs, "remove", away)
        assert cancel(app, job).cancellation.requested_at is not None
    app.run(job)
    sweep_jobs(app.services)
    assert app.job(job).status is Status.CANCELLED
    assert LiveJob.of(job).key not in {key for _, key in app.live_jobs.keys}
