"""Rows that a process keeps in place of reading them: what others have changed since is never overlooked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fetch_video.fetch import fetch_video
from job_api.act import cancel_job, delete_job
from local.simulator.server import Simulator
from tests.pipeline import OWNER, Pipeline
from video_jobs.domain import gate
from video_jobs.domain.errors import JobNotFound
from video_jobs.domain.job import Job, Status
from video_jobs.domain.queue_messages import FETCH_QUEUE, decode_fetch
from video_jobs.ports import StoredJob, VideoKey
from video_jobs.ports.kept import Kept
from video_jobs.services import Services
from video_jobs.storage.memory import QueuedMessage


def another_process(services: Services) -> Services:
    return services._replace(kept_jobs=Kept(), kept_gates=Kept(), kept_estimates=Kept())


def counting_reads(monkeypatch: pytest.MonkeyPatch, port: Any) -> list[str]:
    real, read = port.get, list[str]()

    def get(*args: Any) -> Any:
        read.append(str(args[-1]))
        return real(*args)

    monkeypatch.setattr(port, "get", get)
    return read


def test_a_chain_that_one_process_polls_reads_its_row_for_no_look(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = pipeline.submit()
    with monkeypatch.context() as patch:
        read, polls = counting_reads(patch, pipeline.jobs), 0
        while not any(message.queue == FETCH_QUEUE for message in pipeline.messages.queued):
            pipeline.deliver(pipeline.take_next())
            polls += 1
    assert polls > 1
    assert read == []
    assert pipeline.run(job).status is Status.SUCCEEDED


@pytest.mark.parametrize("act", [cancel_job, delete_job])
def test_what_another_process_was_asked_to_do_is_done_by_one_that_keeps_the_row(
    pipeline: Pipeline, act: Callable[[Services, str, str], Any]
) -> None:
    job = pipeline.submit()
    pipeline.deliver(pipeline.take_next())
    act(another_process(pipeline.services), OWNER, job.id)
    pipeline.deliver(pipeline.take_next())  # the message that asks for it
    assert len(pipeline.calls("delete")) == 1
    pipeline.drain()
    assert len(pipeline.calls("delete")) == 1
    if act is cancel_job:
        assert pipeline.job(job).status is Status.CANCELLED
    else:
        with pytest.raises(JobNotFound):
            pipeline.job(job)


def test_a_kept_gate_lets_nobody_in_whom_another_process_has_kept_out(simulator: Simulator) -> None:
    """Full, and paused: both as another process has it, while this one keeps a gate with room."""
    here = Pipeline(simulator, "azure-sora", VIDEO_RUNNING_LIMIT="2")
    first = here.submit()
    there = another_process(here.services)
    stored = there.gates.get(first.backend.name)
    there.gates.save(stored, gate.call(stored.gate, here.now(), "job_elsewhere", OWNER))
    second = here.submit()
    assert second.status is Status.WAITING
    assert len(here.calls("create")) == 1
    stored = there.gates.get(first.backend.name)
    there.gates.save(stored, gate.pause(gate.leave(stored.gate, "job_elsewhere"), here.now()))
    assert here.submit().status is Status.WAITING
    assert len(here.calls("create")) == 1


def test_a_slot_that_another_process_took_is_given_back_by_one_that_keeps_the_gate_without_it(
    simulator: Simulator,
) -> None:
    here = Pipeline(simulator, "azure-sora", VIDEO_RUNNING_LIMIT="2")
    here.submit()
    services = here.services
    here.services = another_process(services)
    job = here.submit()
    here.services = services
    here.run(job)
    here.drain()
    assert here.gates.get(job.backend.name).gate.slots == ()


class _Died(BaseException):
    """The process."""


def die_before_the_row_is_saved(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, message: QueuedMessage
) -> None:
    def die(stored: StoredJob, job: Job) -> StoredJob:
        raise _Died

    with monkeypatch.context() as patch:
        patch.setattr(pipeline.jobs, "save", die)
        with pytest.raises(_Died):
            pipeline.deliver(message)


def fetching(pipeline: Pipeline) -> tuple[Job, QueuedMessage]:
    job = pipeline.run_until(pipeline.submit(), Status.FETCHING)
    [message] = [message for message in pipeline.messages.queued if message.queue == FETCH_QUEUE]
    return job, message


@pytest.mark.parametrize("gone", [False, True], ids=["still there", "gone"])
def test_a_first_delivery_looks_for_no_blob_and_keeps_one_that_lies_there(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, gone: bool
) -> None:
    """As after a crash between blob and row, where the message that comes then was never delivered before."""
    job, message = fetching(pipeline)
    found: list[VideoKey] = []
    real = pipeline.blobs.find_video
    monkeypatch.setattr(pipeline.blobs, "find_video", lambda place: found.append(place) or real(place))
    die_before_the_row_is_saved(pipeline, monkeypatch, message)
    assert found == []
    before = dict(pipeline.blobs.videos)
    if gone:
        pipeline.simulator.world.reset()
    pipeline.deliver(message)
    assert len(found) == 1
    assert pipeline.job(job).status is Status.SUCCEEDED
    assert {name: blob for name, blob in pipeline.blobs.videos.items() if name in before} == before


def test_a_message_that_was_delivered_before_needs_the_video_api_for_no_blob_that_is_there(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, message = fetching(pipeline)
    die_before_the_row_is_saved(pipeline, monkeypatch, message)
    asked = len(pipeline.calls("video"))
    pipeline.deliver(message, tries=2)
    assert len(pipeline.calls("video")) == asked
    assert pipeline.job(job).status is Status.SUCCEEDED


def test_a_first_download_does_not_go_by_a_row_that_was_kept_for_long(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is deleted by another process waits eleven minutes for downloads that began before."""
    job, message = fetching(pipeline)
    monkeypatch.setattr("fetch_video.fetch._KEPT_FOR", -1.0)
    delete_job(another_process(pipeline.services), OWNER, job.id)
    fetch_video(pipeline.services, decode_fetch(message.text.encode()), is_first_delivery=True)
    assert pipeline.calls("video") == []
