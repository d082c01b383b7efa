"""How long jobs take is learned from those that were generated, and told of the next one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from job_api.options import list_options
from sweep_jobs.sweep import sweep_jobs
from tests.pipeline import OWNER, Pipeline
from tests.unit.jobs import LATER, NOW, a_job_in, a_poll
from video_jobs.domain.backend_job import BackendState
from video_jobs.domain.errors import Conflict, StorageUnavailable
from video_jobs.domain.estimate import FEWEST, Estimate
from video_jobs.domain.job import Job, Status
from video_jobs.domain.job_parts import Polls, Submission
from video_jobs.lifecycle.learning import duration_of, kind_of

RUN_SECONDS = 60


@pytest.fixture(autouse=True)
def a_minute(simulator: Any) -> None:
    simulator.world.change({"queue_seconds": 0, "run_seconds": RUN_SECONDS})


def known(pipeline: Pipeline, job: Job) -> Estimate:
    return pipeline.estimates.get(kind_of(job)).estimate


def taught(pipeline: Pipeline, jobs: int = FEWEST) -> Job:
    """The last of so many jobs that were generated one after another."""
    for _ in range(jobs):
        job = pipeline.run(pipeline.submit())
        pipeline.drain()
    return job


def broken(*args: Any, **kwargs: Any) -> Any:
    raise StorageUnavailable("The storage is away.")


def test_each_job_teaches_how_long_the_video_api_took_by_its_own_clock(pipeline: Pipeline) -> None:
    job = taught(pipeline, 2)
    assert known(pipeline, job).jobs == 2
    assert all(abs(duration - RUN_SECONDS) <= 1 for duration in known(pipeline, job).durations)


def test_where_the_video_api_tells_no_times_the_middle_between_two_polls_counts(videos: Pipeline) -> None:
    job = videos.submit()
    client = videos.services.backends.client(job.backend)
    real = client.get

    def timeless(backend_job_id: str) -> Any:
        return real(backend_job_id)._replace(created_at=None, finished_at=None)

    client.get = timeless  # type: ignore[method-assign]
    videos.run_until(job, Status.FETCHING)
    [duration] = known(videos, job).durations
    assert abs(duration - RUN_SECONDS) < 10


@pytest.mark.parametrize("trouble", ["polls fail", "the app stands still"])
def test_what_nobody_could_see_does_not_count_as_work(pipeline: Pipeline, trouble: str) -> None:
    job = pipeline.run_until(pipeline.submit(), Status.RUNNING)
    if trouble == "polls fail":
        pipeline.fault("get", status=500, times=1000)
        pipeline.run(job, lambda _: pipeline.now() > job.created_at + timedelta(minutes=10))
        pipeline.simulator.faults.clear()
    else:
        pipeline.messages.queued.clear()
        pipeline.advance(600)
        sweep_jobs(pipeline.services)
    pipeline.run_until(job, Status.FETCHING)
    [duration] = known(pipeline, job).durations
    assert abs(duration - RUN_SECONDS) <= 1


def test_a_job_that_fails_teaches_nothing(pipeline: Pipeline) -> None:
    job = pipeline.run(pipeline.submit(prompt="blocked-output"))
    assert job.status is Status.FAILED
    assert known(pipeline, job).jobs == 0


def test_a_job_teaches_once_however_often_its_messages_come(pipeline: Pipeline) -> None:
    job = pipeline.submit()
    while pipeline.job(job).status is not Status.FETCHING:
        message = pipeline.take_next()
        pipeline.deliver(message)
    pipeline.deliver(message)
    pipeline.run(job)
    pipeline.drain()
    assert known(pipeline, job).jobs == 1


def test_the_next_job_is_expected_when_the_ones_before_it_had_ended(sora: Pipeline) -> None:
    assert taught(sora).expected_at is None
    job = sora.submit()
    assert job.progress == 0
    assert job.submission.submitted_at is not None
    assert job.expected_at is not None
    assert abs((job.expected_at - job.submission.submitted_at).total_seconds() - RUN_SECONDS) <= 1
    last_polled_at = sora.run(job, lambda seen: (seen.progress or 0) > 0)
    assert last_polled_at.status in (Status.QUEUED, Status.RUNNING)
    assert (last_polled_at.progress or 0) < 95


def test_jobs_of_another_kind_learn_nothing_from_it(sora: Pipeline) -> None:
    taught(sora)
    assert sora.submit(seconds=2).expected_at is None
    assert sora.submit(size="854x480").expected_at is None


def test_a_job_that_waits_is_not_expected_yet(sora: Pipeline) -> None:
    taught(sora)
    jobs = [sora.submit() for _ in range(3)]
    assert jobs[2].status is Status.WAITING
    assert jobs[2].expected_at is None


def test_a_job_that_is_foreseen_takes_half_the_polls_of_the_first_of_its_kind(sora: Pipeline) -> None:
    taught(sora, 1)
    first = len(sora.calls("get"))
    taught(sora, 9)
    before = len(sora.calls("get"))
    sora.run(sora.submit())
    assert len(sora.calls("get")) - before <= first / 2


def test_options_tell_how_long_jobs_take(pipeline: Pipeline) -> None:
    assert list_options(pipeline.services, OWNER)[0]["estimates"] == []
    job = taught(pipeline)
    [estimate] = list_options(pipeline.services, OWNER)[0]["estimates"]
    assert (estimate["size"], estimate["seconds"]) == (job.request.size, job.request.seconds)
    assert estimate["jobs"] == FEWEST
    assert abs(estimate["typical_seconds"] - RUN_SECONDS) <= 1
    assert estimate["late_seconds"] >= estimate["typical_seconds"]


def test_options_tell_nothing_of_a_model_that_the_backend_has_no_more(sora: Pipeline) -> None:
    kind = kind_of(taught(sora))._replace(model="sora-1")
    stored = sora.estimates.get(kind)
    sora.estimates.save(stored, Estimate(kind, (1.0, 2.0, 3.0), 3))
    assert [estimate["jobs"] for estimate in list_options(sora.services, OWNER)[0]["estimates"]] == [FEWEST]


@pytest.mark.parametrize("call", ["get", "save"])
def test_a_job_goes_its_way_though_nothing_can_be_learned(
    sora: Pipeline, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sora.estimates, call, broken)
    job = sora.run(sora.submit())
    assert job.status is Status.SUCCEEDED
    sora.drain()


def test_who_loses_the_race_for_an_estimate_every_time_gives_up(
    sora: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def lost(*args: Any) -> Any:
        tries.append(args)
        raise Conflict("somebody else was faster")

    monkeypatch.setattr(sora.estimates, "save", lost)
    assert sora.run(sora.submit()).status is Status.SUCCEEDED
    assert len(tries) == 3


RUNNING = a_job_in(Status.RUNNING, polls=Polls(last_polled_at=NOW + timedelta(seconds=40)))
DONE = a_poll(BackendState.SUCCEEDED)


def test_what_nobody_watched_teaches_nothing_where_the_video_api_tells_no_times() -> None:
    assert duration_of(RUNNING, DONE, NOW + timedelta(seconds=50)) == 45
    assert duration_of(RUNNING, DONE, NOW + timedelta(hours=1)) is None


@pytest.mark.parametrize(("told", "believed"), [(5, 40), (44, 44), (3600, 60)])
def test_a_clock_is_believed_within_what_two_polls_have_seen(told: int, believed: int) -> None:
    seen = DONE._replace(created_at=NOW, finished_at=NOW + timedelta(seconds=told))
    assert duration_of(RUNNING, seen, LATER) == believed


def test_what_was_adopted_after_its_end_teaches_nothing_where_the_video_api_tells_no_times() -> None:
    at = NOW + timedelta(minutes=4)
    adopted = replace(
        RUNNING, submission=Submission("attempt-0", NOW, submitted_at=at), updated_at=at, polls=Polls()
    )
    assert duration_of(adopted, DONE, at + timedelta(seconds=3)) is None


def test_what_was_made_elsewhere_teaches_nothing() -> None:
    seen = DONE._replace(created_at=NOW, finished_at=LATER)
    assert (
        duration_of(replace(RUNNING, submission=Submission(submitted_at=NOW), adopts="task_01"), seen, LATER)
        is None
    )
