"""What tests of several chapters do alike: bring a job somewhere, ask for something, see what is left."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from PIL import Image

from job_api.act import cancel_job, delete_job
from job_api.import_job import import_job, read_import
from job_api.retry import retry_job
from local.simulator.job import Job as MadeJob
from local.simulator.server import Simulator
from tests.pipeline import OWNER, SMALL, Pipeline
from tests.timeline import render_ahead
from video_jobs.domain.job import Job, Status
from video_jobs.domain.queue_messages import FETCH_QUEUE
from video_jobs.storage.memory import MemoryBlob, QueuedMessage

NOTHING_LISTED = {"object": "list", "data": [], "has_more": False}
MANY = 6
T = TypeVar("T")


def fetching(pipeline: Pipeline, **changes: object) -> Job:
    """A job whose videos are generated and not yet fetched."""
    return pipeline.run_until(pipeline.submit(**changes), Status.FETCHING)


def video_blobs(pipeline: Pipeline) -> dict[str, MemoryBlob]:
    return {name: blob for name, blob in pipeline.blobs.videos.items() if name.endswith(".mp4")}


def cancel(pipeline: Pipeline, job: Job) -> Job:
    return cancel_job(pipeline.services, job.owner, job.id)


def meanwhile(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, call: str, happens: Callable[[], object]
) -> None:
    """Let something happen while the next such call to the video API is in flight."""
    client = pipeline.services.backends.client(pipeline.services.backends.choose(None)[0])
    real = getattr(client, call)
    waiting = [happens]

    def calling(*arguments: Any) -> Any:
        if waiting:
            waiting.pop()()
        return real(*arguments)

    monkeypatch.setattr(client, call, calling)


def finish_generating(pipeline: Pipeline) -> None:
    """The video API ends its work on everything, and nobody has looked yet."""
    for made in pipeline.simulator.world.everything():
        for output in made.outputs:
            output.rendering.result()
    pipeline.advance(60)


def only_job(pipeline: Pipeline) -> Job:
    [job] = pipeline.jobs.page(OWNER, limit=2, after=None, statuses=frozenset()).jobs
    return job


def slots(pipeline: Pipeline) -> list[str]:
    return [slot.job_id for gate in pipeline.gates.all() for slot in gate.slots]


def assert_cancelled_for_good(pipeline: Pipeline, job: Job) -> None:
    """The backend has stopped, nothing is left of the job but its row, and no message changes that."""
    ended = pipeline.job(job)
    assert (ended.status, ended.error) == (Status.CANCELLED, None)
    assert ended.finished_at is not None
    assert all(made.deleted_at is not None for made in pipeline.simulator.world.everything())
    pipeline.drain()
    assert pipeline.job(job) == ended
    assert not pipeline.live_jobs.keys
    assert slots(pipeline) == []
    assert not pipeline.blobs.videos


def succeeded(pipeline: Pipeline) -> Job:
    return pipeline.run(pipeline.submit())


def failed(pipeline: Pipeline) -> Job:
    return pipeline.run(pipeline.submit(prompt="a boat, internal-failure"))


def expired(pipeline: Pipeline) -> Job:
    pipeline.simulator.world.change({"run_seconds": 10**6, "retention_seconds": 600})
    return pipeline.run(pipeline.submit())


def retry(pipeline: Pipeline, job: Job) -> Job:
    return retry_job(pipeline.services, job.owner, job.id)


def unconfirmed(pipeline: Pipeline, **changes: Any) -> Job:
    """Its paid call was carried out and not answered, and the list did not show it in time."""
    pipeline.fault("create", lost_answer=True)
    pipeline.fault("list", replace_body=NOTHING_LISTED, times=-1)
    job = pipeline.run(pipeline.submit(**changes))
    assert job.error is not None
    assert job.error.code == "submission_unconfirmed"
    pipeline.drain()
    pipeline.simulator.faults.clear()
    return job


def delete(pipeline: Pipeline, job: Job) -> Job:
    return delete_job(pipeline.services, job.owner, job.id)


def assert_nothing_is_left(pipeline: Pipeline) -> None:
    """After all messages: no row, no blob, no claim, no slot, and nothing at the backend that it still keeps."""
    pipeline.drain()
    assert pipeline.jobs.everything() == []
    assert not pipeline.blobs.videos
    assert not pipeline.blobs.inputs
    assert not pipeline.claims.claims
    assert not pipeline.live_jobs.keys
    assert slots(pipeline) == []
    world = pipeline.simulator.world
    assert [made.id for made in world.everything() if world.keeps(made) and not world.expired(made)] == []


def picture(pipeline: Pipeline) -> str:
    """A data URL of the size that the fastest video has."""
    width, height = map(int, SMALL[pipeline.dialect]["size"].split("x"))
    content = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(content, "PNG")
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()


def waiting(pipeline: Pipeline) -> Job:
    pipeline.fault("create", status=429)
    return pipeline.submit()


def refused(pipeline: Pipeline) -> Job:
    pipeline.fault("create", status=400)
    return pipeline.submit()


def cancelled(pipeline: Pipeline) -> Job:
    return cancel_job(pipeline.services, OWNER, waiting(pipeline).id)


def lost_and_back(pipeline: Pipeline, **changes: Any) -> Job:
    """Given up because the backend had forgotten it; and now the backend knows it again, with its video."""
    job = pipeline.submit(**changes)
    [made] = pipeline.simulator.world.everything()
    pipeline.simulator.world.delete(made)
    lost = pipeline.run(job)
    assert lost.error is not None
    assert lost.error.code == "backend_lost_job"
    pipeline.drain()
    made.deleted_at = None
    return lost


def with_limits(simulator: Simulator, dialect: str, *, running: int | None, **environment: str) -> Pipeline:
    render_ahead(simulator, dialect)
    simulator.world.change({"running_limit": running, "videos_running_limit": running})
    return Pipeline(simulator, dialect, VIDEO_RUNNING_LIMIT=str(running or 0), **environment)


def submit(pipeline: Pipeline, count: int, **changes: Any) -> list[Job]:
    """So many jobs, a second apart."""
    jobs = []
    for _ in range(count):
        jobs.append(pipeline.submit(**changes))
        pipeline.advance(1)
    return jobs


def go_on(pipeline: Pipeline, seconds: float) -> None:
    """Deliver whatever is due within so many seconds."""
    end = pipeline.now() + timedelta(seconds=seconds)
    while any(message.visible_at <= end for message in pipeline.messages.queued):
        pipeline.deliver(pipeline.take_next())
    pipeline.advance(max((end - pipeline.now()).total_seconds(), 0.0))


def statuses(pipeline: Pipeline, jobs: Iterable[Job]) -> list[Status]:
    return [pipeline.job(job).status for job in jobs]


def made_elsewhere(pipeline: Pipeline, **changes: Any) -> MadeJob:
    """A job that somebody made at the video API's own api."""
    backend, limits = pipeline.services.backends.choose(None)
    asked = {**SMALL[pipeline.dialect], **changes}
    request = limits.complete(asked["prompt"], asked["size"], asked["seconds"], asked.get("variants"), None)
    made = pipeline.services.backends.client(backend).create(request, {}, 30)
    return next(job for job in pipeline.simulator.world.everything() if job.id == made.id)


def take_up(pipeline: Pipeline, *, owner: str = OWNER, **body: Any) -> Job:
    return import_job(pipeline.services, owner, read_import(json.dumps(body).encode()))


def assert_kept_once(pipeline: Pipeline, job: Job) -> None:
    """After all messages: succeeded, every blob whole, one backend job, and nothing left over."""
    pipeline.drain()
    ended = pipeline.job(job)
    assert ended.status is Status.SUCCEEDED, ended.error
    assert ended.outputs
    made = {o.id: o for entry in pipeline.simulator.world.everything() for o in entry.outputs}
    for output in ended.outputs:
        assert output.stored is not None
        blob = pipeline.blobs.videos[f"{OWNER}/{job.id}/{output.index}.mp4"]
        assert blob.content == made[output.generation_id].rendering.result().mp4
        assert blob.metadata["sha256"] == output.stored.sha256
    assert len(pipeline.calls("create")) == pipeline.backend_jobs() == 1
    assert not pipeline.live_jobs.keys
    assert slots(pipeline) == []


def first_fetch(pipeline: Pipeline, job: Job) -> QueuedMessage:
    pipeline.run_until(job, Status.FETCHING)
    return next(m for m in pipeline.messages.queued if m.queue == FETCH_QUEUE)


def picture_for(pipeline: Pipeline) -> str:
    width, height = map(int, SMALL[pipeline.dialect]["size"].split("x"))
    content = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(content, "PNG")
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()


def all_at_once(act: Callable[[int], T]) -> list[T]:
    barrier = threading.Barrier(MANY)

    def one(number: int) -> T:
        barrier.wait()
        return act(number)

    with ThreadPoolExecutor(MANY) as pool:
        return list(pool.map(one, range(MANY)))
