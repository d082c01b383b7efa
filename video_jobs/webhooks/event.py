"""What a receiver is told: Standard Webhooks events, the same bytes and the same id at every attempt."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from video_jobs.job import Job
from video_jobs.job_view import job_summary, time_text


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


def signed_headers(secrets: Sequence[bytes], event: str, now: datetime, body: bytes) -> dict[str, str]:
    """One signature for each secret, the newest first: a receiver needs to know only one of them."""
    timestamp = str(int(now.timestamp()))
    signed = b".".join((event.encode("ascii"), timestamp.encode("ascii"), body))
    macs = (hmac.new(secret, signed, hashlib.sha256).digest() for secret in secrets)
    return {
        "webhook-id": event,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join("v1," + base64.b64encode(mac).decode("ascii") for mac in macs),
    }
