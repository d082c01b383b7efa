"""How a job is written as an answer, for every API that shows jobs."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import azure.functions as func

from http_edge.etags import etag_of
from http_edge.problems import JSON, dump
from video_jobs.domain.errors import ReelkeepError
from video_jobs.domain.gate import opens_at
from video_jobs.domain.job import Job, Status
from video_jobs.domain.retry_after import ask_again_in
from video_jobs.lifecycle.admission import why_closed
from video_jobs.ports import LiveJob
from video_jobs.services import Services
from video_jobs.views.job_schema import JobView, JobWithHistory
from video_jobs.views.job_view import history_view, job_summary, job_view

_MOST_COUNTED = 1000  # jobs ahead of one in line

J = TypeVar("J", bound=JobView)


@dataclass(frozen=True)
class SeenJob:
    """A job as an answer shows it now."""

    body: JobWithHistory
    retry_after: int | None  #: seconds; None if the job will not change again

    @cached_property
    def etag(self) -> str:
        """Changes when the answer changes or its URLs are renewed. All instances give the same ETag.

        The signature of a URL is left out, since each instance may sign with another key.
        """
        return etag_of(dump(without_signatures(self.body)))

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


def without_signatures(body: J) -> J:
    """A copy of a job with the URLs cut at their `?`."""
    unsigned = deepcopy(body)
    for video in unsigned["videos"]:
        video["url"] = video["url"] and video["url"].partition("?")[0]
        video["download_url"] = video["download_url"] and video["download_url"].partition("?")[0]
        video["thumbnail_url"] = video["thumbnail_url"] and video["thumbnail_url"].partition("?")[0]
    return unsigned


def see_jobs(services: Services, jobs: Sequence[Job], *, with_urls: bool = True) -> list[JobView]:
    """A page of jobs with the queue positions of waiting ones. Costs two reads for each backend with a waiting job."""
    bodies = [job_view(job, services.blobs) if with_urls else job_summary(job) for job in jobs]
    waiting = {
        body["id"]: (job, body)
        for job, body in zip(jobs, bodies, strict=True)
        if job.status is Status.WAITING
    }
    for backend in dict.fromkeys(job.backend.name for job, _ in waiting.values()):
        # Optional, as below.
        with contextlib.suppress(ReelkeepError):
            gate = services.gates.get(backend).gate
            for place, live in enumerate(services.live_jobs.line(backend, _MOST_COUNTED), start=1):
                if (seen := waiting.get(live.job_id)) is not None:
                    job, body = seen
                    body["queue_position"] = place
                    body["reason"] = why_closed(services, gate, job) or body["reason"]
    return bodies


def see_job(services: Services, job: Job) -> SeenJob:
    """The job with its history and, while it waits, its queue position and why the line does not move."""
    body: JobWithHistory = {**job_view(job, services.blobs), "history": history_view(job)}
    now = services.clock()
    ahead, open_at = 0, None
    if job.status is Status.WAITING:
        # Optional: an error here would make the client send an accepted job again.
        with contextlib.suppress(ReelkeepError):
            gate = services.gates.get(job.backend.name).gate
            open_at = opens_at(gate, services.backends.gate_limits(job.backend.name), now)
            body["reason"] = why_closed(services, gate, job) or body["reason"]
            ahead = services.live_jobs.ahead_of(LiveJob.of(job), _MOST_COUNTED)
            body["queue_position"] = ahead + 1
    return SeenJob(body, ask_again_in(job, now, ahead=ahead, opens_at=open_at))


def job_answer(services: Services, job: Job, status: int = 200) -> func.HttpResponse:
    """The job, its path (`Location`) and, until it is finished, when to ask again (`Retry-After`)."""
    seen = see_job(services, job)
    headers = {"Location": job_path(job.id)} if status == 202 else {}
    return json_answer(seen.body, status, {**headers, **seen.headers})


def json_answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> func.HttpResponse:
    return func.HttpResponse(
        dump(body),
        status_code=status,
        mimetype=JSON,
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def job_path(job_id: str) -> str:
    return f"/api/jobs/{job_id}"


def retry_after(services: Services, job: Job) -> str:
    """Seconds for a job that has not ended. Reads nothing."""
    return str(ask_again_in(job, services.clock()) or 1)
