"""What happened to a job: in its row, in the answer, in job.json, and as one log line each."""

from __future__ import annotations

import dataclasses
import itertools
import json
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from http_edge.answers import see_job
from tests.pipeline import OWNER, Pipeline
from video_jobs.domain.backend_job import BackendJob
from video_jobs.domain.errors import Conflict
from video_jobs.domain.job import Event, Job, Status
from video_jobs.ports import StoredJob

WHOLE = ["accepted", "submitting", "submitted", "running", "generated", "stored", "succeeded"]


@pytest.fixture
def numbered(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """Each answer of the video API bears a request id, as the real one's does."""
    backend, _ = pipeline.services.backends.choose(None)
    client, count = pipeline.services.backends.client(backend), itertools.count(1)

    def with_id(name: str, method: Callable[..., BackendJob]) -> Callable[..., BackendJob]:
        return lambda *args: method(*args)._replace(request_id=f"{name}-{next(count)}")

    for name in ("create", "get"):
        monkeypatch.setattr(client, name, with_id(name, getattr(client, name)))
    return pipeline


def event_of(job: Job, what: str) -> Event:
    [event] = [event for event in job.history if event.what == what]
    return event


def lines_of(caplog: pytest.LogCaptureFixture, job: Job) -> list[dict[str, Any]]:
    lines = [json.loads(r.getMessage()) for r in caplog.records if r.name == "reelkeep.jobs"]
    return [line for line in lines if line["job_id"] == job.id]


# --- in the row, the answer and job.json ---------------------------------------------------------


def test_a_whole_job_is_told_in_order_with_the_backends_request_ids(numbered: Pipeline) -> None:
    ended = numbered.run(numbered.submit())
    assert [event.what for event in ended.history] == WHOLE
    times = [event.at for event in ended.history]
    assert times == sorted(times)
    assert (times[0], times[-1]) == (ended.created_at, ended.finished_at)
    submitted = event_of(ended, "submitted")
    assert (submitted.detail, submitted.request_id) == (ended.backend_job_id, "create-1")
    assert (event_of(ended, "running").request_id or "").startswith("get-")
    assert event_of(ended, "generated").request_id == ended.backend_request_id
    [output] = ended.outputs
    assert output.stored is not None
    assert event_of(ended, "stored").detail == f"video 0, {output.stored.length} bytes"


def test_each_of_several_videos_is_told(sora: Pipeline) -> None:
    ended = sora.run(sora.submit(variants=2))
    stored = [event.detail or "" for event in ended.history if event.what == "stored"]
    assert sorted(detail.partition(",")[0] for detail in stored) == ["video 0", "video 1"]


def test_the_history_is_answered_with_the_job_and_stands_in_job_json(numbered: Pipeline) -> None:
    ended = numbered.run(numbered.submit())
    told = see_job(numbered.services, ended).body["history"]
    assert [event["event"] for event in told] == WHOLE
    assert told[2] == {
        "at": f"{event_of(ended, 'submitted').at:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
        "event": "submitted",
        "detail": ended.backend_job_id,
        "backend_request_id": "create-1",
        "times": 1,
        "first_at": None,
    }
    assert all(datetime.fromisoformat(event["at"]).utcoffset() == timedelta() for event in told)
    summary = json.loads(numbered.blobs.videos[f"{OWNER}/{ended.id}/job.json"].content)
    assert summary["history"] == told


def test_a_job_that_waits_tells_what_it_waited_for(pipeline: Pipeline) -> None:
    pipeline.fault("create", status=429)
    ended = pipeline.run(pipeline.submit())
    assert [event.what for event in ended.history][:4] == ["accepted", "submitting", "waits", "submitting"]
    assert "429" in (event_of(ended, "waits").detail or "")


def test_the_same_trouble_again_and_again_is_one_event_with_its_count(pipeline: Pipeline) -> None:
    job = pipeline.submit()
    pipeline.fault("get", status=503, times=5)
    ended = pipeline.run(job)
    failed = event_of(ended, "poll_failed")
    assert failed.times == 5
    assert failed.first_at is not None
    assert failed.first_at < failed.at
    [told] = [e for e in see_job(pipeline.services, ended).body["history"] if e["event"] == "poll_failed"]
    assert (told["times"], told["first_at"] < told["at"]) == (5, True)


def test_a_refusal_is_told_with_the_request_id_that_the_backends_support_asks_for(pipeline: Pipeline) -> None:
    pipeline.fault("create", status=400, headers={"apim-request-id": "req-7"})
    job = pipeline.submit()
    assert job.history[-1].what == "failed"
    assert job.history[-1].request_id == "req-7"
    assert job.error is not None
    assert job.history[-1].detail == job.error.message[:300]


def test_a_download_that_fails_is_told_with_its_request_id(pipeline: Pipeline) -> None:
    pipeline.fault("video", status=403, headers={"x-request-id": "req-8"})
    ended = pipeline.run(pipeline.submit())
    failed = event_of(ended, "download_failed")
    assert failed.request_id == "req-8"
    assert "403" in (failed.detail or "")
    assert ended.status is Status.SUCCEEDED


def test_a_poll_that_fails_is_told_with_its_request_id(pipeline: Pipeline) -> None:
    job = pipeline.submit()
    pipeline.fault("get", status=503, headers={"x-request-id": "req-9"})
    assert event_of(pipeline.run(job), "poll_failed").request_id == "req-9"


@pytest.mark.parametrize(("status", "what"), [(500, "outcome_unknown"), (429, "waits"), (401, "waits")])
def test_an_answer_to_the_paid_call_is_told_with_its_request_id(
    pipeline: Pipeline, status: int, what: str
) -> None:
    pipeline.fault("create", status=status, headers={"x-request-id": "req-10"})
    assert event_of(pipeline.submit(), what).request_id == "req-10"


# --- in the log ----------------------------------------------------------------------------------


def test_each_event_is_one_line_of_json_in_the_log(
    numbered: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "reelkeep.jobs")
    ended = numbered.run(numbered.submit())
    lines = lines_of(caplog, ended)
    assert [line["event"] for line in lines] == [f"job.{what}" for what in WHOLE]
    assert all((line["owner"], line["backend"]) == (OWNER, "default") for line in lines)
    assert lines[2]["backend_request_id"] == "create-1"
    assert lines[2]["detail"] == ended.backend_job_id
    since = [line["seconds_since_created"] for line in lines]
    assert since == sorted(since)
    assert not any("\n" in record.getMessage() for record in caplog.records)


def test_the_log_says_how_long_each_status_took(pipeline: Pipeline, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "reelkeep.jobs")
    pipeline.simulator.world.change({"queue_seconds": 100, "run_seconds": 300})
    ended = pipeline.run(pipeline.submit())
    took = {
        line["from_status"]: line["seconds_in_from_status"]
        for line in lines_of(caplog, ended)
        if "from_status" in line
    }
    assert list(took) == ["waiting", "submitting", "queued", "running", "fetching"]
    assert 100 <= took["queued"] <= 160  # azure-sora prepares a while before it says that it runs
    assert 240 <= took["running"] <= 350
    assert ended.finished_at is not None
    whole = (ended.finished_at - ended.created_at).total_seconds()
    assert sum(took.values()) == pytest.approx(whole, abs=0.01)
    assert lines_of(caplog, ended)[-1]["seconds_since_created"] == pytest.approx(whole, abs=0.01)


def test_the_same_trouble_is_logged_each_time(pipeline: Pipeline, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "reelkeep.jobs")
    job = pipeline.submit()
    pipeline.fault("get", status=503, times=3)
    pipeline.run(job)
    lines = [line["event"] for line in lines_of(caplog, job)]
    assert lines.count("job.poll_failed") == 3


def test_what_somebody_else_changed_meanwhile_is_not_logged_a_second_time(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "reelkeep.jobs")
    save = pipeline.jobs.save
    raced: list[StoredJob] = []

    def save_after_another(stored: StoredJob, job: Job) -> StoredJob:
        if job.status is Status.QUEUED and not raced:
            raced.append(save(stored, dataclasses.replace(stored.job, last_error="by another")))
            raise Conflict("somebody else was faster")
        return save(stored, job)

    monkeypatch.setattr(pipeline.jobs, "save", save_after_another)
    ended = pipeline.run(pipeline.submit())
    assert raced
    assert [line["event"] for line in lines_of(caplog, ended)] == [f"job.{what}" for what in WHOLE]
