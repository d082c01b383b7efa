"""The events for a receiver, as Standard Webhooks: the same bytes and the same id at every try."""

from __future__ import annotations

import json
from typing import Any

from video_jobs.domain.job import Job
from video_jobs.views.job_view import job_summary, time_text


def event_type(job: Job) -> str:
    """job.succeeded, job.failed, job.cancelled or job.expired."""
    return f"job.{job.status}"


def event_body(job: Job) -> bytes:
    """The job as it ended: what may change after that is as it was then, or left out."""
    ended_at = time_text(job.finished_at)
    data: dict[str, Any] = {**job_summary(job), "updated_at": ended_at, "retried_as": None}
    del data["webhook"]
    event = {"type": event_type(job), "timestamp": ended_at, "data": data}
    return json.dumps(event, separators=(",", ":")).encode("ascii")
