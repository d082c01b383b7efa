"""A client that follows a job: ETags, answers that wait for a change, and when to ask again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

import pytest

from http_edge.answers import SeenJob, see_job
from job_api import wait
from job_api.act import cancel_job, delete_job
from job_api.wait import follow_job, read_wait
from tests.pipeline import AT_ONCE, OWNER, Pipeline
from video_jobs.domain.errors import InvalidRequest, JobNotFound, StorageUnavailable
from video_jobs.domain.job import Job, Status
from video_jobs.storage.memory import MemoryBlobs
from video_jobs.storage.signing import WINDOW


def follow(pipeline: Pipeline, job: Job, **arguments: Any) -> tuple[SeenJob, bool]:
    whole = {"named": None, "seconds": 0} | arguments
    return asyncio.run(follow_job(pipeline.services, OWNER, job.id, **whole))


def follow_while(
    pipeline: Pipeline, job: Job, happening: Callable[[], Any], **arguments: Any
) -> tuple[SeenJob, bool]:
    """Wait for the job, and when the wait has begun let something happen."""

    async def both() -> tuple[SeenJob, bool]:
        before = looks(pipeline)
        whole = {"named": None, "seconds": 25} | arguments
        waiting = asyncio.create_task(follow_job(pipeline.services, OWNER, job.id, **whole))
        while looks(pipeline) < before + 3:
            assert not waiting.done()
            await asyncio.sleep(0.005)
        await asyncio.to_thread(happening)
        return await waiting

    pipeline.services = pipeline.services._replace(jobs=Counted(pipeline.jobs))
    return asyncio.run(both())


class Counted:
    """The store of jobs, and how often it was read."""

    def __init__(self, jobs: Any) -> None:
        self._jobs = jobs
        self.reads = 0

    def __getattr__(self, name: str) -> Any:
        if name == "get":
            self.reads += 1
        return getattr(self._jobs, name)


def looks(pipeline: Pipeline) -> int:
    jobs = pipeline.services.jobs
    return jobs.reads if isinstance(jobs, Counted) else 0


# --- ETag ----------------------------------------------------------------------------------------


def test_the_tag_is_the_same_while_the_answer_is_and_another_when_it_is_not(sora: Pipeline) -> None:
    job = sora.submit()
    first, known = follow(sora, job)
    assert not known
    assert follow(sora, job, named=first.etag)[1]
    assert follow(sora, job, named=f'"other", W/{first.etag}')[1]
    assert follow(sora, job, named="*")[1]
    assert not follow(sora, job, named='"other"')[1]
    sora.run_until(job, Status.SUCCEEDED)
    second, known = follow(sora, job, named=first.etag)
    assert not known
    assert second.etag != first.etag


def test_every_field_of_the_answer_counts(sora: Pipeline) -> None:
    job = sora.run(sora.submit())
    seen = see_job(sora.services, job)
    for field, value in seen.body.items():
        other = replace(seen, body={**seen.body, field: [value] if field != "videos" else []})  # type: ignore[typeddict-item]
        assert other.etag != seen.etag, field


def test_the_tag_changes_when_the_urls_are_renewed_and_not_with_the_key_that_signs(sora: Pipeline) -> None:
    job = sora.run(sora.submit())
    now = sora.now()

    def tag(at: datetime, signature: str) -> str:
        blobs = Signed(lambda: at, signature)
        blobs.videos = sora.blobs.videos
        return see_job(sora.services._replace(blobs=blobs), job).etag

    class Signed(MemoryBlobs):
        def __init__(self, clock: Callable[[], datetime], signature: str) -> None:
            super().__init__(clock)
            self._signature = signature

        def sign_video(self, place: Any) -> Any:
            signed = super().sign_video(place)
            return signed._replace(url=f"{signed.url}?sv=1&{self._signature}")

        def sign_thumbnail(self, place: Any, ending: str) -> Any:
            signed = super().sign_thumbnail(place, ending)
            return signed._replace(url=f"{signed.url}?sv=1&{self._signature}")

    assert tag(now, "one") == tag(now, "two")
    assert tag(now, "one") != tag(now + WINDOW, "one")


# --- wait ----------------------------------------------------------------------------------------


def test_a_wait_ends_when_the_job_changes(sora: Pipeline) -> None:
    job = sora.submit()
    happening = partial(cancel_job, sora.services, OWNER, job.id)
    seen, known = follow_while(sora, job, happening)
    assert not known
    assert seen.body["cancel_requested_at"] is not None


def test_a_wait_is_relative_to_what_the_client_has(sora: Pipeline) -> None:
    job = sora.submit()
    etag = follow(sora, job)[0].etag
    seen, known = follow(sora, job, named='"older"', seconds=25)
    assert (seen.etag, known) == (etag, False), "it has changed since then"
    for named in (etag, "*"):
        seen, known = follow(sora, job, named=named, seconds=1)
        assert (seen.etag, known) == (etag, True), "nothing happened"
        assert seen.retry_after is not None
    seen, known = follow_while(sora, job, partial(cancel_job, sora.services, OWNER, job.id), named="*")
    assert not known


def test_what_has_ended_is_not_waited_for(sora: Pipeline) -> None:
    job = sora.run(sora.submit())
    seen, known = follow(sora, job, seconds=25)
    assert (seen.body["status"], seen.retry_after, known) == ("succeeded", None, False)
    assert follow(sora, job, seconds=25, named=seen.etag) == (seen, True)


def test_a_job_that_is_deleted_while_somebody_waits_is_not_found(sora: Pipeline) -> None:
    job = sora.submit()
    with pytest.raises(JobNotFound):
        follow_while(sora, job, partial(delete_job, sora.services, OWNER, job.id))


def test_a_place_in_line_that_changes_ends_the_wait(sora: Pipeline) -> None:
    sora.simulator.world.change({"running_limit": 1})
    pipeline = Pipeline(sora.simulator, "azure-sora", VIDEO_RUNNING_LIMIT="1")
    try:
        jobs = []
        for _ in range(3):
            jobs.append(pipeline.submit())
            pipeline.advance(0.01)  # those of one millisecond are in no order
        first, second, third = jobs
        seen = follow(pipeline, third)[0]
        assert (seen.body["status"], seen.body["queue_position"]) == ("waiting", 2)
        assert seen.retry_after == 6
        happening = partial(cancel_job, pipeline.services, OWNER, second.id)
        seen, known = follow_while(pipeline, third, happening, named=seen.etag)
        assert (seen.body["queue_position"], known) == (1, False)
        assert first.status is Status.QUEUED
    finally:
        sora.simulator.world.change({"running_limit": 2})


def test_who_comes_when_too_many_wait_is_answered_at_once(
    sora: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = sora.submit()
    waiters = places_for(2)
    monkeypatch.setattr(wait, "_waiters", waiters)

    async def three() -> list[bool]:
        waiting = [
            asyncio.create_task(follow_job(sora.services, OWNER, job.id, named=None, seconds=25))
            for _ in range(2)
        ]
        while waiters.acquire(blocking=False):
            waiters.release()
            await asyncio.sleep(0.005)
        seen, _ = await follow_job(sora.services, OWNER, job.id, named=None, seconds=25)
        assert seen.body["status"] == "queued"
        assert not any(task.done() for task in waiting)
        await asyncio.to_thread(cancel_job, sora.services, OWNER, job.id)
        await asyncio.gather(*waiting)
        return [waiters.acquire(blocking=False) for _ in range(3)]

    assert asyncio.run(three()) == [True, True, False], "the waiters are free again"


def test_who_goes_away_or_gets_an_error_while_waiting_leaves_the_place(
    sora: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiters = places_for(2)
    monkeypatch.setattr(wait, "_waiters", waiters)
    job = sora.submit()

    async def two() -> None:
        gone, refused = (
            asyncio.create_task(follow_job(sora.services, OWNER, job.id, named=None, seconds=25))
            for _ in range(2)
        )
        while waiters.acquire(blocking=False):
            waiters.release()
            await asyncio.sleep(0.005)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        monkeypatch.setattr(sora.jobs, "get", unreadable)
        with pytest.raises(StorageUnavailable):
            await refused

    def unreadable(*_: Any) -> Any:
        raise StorageUnavailable("not now")

    asyncio.run(two())
    assert [waiters.acquire(blocking=False) for _ in range(3)] == [True, True, False]


def places_for(count: int) -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(count)


def test_a_hundred_waiters_hold_no_thread(sora: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait, "_waiters", places_for(100))
    sora.services = sora.services._replace(timings=AT_ONCE._replace(between_reads=0.1))
    job = sora.submit()

    async def many() -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        waiting = [
            asyncio.create_task(follow_job(sora.services, OWNER, job.id, named=None, seconds=25))
            for _ in range(100)
        ]
        await asyncio.sleep(0)
        # With a single thread, this poll would never come if a wait held one.
        await follow_job(sora.services, OWNER, job.id, named=None, seconds=0)
        await asyncio.to_thread(cancel_job, sora.services, OWNER, job.id)
        answers = await asyncio.gather(*waiting)
        assert all(seen.body["cancel_requested_at"] for seen, _ in answers)

    asyncio.run(many())


@pytest.mark.parametrize("text", ["-1", "26", "1.5", "soon", "1e1", "025", "٣", " 5", "9" * 1000])
def test_a_wait_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="whole number of seconds from 0 to 25"):
        read_wait(text)


@pytest.mark.parametrize(("text", "seconds"), [("", 0), ("0", 0), ("7", 7), ("25", 25)])
def test_a_wait_is_a_number_of_seconds(text: str, seconds: int) -> None:
    assert read_wait(text) == seconds
