"""How a job is answered, for every door that shows one."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import azure.functions as func

from http_edge.problems import JSON, dump
from video_jobs.errors import ReelkeepError
from video_jobs.job import Job, Status
from video_jobs.job_view import JobWithHistory, history_view, job_view
from video_jobs.ports import LiveJob
from video_jobs.services import Services

_RETRY_AFTER = {Status.FETCHING: "2", Status.PENDING_DOWNLOAD: "15", Status.WAITING: "10"}
_RETRY_AFTER_DEFAULT = "5"  # seconds
_MOST_COUNTED = 1000  # jobs ahead of one in line


def json_answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> func.HttpResponse:
    return func.HttpResponse(
        dump(body),
        status_code=status,
        mimetype=JSON,
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def job_answer(services: Services, job: Job, status: int = 200) -> func.HttpResponse:
    """The job, where to find it again, and, while it is not finished, when to ask again."""
    headers = {"Location": job_path(job.id)} if status == 202 else {}
    if not job.is_terminal:
        headers["Retry-After"] = retry_after(job)
    return json_answer(job_body(services, job), status, headers)


def job_body(services: Services, job: Job) -> JobWithHistory:
    """The job with its history and, while it waits, its place in line and what holds everybody up."""
    view = job_view(job, services.blobs)
    if job.status is Status.WAITING:
        # Nice to know: an error here would make a client send a job again that is accepted.
        with contextlib.suppress(ReelkeepError, ValueError):
            view["reason"] = services.gates.get(job.backend.name).gate.reason() or view["reason"]
            view["queue_position"] = services.live_jobs.ahead_of(LiveJob.of(job), _MOST_COUNTED) + 1
    return {**view, "history": history_view(job)}


def job_path(job_id: str) -> str:
    return f"/api/jobs/{job_id}"


def retry_after(job: Job) -> str:
    """Seconds."""
    return _RETRY_AFTER.get(job.status, _RETRY_AFTER_DEFAULT)
