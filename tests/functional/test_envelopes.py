"""Answers that wrap a job, or are about something else: what they say of another thing ends no job that was paid for."""

from __future__ import annotations

from typing import Any

import pytest

from job_api.act import cancel_job
from tests.pipeline import OWNER
from tests.strange_api import Reply, StrangeApi, StrangeLine
from tests.strange_server import ID, VIDEO, Server, code_of
from video_jobs.domain.job import Job, Status


def job_before(api: StrangeApi, get: Any, **backend: Any) -> tuple[StrangeLine, Job, Server]:
    server = Server(api)
    server.replies["get"] = Reply(200, get)
    line = StrangeLine(api, **backend)
    return line, line.submit(), server


# --- get -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        {"status": "error", "message": "Too many requests"},
        {"status": "failed", "code": 500, "msg": "upstream"},
        {"id": "another", "status": "failed", "created_at": 1_793_880_000, "model": "m"},
        {"id": "another", "status": "cancelled", "object": "video"},
        {"status": "expired"},
        {"status": "success", "data": {"id": ID, "status": "processing"}},
        {"status": "success", "data": {"status": "processing", "progress": "10%"}},
        {"code": 0, "status": "success", "data": {"task_id": ID, "status": "IN_PROGRESS"}},
    ],
    ids=str,
)
def test_an_answer_that_is_not_plainly_about_the_job_ends_nothing(
    api: StrangeApi, said: dict[str, Any]
) -> None:
    line, job, server = job_before(api, said)
    server.replies["content"] = Reply(404)
    assert line.run_for(job, hours=0.15).status in (Status.QUEUED, Status.RUNNING)
    server.replies.clear()
    assert line.run_for(job, hours=1).status is Status.SUCCEEDED
    assert len(api.asked("create")) == 1


@pytest.mark.parametrize(
    "said",
    [
        {"id": "another", "status": "completed"},
        {"id": f"prefix-{ID}", "status": "completed"},
        {"status": "success"},
        {"status": "success", "data": {"id": ID, "status": "succeeded"}},
        {"data": {"task_id": ID, "status": "SUCCESS"}},
        {"data": [{"id": ID, "status": "done"}]},
    ],
    ids=str,
)
def test_where_it_may_mean_that_the_job_is_done_its_bytes_show_it(
    api: StrangeApi, said: dict[str, Any]
) -> None:
    line, job, _ = job_before(api, said)
    assert line.run_for(job, hours=1).status is Status.SUCCEEDED
    assert len(api.asked("get")) < 5


@pytest.mark.parametrize(
    "said",
    [
        {"status": "failed", "created_at": 1_793_880_000, "error": {"message": "CUDA out of memory"}},
        {"id": f"{ID}-0", "status": "failed", "error": {"message": "CUDA out of memory"}},
        {"data": {"id": ID, "status": "failed", "error": {"message": "CUDA out of memory"}}},
    ],
    ids=str,
)
def test_a_failure_that_is_plainly_the_jobs_is_believed_under_no_id_and_in_any_wrapping(
    api: StrangeApi, said: dict[str, Any]
) -> None:
    line, job, _ = job_before(api, said)
    assert code_of(line.run_for(job, hours=1)) == "generation_failed"


def test_nothing_of_another_job_is_kept_for_ours(api: StrangeApi) -> None:
    other = {
        "id": "another",
        "status": "in_progress",
        "progress": 90,
        "expires_at": int(api.clock().timestamp()) + 60,
    }
    line, job, _ = job_before(api, other)
    seen = line.run_for(job, hours=1)
    assert (seen.is_terminal, seen.told_expires_at) == (False, None)


def test_another_jobs_generations_are_not_downloaded(api: StrangeApi) -> None:
    api.answer = lambda asked: {
        "create": Reply(201, {"id": "task_1", "status": "queued"}),
        "get": Reply(200, {"id": "task_2", "status": "succeeded", "generations": [{"id": "gen_2"}]}),
        "content": Reply(200, VIDEO, content_type="video/mp4"),
    }.get(asked.operation, Reply(404))
    line = StrangeLine(api, dialect="azure-sora")
    job = line.submit(size="480x480")
    assert not line.run_for(job, hours=1).is_terminal
    assert api.asked("content") == []


@pytest.mark.parametrize("generations", [["gen_1"], {"id": "gen_1"}, "gen_1", [{"id": "gen_1"}]], ids=str)
@pytest.mark.parametrize("status", ["succeeded", "finalized"])
def test_generations_are_found_in_whatever_form_they_are_named(
    api: StrangeApi, generations: Any, status: str
) -> None:
    api.answer = lambda asked: {
        "create": Reply(201, {"id": "task_1", "status": "queued"}),
        "get": Reply(200, {"id": "task_1", "status": status, "generations": generations}),
        "content": Reply(200, VIDEO, content_type="video/mp4"),
    }.get(asked.operation, Reply(404))
    line = StrangeLine(api, dialect="azure-sora")
    assert line.run_for(line.submit(size="480x480"), hours=1).status is Status.SUCCEEDED


def test_the_first_dialects_failure_is_explained_by_its_error_too(api: StrangeApi) -> None:
    failed = {"id": "task_1", "status": "failed", "error": {"code": "oops", "message": "No GPU was free."}}
    api.answer = lambda asked: Reply(
        201, {**failed, "status": "queued"} if asked.method == "POST" else failed
    )
    line = StrangeLine(api, dialect="azure-sora")
    ended = line.run_for(line.submit(size="480x480"), hours=1)
    assert ended.error is not None
    assert "No GPU was free." in ended.error.message


# --- create --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        {"data": {"id": ID, "status": "queued"}},
        {"code": 0, "data": {"task_id": ID}},
        {"task_id": ID, "status": "pending"},
        {"id": "request_9", "data": {"id": ID, "status": "queued"}},
        {"result": [{"video_id": ID}]},
        {"id": "request_9", "data": {"task_id": ID}},
        {"id": "request_9", "data": {"id": ID}},
        {"id": "request_9", "status": "ok", "data": {"id": ID}},
        {"id": "request_9", "status": "success", "data": {"id": ID, "status": "queued"}},
        {"id": "request_9", "status": "success", "model": "m", "data": {"task_id": ID}},
        {"id": 0, "data": {"id": ID}},
        {"id": 0, "task_id": ID},
        {"id": ID, "model": "m", "output": {"id": "file_9"}},
        {"id": ID, "status": "completed", "output": {"id": "file_9"}},
        {"task_id": ID, "data": {"id": 17}},
        {"task_id": ID, "data": {"id": 17, "task_id": "another_servers"}},
    ],
    ids=str,
)
def test_the_id_of_what_was_made_is_found_in_any_wrapping(api: StrangeApi, said: dict[str, Any]) -> None:
    server = Server(api)
    server.replies["create"] = Reply(200, said)
    line = StrangeLine(api)
    job = line.submit()
    assert job.backend_job_id == ID
    assert line.run_for(job, hours=1).status is Status.SUCCEEDED


# --- delete --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        {"error": {"message": "not supported"}},
        {"deleted": "false"},
        {"deleted": False},
        {"id": ID, "status": "in_progress"},
        b"<html>ok</html>",
        {"ok": True},
    ],
    ids=str,
)
def test_a_cancel_is_believed_only_where_the_job_is_no_more(api: StrangeApi, said: Any) -> None:
    server = Server(api, {"status": "in_progress"})
    server.replies["delete"] = Reply(200, said)
    line = StrangeLine(api)
    job = line.submit()
    line.run_until(job, Status.RUNNING)
    cancel_job(line.services, OWNER, job.id)
    seen = line.run_for(job, hours=0.05)
    assert (seen.status, seen.cancellation.refused is not None) == (Status.RUNNING, True)
    server.job = {"status": "completed"}
    assert line.run_for(job, hours=1).status is Status.SUCCEEDED


@pytest.mark.parametrize(
    ("said", "then"),
    [
        (b"", None),
        ({"deleted": True}, None),
        ({"id": ID, "status": "cancelled"}, None),
        ({"ok": True}, Reply(404)),
        (b"<html>ok</html>", Reply(410)),
        ({"id": ID, "object": "video"}, Reply(200, {"id": ID, "status": "canceled"})),
    ],
    ids=str,
)
def test_a_cancel_that_was_carried_out_ends_the_job_in_whatever_words_it_is_told(
    api: StrangeApi, said: Any, then: Reply | None
) -> None:
    server = Server(api, {"status": "in_progress"})
    line = StrangeLine(api)
    job = line.submit()
    line.run_until(job, Status.RUNNING)

    def delete(asked: object) -> Reply:
        if then is not None:
            server.replies["get"] = then
        return Reply(200, said)

    server.replies["delete"] = delete
    cancel_job(line.services, OWNER, job.id)
    assert line.run_for(job, hours=0.05).status is Status.CANCELLED
