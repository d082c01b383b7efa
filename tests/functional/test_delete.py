"""Deleting: a tombstone at once, then everything of the job goes, at the backend too, and nothing stays behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from job_api.act import cancel_job, delete_job, repair_job
from job_api.import_job import import_job, read_import
from job_api.read import list_jobs, read_output
from job_api.retry import retry_job
from local.simulator.server import Simulator
from poll_job.purge import LONGEST_FETCH
from sweep_jobs.sweep import sweep_jobs
from tests.cases import EACH_DIALECT
from tests.pipeline import OWNER, Pipeline
from tests.steps import (
    assert_nothing_is_left,
    cancelled,
    delete,
    expired,
    failed,
    finish_generating,
    lost_and_back,
    meanwhile,
    only_job,
    picture,
    refused,
    slots,
    succeeded,
    waiting,
)
from video_jobs.domain.errors import (
    BackendJobNotFound,
    IdempotencyKeyReused,
    JobNotFound,
    NotRetriable,
    StorageUnavailable,
)
from video_jobs.domain.job import Job, Status
from video_jobs.domain.queue_messages import FETCH_QUEUE, FetchMessage
from video_jobs.lifecycle.find import find_job
from video_jobs.ports import VideoKey
from video_jobs.storage.memory import QueuedMessage

# --- in each status ------------------------------------------------------------------------------


def of_unknown_outcome(pipeline: Pipeline) -> Job:
    pipeline.fault("create", lost_answer=True)
    return pipeline.submit()


def of_unknown_outcome_that_nobody_finds(pipeline: Pipeline) -> Job:
    pipeline.fault("create", drop=True)
    return pipeline.submit()


def queued(pipeline: Pipeline) -> Job:
    return pipeline.submit()


def running(pipeline: Pipeline) -> Job:
    return pipeline.run_until(pipeline.submit(), Status.RUNNING)


def generated_since_the_last_poll(pipeline: Pipeline) -> Job:
    job = pipeline.submit()
    finish_generating(pipeline)
    return job


def fetching(pipeline: Pipeline) -> Job:
    return pipeline.run_until(pipeline.submit(), Status.FETCHING)


def pending_download(pipeline: Pipeline) -> Job:
    pipeline.fault("video", status=403, times=3)
    return pipeline.run_until(pipeline.submit(), Status.PENDING_DOWNLOAD)


WAYS = (
    waiting,
    of_unknown_outcome,
    of_unknown_outcome_that_nobody_finds,
    queued,
    running,
    generated_since_the_last_poll,
    fetching,
    pending_download,
    succeeded,
    failed,
    refused,
    cancelled,
    expired,
)


@pytest.mark.parametrize("way", WAYS)
def test_a_deleted_job_leaves_nothing_wherever_it_stood(
    pipeline: Pipeline, way: Callable[[Pipeline], Job]
) -> None:
    job = way(pipeline)
    delete(pipeline, job)
    with pytest.raises(JobNotFound):
        find_job(pipeline.services, OWNER, job.id)
    assert_nothing_is_left(pipeline)
    assert len(pipeline.calls("create")) == 1


@pytest.mark.parametrize("way", WAYS)
def test_deleting_twice_is_deleting_once_and_then_404(
    pipeline: Pipeline, way: Callable[[Pipeline], Job]
) -> None:
    job = way(pipeline)
    first = delete(pipeline, job)
    assert delete(pipeline, job) == first
    pipeline.deliver(pipeline.take_next())
    delete(pipeline, job)
    assert_nothing_is_left(pipeline)
    with pytest.raises(JobNotFound):
        delete(pipeline, job)


def test_a_job_that_is_submitted_right_now_is_deleted_when_the_answer_is_here(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(pipeline, monkeypatch, "create", lambda: delete(pipeline, only_job(pipeline)))
    job = pipeline.submit()
    assert job.backend_job_id is not None
    assert_nothing_is_left(pipeline)
    assert pipeline.backend_jobs() == 1


@pytest.mark.parametrize("status", [400, 401, 429])
def test_a_job_that_is_turned_away_right_now_is_deleted_and_not_offered_again(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    pipeline.fault("create", status=status)
    meanwhile(pipeline, monkeypatch, "create", lambda: delete(pipeline, only_job(pipeline)))
    pipeline.submit()
    assert_nothing_is_left(pipeline)
    assert len(pipeline.calls("create")) == 1


def test_an_input_image_goes_too(pipeline: Pipeline) -> None:
    job = pipeline.submit(input_image=picture(pipeline))
    assert pipeline.blobs.inputs
    delete(pipeline, job)
    pipeline.deliver(pipeline.take_next())
    assert not pipeline.blobs.inputs
    assert_nothing_is_left(pipeline)


def test_the_blobs_go_at_once_and_the_rows_after_the_longest_fetch(pipeline: Pipeline) -> None:
    job = succeeded(pipeline)
    pipeline.drain()
    deleted_at = pipeline.now()
    delete(pipeline, job)
    pipeline.deliver(pipeline.take_next())
    assert pipeline.now() - deleted_at < timedelta(seconds=1)
    assert not pipeline.blobs.videos
    assert pipeline.job(job).deleted_at is not None
    assert_nothing_is_left(pipeline)
    assert LONGEST_FETCH <= pipeline.now() - deleted_at < LONGEST_FETCH + timedelta(seconds=1)


@pytest.mark.parametrize("dialect", EACH_DIALECT)
def test_the_place_of_a_deleted_job_is_free_for_the_next(simulator: Simulator, dialect: str) -> None:
    simulator.world.change({"run_seconds": 3000})
    pipeline = Pipeline(simulator, dialect, VIDEO_RUNNING_LIMIT="1")
    first, second, third = (pipeline.submit() for _ in range(3))
    delete(pipeline, second)
    delete(pipeline, first)
    pipeline.run_until(third, Status.QUEUED)
    assert slots(pipeline) == [third.id]
    delete(pipeline, third)
    assert_nothing_is_left(pipeline)


# --- beside a download ---------------------------------------------------------------------------


def test_a_download_that_ends_after_the_delete_leaves_no_blob_behind(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = fetching(pipeline)
    real = pipeline.blobs.put_video

    def put_video(
        place: VideoKey, chunks: Iterator[bytes], metadata: Callable[[], Mapping[str, str]]
    ) -> bool:
        begun = [next(chunks)]
        delete(pipeline, job)
        pipeline.deliver(pipeline.take_next())  # the blobs that are there go now
        return real(place, iter([*begun, *chunks]), metadata)

    monkeypatch.setattr(pipeline.blobs, "put_video", put_video)
    while not pipeline.blobs.videos:
        pipeline.deliver(pipeline.take_next())
    assert pipeline.job(job).outputs[0].stored is None
    assert_nothing_is_left(pipeline)


def test_a_delete_between_the_blob_and_the_row_leaves_neither(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = fetching(pipeline)
    meanwhile(pipeline, monkeypatch, "open_thumbnail", lambda: delete(pipeline, job))
    while pipeline.job(job).deleted_at is None:
        pipeline.deliver(pipeline.take_next())
    assert pipeline.job(job).outputs[0].stored is None
    assert_nothing_is_left(pipeline)


def test_a_job_that_ends_beside_its_delete_is_found_by_the_sweeper_all_the_same(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = fetching(pipeline)
    real = pipeline.blobs.put_summary

    def put_summary(owner: str, job_id: str, content: bytes) -> None:
        delete(pipeline, job)
        real(owner, job_id, content)

    monkeypatch.setattr(pipeline.blobs, "put_summary", put_summary)
    pipeline.run(job, lambda seen: seen.deleted_at is not None)
    pipeline.deliver(pipeline.take_next())
    pipeline.messages.queued.clear()  # they failed too often
    for _ in range(20):
        pipeline.advance(60)
        sweep_jobs(pipeline.services)
    assert_nothing_is_left(pipeline)


def test_nothing_of_a_deleted_job_is_downloaded_any_more(pipeline: Pipeline) -> None:
    job = fetching(pipeline)
    delete(pipeline, job)
    text = FetchMessage(owner=OWNER, job_id=job.id, index=0).encode()
    pipeline.deliver(QueuedMessage(FETCH_QUEUE, text, pipeline.now()))
    assert_nothing_is_left(pipeline)
    assert pipeline.calls("video") == []
    pipeline.deliver(QueuedMessage(FETCH_QUEUE, text, pipeline.now()))
    assert pipeline.calls("video") == []


# --- nobody sees it any more ---------------------------------------------------------------------


@pytest.mark.parametrize("way", [waiting, queued, pending_download, succeeded, failed])
def test_a_tombstone_is_seen_by_nobody(pipeline: Pipeline, way: Callable[[Pipeline], Job]) -> None:
    job, services = way(pipeline), pipeline.services
    delete(pipeline, job)
    apis: tuple[Callable[[], Any], ...] = (
        lambda: find_job(services, OWNER, job.id),
        lambda: read_output(services, OWNER, job.id, "0"),
        lambda: cancel_job(services, OWNER, job.id),
        lambda: retry_job(services, OWNER, job.id),
        lambda: repair_job(services, OWNER, job.id),
    )
    for api in apis:
        with pytest.raises(JobNotFound):
            api()
    for query in ({}, {"status": job.status.value}, {"status": "cancelled"}):
        assert list_jobs(services, OWNER, query) == ([], None)


def test_what_is_being_deleted_can_not_be_imported(pipeline: Pipeline) -> None:
    job = queued(pipeline)
    delete(pipeline, job)
    body = f'{{"backend_job_id": "{job.backend_job_id}"}}'.encode()
    with pytest.raises(BackendJobNotFound):
        import_job(pipeline.services, OWNER, read_import(body))
    assert_nothing_is_left(pipeline)


def test_another_owners_job_can_not_be_deleted(pipeline: Pipeline) -> None:
    job = queued(pipeline)
    with pytest.raises(JobNotFound):
        delete_job(pipeline.services, "somebody-else", job.id)
    assert pipeline.job(job) == job
    assert pipeline.run(job).status is Status.SUCCEEDED


def test_the_key_of_a_deleted_job_makes_no_other_one(pipeline: Pipeline) -> None:
    job = pipeline.submit(key="k-1")
    delete(pipeline, job)
    for _ in range(2):  # while there is a tombstone, and when that is gone too
        with pytest.raises(IdempotencyKeyReused, match="has been deleted"):
            pipeline.submit(key="k-1")
        assert_nothing_is_left(pipeline)
    assert pipeline.backend_jobs() == 1


# --- the backend has its own will ----------------------------------------------------------------


@pytest.mark.parametrize("effects", [{"status": 409}, {"status": 503}, {"drop": True}], ids=str)
def test_a_backend_that_does_not_let_go_is_asked_until_its_time_is_over(
    pipeline: Pipeline, effects: dict[str, Any]
) -> None:
    job = running(pipeline)
    pipeline.fault("delete", times=-1, **effects)
    delete(pipeline, job)
    assert_nothing_is_left(pipeline)
    assert job.expires_at is not None
    assert timedelta() <= pipeline.now() - job.expires_at <= timedelta(hours=1)
    assert 10 < len(pipeline.calls("delete")) < 200


@pytest.mark.parametrize("dialect", EACH_DIALECT)
def test_a_backend_that_does_not_let_go_gives_its_place_back_when_it_has_generated(
    simulator: Simulator, dialect: str
) -> None:
    pipeline = Pipeline(simulator, dialect, VIDEO_RUNNING_LIMIT="1")
    first = running(pipeline)
    pipeline.fault("delete", status=409, times=-1)
    delete(pipeline, first)
    second = pipeline.submit()
    assert second.status is Status.WAITING
    assert pipeline.run(second).status is Status.SUCCEEDED
    assert pipeline.now() - second.created_at < timedelta(minutes=5)


def test_a_delete_whose_answer_was_lost_is_done(pipeline: Pipeline) -> None:
    job = running(pipeline)
    pipeline.fault("delete", lost_answer=True)
    delete(pipeline, job)
    assert_nothing_is_left(pipeline)
    assert pipeline.now() - job.created_at < timedelta(minutes=15)


def test_a_backend_that_is_away_is_asked_when_it_is_back(pipeline: Pipeline) -> None:
    job = running(pipeline)
    pipeline.simulator.stop()
    try:
        delete(pipeline, job)
        for _ in range(3):
            pipeline.deliver(pipeline.take_next())
        with pytest.raises(JobNotFound):
            find_job(pipeline.services, OWNER, job.id)
    finally:
        pipeline.simulator.start()
    assert_nothing_is_left(pipeline)
    assert len(pipeline.calls("delete")) == 1


# --- a job and the one that tries it again -------------------------------------------------------


def test_deleting_the_old_job_takes_nothing_from_the_one_that_took_it_over(pipeline: Pipeline) -> None:
    old = lost_and_back(pipeline)
    new = retry_job(pipeline.services, OWNER, old.id)
    delete(pipeline, old)
    assert pipeline.run(new).status is Status.SUCCEEDED
    pipeline.drain()
    assert pipeline.calls("delete") == []
    assert [stored.job.id for stored in pipeline.jobs.everything()] == [new.id]
    assert pipeline.backend_jobs() == 1


def test_deleting_the_old_job_waits_until_its_retry_has_decided_what_to_take_over(pipeline: Pipeline) -> None:
    old = lost_and_back(pipeline)
    pipeline.fault("get", status=503, times=2)
    new = retry_job(pipeline.services, OWNER, old.id)
    assert new.status is Status.WAITING
    delete(pipeline, old)
    pipeline.deliver(pipeline.take_next())
    assert pipeline.calls("delete") == []
    assert pipeline.run(new).status is Status.SUCCEEDED
    pipeline.drain()
    assert [stored.job.id for stored in pipeline.jobs.everything()] == [new.id]
    assert pipeline.backend_jobs() == 1, "what was generated was generated anew"


def test_a_deleted_retry_can_not_be_had_again(pipeline: Pipeline) -> None:
    old = failed(pipeline)
    new = retry_job(pipeline.services, OWNER, old.id)
    delete(pipeline, new)
    with pytest.raises(NotRetriable, match="has been deleted"):
        retry_job(pipeline.services, OWNER, old.id)
    pipeline.drain()
    with pytest.raises(NotRetriable, match="has been deleted"):
        retry_job(pipeline.services, OWNER, old.id)


def test_a_deletion_that_is_saved_is_no_error_and_is_carried_out_though_the_queue_then_fails(
    sora: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = sora.run(sora.submit())
    sora.drain()

    def away(*_: object) -> None:
        raise StorageUnavailable("The queue is away.")

    with monkeypatch.context() as outage:
        outage.setattr(sora.messages, "send_poll", away)
        assert delete_job(sora.services, OWNER, job.id).deleted_at is not None
    for _ in range(5):
        sora.advance(60)
        sweep_jobs(sora.services)
    sora.drain()
    assert sora.jobs.everything() == []
