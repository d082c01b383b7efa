"""Trying again: a new job that names the old one, and never a second generation of what can still be had."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from job_api.act import cancel_job, delete_job
from job_api.retry import retry_job
from local.simulator.job import Job as MadeJob
from sweep_jobs.sweep import sweep_jobs
from tests.pipeline import OWNER, Pipeline
from tests.steps import (
    NOTHING_LISTED,
    cancelled,
    expired,
    failed,
    lost_and_back,
    picture,
    refused,
    retry,
    unconfirmed,
    waiting,
)
from video_jobs.domain.backend_job import BackendJob
from video_jobs.domain.errors import InvalidRequest, JobNotFound, NotRetriable, StorageUnavailable
from video_jobs.domain.job import Job, Status
from video_jobs.domain.queue_messages import FETCH_QUEUE


def made_for(pipeline: Pipeline, job: Job) -> MadeJob:
    """The backend's own job."""
    return next(made for made in pipeline.simulator.world.everything() if made.id == job.backend_job_id)


def names_each_other(pipeline: Pipeline, old: Job, new: Job) -> bool:
    old, new = pipeline.job(old), pipeline.job(new)
    return (old.retried_as, new.retry_of) == (new.id, old.id)


# --- one new job ---------------------------------------------------------------------------------


@pytest.mark.parametrize("way", [failed, refused, cancelled, expired])
def test_what_ended_without_its_video_is_tried_again_as_a_new_job(
    pipeline: Pipeline, way: Callable[[Pipeline], Job]
) -> None:
    old = way(pipeline)
    pipeline.drain()
    pipeline.simulator.world.change({"run_seconds": 30, "retention_seconds": 86_400})
    new = retry(pipeline, old)
    assert new.id != old.id
    assert (new.request, new.metadata, new.backend) == (old.request, old.metadata, old.backend)
    assert names_each_other(pipeline, old, new)
    before = pipeline.job(old)
    ended = pipeline.run(new)
    assert ended.status is (Status.FAILED if "failure" in old.request.prompt else Status.SUCCEEDED)
    pipeline.drain()
    assert pipeline.job(old) == before, "terminal is final"
    assert (before.status, before.error) == (old.status, old.error)
    assert not pipeline.live_jobs.keys


@pytest.mark.parametrize("way", [failed, cancelled, lost_and_back])
def test_ten_clicks_at_once_make_one_new_job(pipeline: Pipeline, way: Callable[[Pipeline], Job]) -> None:
    old = way(pipeline)
    pipeline.drain()
    made_before, barrier = pipeline.backend_jobs(), threading.Barrier(10)

    def click(_: int) -> str:
        barrier.wait()
        return retry(pipeline, old).id

    with ThreadPoolExecutor(10) as pool:
        ids = set(pool.map(click, range(10)))
    assert len(ids) == 1
    assert len(pipeline.jobs.everything()) == 2
    assert len(pipeline.live_jobs.keys) == 1
    pipeline.run(pipeline.jobs.get(OWNER, ids.pop()).job)
    pipeline.drain()
    assert pipeline.backend_jobs() - made_before == (0 if way is lost_and_back else 1)


def test_clicking_again_gives_the_same_job_however_far_it_is(pipeline: Pipeline) -> None:
    old = cancelled(pipeline)
    new = retry(pipeline, old)
    for status in (Status.QUEUED, Status.RUNNING, Status.FETCHING, Status.SUCCEEDED):
        pipeline.run_until(new, status)
        assert retry(pipeline, old) == pipeline.job(new)


def test_the_new_job_can_be_tried_again_itself(pipeline: Pipeline) -> None:
    first = failed(pipeline)
    second = pipeline.run(retry(pipeline, first))
    third = pipeline.run(retry(pipeline, second))
    assert len({first.id, second.id, third.id}) == 3
    assert names_each_other(pipeline, first, second)
    assert names_each_other(pipeline, second, third)
    assert pipeline.backend_jobs() == 3


def test_the_old_job_names_the_new_one_though_its_maker_ended_before_it_was_written(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = cancelled(pipeline)
    with monkeypatch.context() as patch:
        patch.setattr("job_api.retry.begin", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            retry(pipeline, old)
    assert pipeline.job(old).retried_as is None
    new = retry(pipeline, old)  # the client clicks again
    assert (new.status, new.retry_of) == (Status.WAITING, old.id)
    pipeline.messages.queued.clear()
    pipeline.advance(180)
    sweep_jobs(pipeline.services)
    assert pipeline.run(new).status is Status.SUCCEEDED
    assert names_each_other(pipeline, old, new)
    assert pipeline.backend_jobs() == 1


def test_a_row_of_the_old_job_that_can_not_be_written_is_written_later(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = cancelled(pipeline)
    real = pipeline.jobs.save

    def save(stored: Any, job: Job) -> Any:
        if job.id == old.id:
            raise StorageUnavailable("away")
        return real(stored, job)

    with monkeypatch.context() as patch:
        patch.setattr(pipeline.jobs, "save", save)
        new = retry(pipeline, old)
    assert new.status is Status.WAITING
    assert pipeline.run(new).status is Status.SUCCEEDED
    assert names_each_other(pipeline, old, new)


def test_the_input_image_is_carried_over(pipeline: Pipeline) -> None:
    pipeline.fault("create", status=400)
    old = pipeline.submit(input_image=picture(pipeline))
    assert old.status is Status.FAILED
    new = retry(pipeline, old)
    inputs = pipeline.blobs.inputs
    assert inputs[f"{OWNER}/{new.id}"] == inputs[f"{OWNER}/{old.id}"]
    delete_job(pipeline.services, OWNER, old.id)
    assert pipeline.run(new).status is Status.SUCCEEDED
    if pipeline.dialect == "azure-sora":
        assert made_for(pipeline, pipeline.job(new)).order.inpaint_items


def test_a_retry_whose_image_is_gone_says_so_and_pays_for_nothing(pipeline: Pipeline) -> None:
    pipeline.fault("create", status=400)
    old = pipeline.submit(input_image=picture(pipeline))
    pipeline.blobs.inputs.clear()
    new = retry(pipeline, old)
    assert new.status is Status.FAILED
    assert new.error is not None
    assert new.error.code == "input_image_missing"
    assert names_each_other(pipeline, old, new)
    pipeline.drain()
    assert (pipeline.backend_jobs(), pipeline.live_jobs.keys) == (0, set())


def test_a_retry_takes_up_what_was_generated_though_the_image_is_gone(sora: Pipeline) -> None:
    old = lost_and_back(sora, input_image=picture(sora))
    made = sora.backend_jobs()
    sora.blobs.inputs.clear()
    assert sora.run(retry(sora, old)).status is Status.SUCCEEDED
    assert sora.backend_jobs() == made


def test_nothing_of_a_second_click_stays_behind(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline.fault("create", status=400)
    old = pipeline.submit(input_image=picture(pipeline))
    new = retry(pipeline, old)
    monkeypatch.setattr(pipeline.jobs, "find_entry", lambda *_: None)  # as it was for a click that came first
    assert retry(pipeline, old).id == new.id
    assert len(pipeline.blobs.inputs) == 2
    assert len(pipeline.live_jobs.keys) == 1


def test_the_new_job_waits_in_line_like_any_other(sora: Pipeline) -> None:
    old = cancelled(sora)
    sora.simulator.world.change({"run_seconds": 3000})
    running = [sora.submit(), sora.submit()]
    new = retry(sora, old)
    assert new.status is Status.WAITING
    for job in running:
        cancel_job(sora.services, OWNER, job.id)
    sora.run_until(new, Status.QUEUED)


# --- what is not tried again ---------------------------------------------------------------------


@pytest.mark.parametrize("status", [Status.QUEUED, Status.RUNNING, Status.FETCHING, Status.SUCCEEDED])
def test_what_goes_on_or_has_its_videos_is_not_tried_again(pipeline: Pipeline, status: Status) -> None:
    job = pipeline.run_until(pipeline.submit(), status)
    with pytest.raises(NotRetriable, match=status.value):
        retry(pipeline, job)
    assert len(pipeline.jobs.everything()) == 1
    assert pipeline.run(job).status is Status.SUCCEEDED


def test_what_is_not_submitted_yet_is_not_tried_again(pipeline: Pipeline) -> None:
    job = waiting(pipeline)
    with pytest.raises(NotRetriable):
        retry(pipeline, job)
    pipeline.fault("create", lost_answer=True)
    pipeline.run_until(job, Status.SUBMITTING)
    with pytest.raises(NotRetriable):
        retry(pipeline, job)
    assert len(pipeline.jobs.everything()) == 1


def test_another_owners_job_can_not_be_tried_again(pipeline: Pipeline) -> None:
    old = failed(pipeline)
    with pytest.raises(JobNotFound):
        retry_job(pipeline.services, "somebody-else", old.id)
    assert len(pipeline.jobs.everything()) == 1
    with pytest.raises(InvalidRequest):
        retry_job(pipeline.services, OWNER, "nonsense")


# --- never a second generation of what can still be had ------------------------------------------


def assert_taken_over(pipeline: Pipeline, old: Job, new: Job) -> None:
    """The new job has the old one's video, and nothing was paid for again."""
    ended = pipeline.run(new)
    assert ended.status is Status.SUCCEEDED, ended.error
    assert pipeline.backend_jobs() == 1
    assert len(pipeline.calls("create")) == 1
    assert f"{OWNER}/{new.id}/0.mp4" in pipeline.blobs.videos
    assert names_each_other(pipeline, old, new)
    [claim] = pipeline.claims.claims.values()
    assert (claim.job_id, claim.backend_job_id) == (new.id, ended.backend_job_id)
    assert pipeline.gates.get("default").gate.slots == ()
    pipeline.drain()
    assert not pipeline.live_jobs.keys


def test_what_the_backend_forgot_and_knows_again_is_fetched(pipeline: Pipeline) -> None:
    old = lost_and_back(pipeline)
    new = retry(pipeline, old)
    assert (new.status, new.backend_job_id) == (Status.QUEUED, old.backend_job_id)
    assert "adopted" in {event.what for event in new.history}
    assert_taken_over(pipeline, old, new)


def test_what_the_backend_forgot_and_still_generates_is_waited_for(pipeline: Pipeline) -> None:
    pipeline.simulator.world.change({"run_seconds": 3000})
    old = lost_and_back(pipeline)
    new = retry(pipeline, old)
    pipeline.run_until(new, Status.RUNNING)
    assert_taken_over(pipeline, old, new)


@pytest.mark.parametrize("off", [timedelta(days=-2), timedelta(days=2)], ids=["behind", "ahead"])
def test_what_a_backend_with_a_wrong_clock_still_generates_is_waited_for(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, off: timedelta
) -> None:
    pipeline.simulator.world.change({"run_seconds": 3000})
    old = lost_and_back(pipeline)
    client = pipeline.services.backends.client(old.backend)
    real = client.get

    def by_its_clock(backend_job_id: str) -> BackendJob:
        said = real(backend_job_id)
        times = ("created_at", "finished_at", "expires_at", "told_at")
        moved = {name: getattr(said, name) and getattr(said, name) + off for name in times}
        return said._replace(**{**moved, "told_at": pipeline.now() + off})

    monkeypatch.setattr(client, "get", by_its_clock)
    assert_taken_over(pipeline, old, retry(pipeline, old))


def served_for_longer(pipeline: Pipeline) -> Job:
    """Expired by our clock, and the backend still has it."""
    pipeline.simulator.world.change({"retention_seconds": 600})
    job = pipeline.submit()
    pipeline.fault("video", status=503, times=-1)
    ended = pipeline.run(job)
    assert ended.status is Status.EXPIRED
    pipeline.drain()
    pipeline.simulator.faults.clear()
    made_for(pipeline, ended).expires_at += 3600
    return ended


def test_what_expired_by_our_clock_and_is_still_served_is_fetched(pipeline: Pipeline) -> None:
    old = served_for_longer(pipeline)
    assert_taken_over(pipeline, old, retry(pipeline, old))


def test_what_is_past_its_time_and_is_still_served_is_fetched(pipeline: Pipeline) -> None:
    old = served_for_longer(pipeline)
    said = pipeline.services.backends.client(old.backend).get(old.backend_job_id or "")
    assert old.expires_at is not None
    with pytest.MonkeyPatch.context() as patch:
        late = said._replace(expires_at=old.expires_at)
        patch.setattr(pipeline.services.backends.client(old.backend), "get", lambda _: late)
        assert_taken_over(pipeline, old, retry(pipeline, old))


@pytest.mark.parametrize("status", [401, 403, 404, 409, 429, 503])
def test_bytes_that_are_refused_before_their_time_is_over_are_waited_for(
    pipeline: Pipeline, status: int
) -> None:
    old = lost_and_back(pipeline)
    pipeline.fault("video", status=status, times=3)
    assert_taken_over(pipeline, old, retry(pipeline, old))


def test_what_came_damaged_is_fetched_anew_and_not_generated_anew(pipeline: Pipeline) -> None:
    pipeline.fault("video", garbage_bytes=5000, times=2)
    old = pipeline.run(pipeline.submit())
    assert old.error is not None
    assert old.error.code == "unverified_video"
    assert_taken_over(pipeline, old, retry(pipeline, old))


def test_the_retry_of_a_retry_takes_over_what_the_first_one_left(pipeline: Pipeline) -> None:
    old = lost_and_back(pipeline)
    pipeline.fault("get", status=503)
    second = retry(pipeline, old)
    assert second.status is Status.WAITING
    cancel_job(pipeline.services, OWNER, second.id)
    third = retry(pipeline, second)
    ended = pipeline.run(third)
    assert ended.status is Status.SUCCEEDED
    assert ended.backend_job_id == old.backend_job_id
    assert pipeline.backend_jobs() == 1


def test_two_jobs_never_hold_one_backend_job_though_both_are_tried_again(pipeline: Pipeline) -> None:
    old = lost_and_back(pipeline)
    new = pipeline.run(retry(pipeline, old))
    holders = [s.job.id for s in pipeline.jobs.everything() if s.job.backend_job_id == new.backend_job_id]
    assert set(holders) == {old.id, new.id}
    [claim] = pipeline.claims.claims.values()
    assert claim.job_id == new.id
    with pytest.raises(NotRetriable):
        retry(pipeline, new)
    assert retry(pipeline, old).id == new.id


# --- an outcome that was never known -------------------------------------------------------------


def test_what_the_list_shows_by_now_is_fetched(pipeline: Pipeline) -> None:
    old = unconfirmed(pipeline)
    new = retry(pipeline, old)
    assert new.backend_job_id == pipeline.simulator.world.everything()[0].id
    assert_taken_over(pipeline, old, new)


def test_what_the_list_still_does_not_show_is_generated(pipeline: Pipeline) -> None:
    old = unconfirmed(pipeline)
    pipeline.fault("list", replace_body=NOTHING_LISTED)
    assert pipeline.run(retry(pipeline, old)).status is Status.SUCCEEDED
    assert len(pipeline.calls("create")) == 2


def test_a_list_that_can_not_be_read_right_now_is_waited_for_and_nothing_is_paid(pipeline: Pipeline) -> None:
    old = unconfirmed(pipeline)
    pipeline.fault("list", status=503, times=3)
    new = retry(pipeline, old)
    assert new.status is Status.WAITING
    assert "list" in (new.reason or "")
    assert_taken_over(pipeline, old, new)


def test_a_guess_is_not_taken_over_where_an_image_was_sent(pipeline: Pipeline) -> None:
    old = unconfirmed(pipeline, input_image=picture(pipeline))
    new = pipeline.run(retry(pipeline, old))
    assert new.status is Status.SUCCEEDED
    assert new.backend_job_id != pipeline.simulator.world.everything()[0].id


def test_what_another_job_has_claimed_is_not_taken_over(pipeline: Pipeline) -> None:
    old = unconfirmed(pipeline)
    other = unconfirmed(pipeline)
    first, second = retry(pipeline, old), retry(pipeline, other)
    assert {first.backend_job_id, second.backend_job_id} == {
        made.id for made in pipeline.simulator.world.everything()
    }
    assert pipeline.backend_jobs() == 2
    assert [pipeline.run(job).status for job in (first, second)] == [Status.SUCCEEDED] * 2


# --- what can not be had any more ----------------------------------------------------------------


def test_what_the_backend_has_deleted_is_generated_anew(pipeline: Pipeline) -> None:
    pipeline.simulator.world.change({"retention_seconds": 600})
    pipeline.fault("video", status=503, times=-1)
    old = pipeline.run(pipeline.submit())
    assert old.status is Status.EXPIRED
    pipeline.simulator.faults.clear()
    pipeline.simulator.world.change({"retention_seconds": 86_400})
    new = retry(pipeline, old)
    assert new.backend_job_id != old.backend_job_id
    assert pipeline.run(new).status is Status.SUCCEEDED
    assert pipeline.backend_jobs() == 2


def test_what_the_backend_forgot_for_good_is_generated_anew(pipeline: Pipeline) -> None:
    old = lost_and_back(pipeline)
    pipeline.simulator.world.delete(made_for(pipeline, old))
    assert pipeline.run(retry(pipeline, old)).status is Status.SUCCEEDED
    assert pipeline.backend_jobs() == 2


def test_a_generation_that_failed_is_generated_anew(pipeline: Pipeline) -> None:
    old = failed(pipeline)
    new = retry(pipeline, old)
    assert new.backend_job_id not in (None, old.backend_job_id)
    assert pipeline.backend_jobs() == 2


@pytest.mark.parametrize(
    "effects", [{"status": 503}, {"status": 401}, {"status": 429}, {"drop": True}], ids=str
)
def test_while_the_backend_can_not_say_the_new_job_waits_and_nothing_is_paid(
    pipeline: Pipeline, effects: dict[str, Any]
) -> None:
    old = lost_and_back(pipeline)
    pipeline.fault("get", times=-1, **effects)
    new = retry(pipeline, old)
    began = pipeline.now()
    pipeline.run(new, lambda _: pipeline.now() - began > timedelta(minutes=10))
    seen = pipeline.job(new)
    assert seen.status is Status.WAITING
    assert seen.reason
    assert len(pipeline.calls("create")) == 1
    pipeline.simulator.faults.clear()
    assert_taken_over(pipeline, old, new)


# --- what waits for its download -----------------------------------------------------------------


def test_what_waits_for_its_download_is_downloaded_now(pipeline: Pipeline) -> None:
    pipeline.fault("video", status=403, times=6)
    job = pipeline.submit()
    pipeline.run(job, lambda seen: bool(seen.outputs) and seen.outputs[0].chain.attempts == 6)
    due = min(m.visible_at for m in pipeline.messages.queued if m.queue == FETCH_QUEUE)
    assert due - pipeline.now() > timedelta(minutes=1)
    before = pipeline.now()
    assert retry(pipeline, job).id == job.id
    assert pipeline.run(job).status is Status.SUCCEEDED
    assert pipeline.now() - before < timedelta(seconds=1)
    pipeline.drain()
    assert len(pipeline.calls("video")) == 7
    assert len(pipeline.jobs.everything()) == pipeline.backend_jobs() == 1


def test_ten_clicks_on_a_download_leave_one_chain(pipeline: Pipeline) -> None:
    pipeline.fault("video", status=403, times=5)
    job = pipeline.run_until(pipeline.submit(), Status.PENDING_DOWNLOAD)
    for _ in range(10):
        retry(pipeline, job)
    assert pipeline.run(job).status is Status.SUCCEEDED
    pipeline.drain()
    assert len(pipeline.calls("video")) == 6


def test_what_has_its_video_meanwhile_is_not_tried_again(pipeline: Pipeline) -> None:
    pipeline.fault("video", status=403)
    job = pipeline.run_until(pipeline.submit(), Status.PENDING_DOWNLOAD)
    retry(pipeline, job)
    pipeline.run(job)
    with pytest.raises(NotRetriable):
        retry(pipeline, job)
