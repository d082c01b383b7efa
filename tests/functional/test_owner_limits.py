"""How many jobs an owner may have: never more, nothing left behind, and every place is given back."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from job_api.act import cancel_job, delete_job
from job_api.retry import retry_job
from local.azurite_process import Azurite
from sweep_jobs.sweep import sweep_jobs
from tests.functional.storage_adapters import a_job, a_name, on_azurite
from tests.pipeline import OWNER, Pipeline
from tests.steps import made_elsewhere, picture, take_up
from video_jobs.domain.errors import StorageUnavailable, TooManyJobs
from video_jobs.domain.job import Job, Status
from video_jobs.domain.quota import OwnerLimits
from video_jobs.lifecycle.accept import accept
from video_jobs.lifecycle.idempotency import key_of
from video_jobs.ports import IdempotencyEntry, StoredJob

MANY = 100


def limited(pipeline: Pipeline, **limits: int) -> Pipeline:
    now = pipeline.now()
    midday = now.replace(hour=12, minute=0) + timedelta(days=now.hour >= 12)
    pipeline.advance((midday - now).total_seconds())  # no midnight comes in between
    pipeline.services = pipeline.services._replace(owner_limits=OwnerLimits(**limits))
    return pipeline


def alive(pipeline: Pipeline, owner: str = OWNER) -> tuple[str, ...]:
    return pipeline.jobs.quota(owner).quota.alive


def refused(act: Callable[[], Any]) -> int:
    """Gives the seconds after which to come again."""
    with pytest.raises(TooManyJobs) as error:
        act()
    assert error.value.retry_after is not None
    return error.value.retry_after


def all_that_is_stored(pipeline: Pipeline) -> Any:
    return (
        {stored.job.id for stored in pipeline.jobs.everything()},
        set(pipeline.live_jobs.keys),
        set(pipeline.blobs.inputs),
        len(pipeline.messages.queued),
        pipeline.jobs.quota(OWNER),
    )


# --- never more ----------------------------------------------------------------------------------


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("where", "limits"),
    [
        ("memory", {"at_once": 5}),
        ("memory", {"per_day": 5}),
        ("azurite", {"at_once": 5, "per_day": 7}),
    ],
)
def test_of_a_hundred_submits_at_once_as_many_are_accepted_as_the_limit_says(
    request: pytest.FixtureRequest, sora: Pipeline, where: str, limits: dict[str, int]
) -> None:
    if where == "azurite":
        azurite: Azurite = request.getfixturevalue("azurite")
        real = on_azurite(azurite)
        sora.services = sora.services._replace(jobs=real.jobs, live_jobs=real.live_jobs)
    services, owner, backend = limited(sora, **limits).services, a_name("owner"), a_name("backend")
    barrier = threading.Barrier(MANY)

    def submit(number: int) -> str:
        job = a_job(owner, backend, created_at=services.clock())
        barrier.wait()
        try:
            accept(services, job, IdempotencyEntry(owner, f"key-{number}", "request", job.id))
        except TooManyJobs:
            return "refused"
        return "accepted"

    with ThreadPoolExecutor(MANY) as pool:
        assert Counter(pool.map(submit, range(MANY))) == {"accepted": 5, "refused": MANY - 5}
    stored = services.jobs.page(owner, limit=MANY, after=None, statuses=frozenset()).jobs
    assert len(stored) == services.jobs.quota(owner).quota.accepted == 5
    assert {live.job_id for live in services.live_jobs.all() if live.owner == owner} == {j.id for j in stored}


def test_other_owners_have_places_of_their_own(pipeline: Pipeline) -> None:
    limited(pipeline, at_once=1, per_day=1)
    pipeline.submit()
    assert refused(pipeline.submit)
    assert pipeline.submit(owner="somebody-else")


def test_what_is_refused_leaves_nothing_behind(pipeline: Pipeline) -> None:
    limited(pipeline, at_once=1)
    pipeline.submit()
    before = all_that_is_stored(pipeline)
    assert refused(lambda: pipeline.submit(key="k", input_image=picture(pipeline)))
    assert all_that_is_stored(pipeline) == before
    assert len(pipeline.calls("create")) == 1


def test_who_loses_the_last_place_while_it_is_stored_leaves_nothing_behind(pipeline: Pipeline) -> None:
    """The quota had a place left when it was read."""
    limited(pipeline, at_once=1)
    add, winner = pipeline.live_jobs.add, list[Job]()
    before: Any = None

    def add_after_another(live: Any) -> None:
        nonlocal before
        if not winner:
            winner.append(a_job(OWNER))
            pipeline.live_jobs.add = add  # type: ignore[method-assign]
            winner.append(pipeline.submit())
            before = all_that_is_stored(pipeline)
        add(live)

    pipeline.live_jobs.add = add_after_another  # type: ignore[method-assign]
    assert refused(lambda: pipeline.submit(key="k", input_image=picture(pipeline)))
    assert all_that_is_stored(pipeline) == before


# --- what counts ---------------------------------------------------------------------------------


def test_the_same_key_again_counts_once_and_is_answered_though_no_place_is_left(pipeline: Pipeline) -> None:
    limited(pipeline, at_once=1, per_day=1)
    job = pipeline.submit(key="mine")
    assert pipeline.submit(key="mine").id == job.id
    assert refused(lambda: pipeline.submit(key="another"))
    pipeline.run(job)
    assert pipeline.submit(key="mine").id == job.id


def test_of_one_key_sent_many_times_at_once_all_get_the_job_that_took_the_last_place(sora: Pipeline) -> None:
    services = limited(sora, at_once=1, per_day=1).services
    entry_key, barrier = key_of("mine"), threading.Barrier(20)

    def submit(_: int) -> str:
        job = a_job(OWNER, created_at=sora.now())
        barrier.wait()
        accepted = accept(services, job, IdempotencyEntry(OWNER, entry_key, "request", job.id))
        return accepted.job.id if isinstance(accepted, StoredJob) else accepted.job_id

    with ThreadPoolExecutor(20) as pool:
        assert len(set(pool.map(submit, range(20)))) == 1
    assert sora.jobs.quota(OWNER).quota.accepted == 1


def test_a_retry_and_an_import_count_like_a_submit(pipeline: Pipeline) -> None:
    limited(pipeline, at_once=1)
    failed = pipeline.run(pipeline.submit(prompt="a paper boat, internal-failure"))
    made = made_elsewhere(pipeline)
    again = retry_job(pipeline.services, OWNER, failed.id)
    assert refused(lambda: take_up(pipeline, backend_job_id=made.id))
    assert retry_job(pipeline.services, OWNER, failed.id).id == again.id
    pipeline.run(again)
    imported = take_up(pipeline, backend_job_id=made.id)
    assert alive(pipeline) == (imported.id,)
    assert refused(lambda: retry_job(pipeline.services, OWNER, again.id))
    pipeline.run(imported)
    assert alive(pipeline) == ()
    assert pipeline.jobs.quota(OWNER).quota.accepted == 3


def test_a_day_is_over_at_midnight_and_not_before(pipeline: Pipeline) -> None:
    limited(pipeline, per_day=1)
    pipeline.run(pipeline.submit())
    pipeline.advance(refused(pipeline.submit))
    assert pipeline.now().hour == 0
    pipeline.submit()
    assert refused(pipeline.submit) > 23 * 3600


def test_who_has_too_many_alive_is_told_when_the_oldest_is_likely_to_end(pipeline: Pipeline) -> None:
    limited(pipeline, at_once=1)
    stored = pipeline.jobs.get(OWNER, pipeline.submit().id)
    for seconds, told in [(75, 76), (-10, 5), (86_400, 600)]:
        expected = replace(stored.job, expected_at=pipeline.now() + timedelta(seconds=seconds))
        stored = pipeline.jobs.save(stored, expected)
        assert abs(refused(pipeline.submit) - told) <= 1


def test_nothing_is_read_or_written_while_no_limit_is_set(pipeline: Pipeline) -> None:
    job = pipeline.run(pipeline.submit())
    assert (job.counts_toward_quota, pipeline.jobs.quota(OWNER).etag) == (False, None)


# --- every place is given back -------------------------------------------------------------------


@pytest.mark.parametrize("prompt", ["a paper boat", "a paper boat, internal-failure"])
def test_a_job_that_has_ended_gives_its_place_back(pipeline: Pipeline, prompt: str) -> None:
    limited(pipeline, at_once=1)
    job = pipeline.submit(prompt=prompt)
    assert alive(pipeline) == (job.id,)
    pipeline.run(job)
    assert alive(pipeline) == ()


def test_a_job_that_the_backend_refuses_at_once_gives_its_place_back(pipeline: Pipeline) -> None:
    limited(pipeline, at_once=1)
    pipeline.fault("create", status=400)
    assert pipeline.submit().status is Status.FAILED
    assert alive(pipeline) == ()


def test_a_job_that_waits_and_is_cancelled_gives_its_place_back_at_once(pipeline: Pipeline) -> None:
    limited(pipeline, at_once=1)
    pipeline.fault("create", status=429, headers={"retry-after": "600"})
    job = pipeline.submit()
    cancel_job(pipeline.services, OWNER, job.id)
    assert alive(pipeline) == ()


def test_a_job_that_is_deleted_gives_its_place_back_when_nothing_of_it_runs_and_before_its_rows_go(
    pipeline: Pipeline,
) -> None:
    limited(pipeline, at_once=1)
    job = pipeline.submit()
    pipeline.fault("delete", status=500)
    delete_job(pipeline.services, OWNER, job.id)
    pipeline.deliver(pipeline.take_next())
    assert alive(pipeline) == (job.id,)  # it still runs
    while alive(pipeline):
        pipeline.deliver(pipeline.take_next())
    assert pipeline.job(job).deleted_at is not None
    pipeline.drain()
    assert pipeline.jobs.everything() == []
    assert pipeline.submit()


def test_a_limit_that_is_lifted_or_lowered_loses_no_place(pipeline: Pipeline) -> None:
    limited(pipeline, at_once=2)
    jobs = [pipeline.submit(), pipeline.submit()]
    unlimited, pipeline.services = pipeline.services, pipeline.services._replace(owner_limits=OwnerLimits())
    uncounted = pipeline.submit()
    pipeline.services = unlimited._replace(owner_limits=OwnerLimits(at_once=1))
    assert refused(pipeline.submit)
    for job in (*jobs, uncounted):
        pipeline.run(job)
    assert alive(pipeline) == ()
    assert pipeline.submit()


def test_a_place_that_a_crash_kept_is_given_back_by_the_sweeper(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(pipeline, at_once=1)
    job = pipeline.submit()

    def broken(*_: Any) -> None:
        raise StorageUnavailable("not now")

    with monkeypatch.context() as patch:
        patch.setattr(pipeline.jobs, "save_quota", broken)
        with pytest.raises(StorageUnavailable):
            pipeline.run(job, until=lambda _: False)
    assert alive(pipeline) == (job.id,)
    sweep_jobs(pipeline.services)
    assert alive(pipeline) == ()
    assert not pipeline.live_jobs.keys


def test_a_place_whose_job_was_deleted_by_hand_is_given_back_to_who_needs_it(pipeline: Pipeline) -> None:
    limited(pipeline, at_once=2)
    lost = [pipeline.submit(), pipeline.submit()]
    for job in lost:
        pipeline.jobs.delete(pipeline.jobs.get(OWNER, job.id))
    pipeline.advance(timedelta(seconds=1).total_seconds())
    fresh = [pipeline.submit(), pipeline.submit()]
    assert sorted(alive(pipeline)) == sorted(job.id for job in fresh)
    assert refused(pipeline.submit)
