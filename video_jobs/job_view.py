"""A job as the world sees it: in answers of the API, and in `job.json` beside the videos."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from video_jobs.job import Job, Output
from video_jobs.ports import Blobs, VideoPlace


def job_summary(job: Job) -> dict[str, Any]:
    """Everything but URLs, which would end before the file does."""
    request = job.request
    image = request.input_image
    return {
        "id": job.id,
        "status": job.status.value,
        "created_at": time_text(job.created_at),
        "updated_at": time_text(job.updated_at),
        "finished_at": time_text(job.finished_at),
        "prompt": request.prompt,
        "size": request.size if request.width else None,
        "seconds": request.seconds or None,
        "variants": request.variants,
        "input_image": image
        and {
            "content_type": image.content_type,
            "length": image.length,
            "sha256": image.sha256,
            "width": image.width,
            "height": image.height,
        },
        "metadata": job.metadata,
        "backend": {"name": job.backend.name, "dialect": job.backend.dialect, "model": job.backend.model},
        "backend_job_id": job.backend_job_id,
        "backend_status": job.backend_status,
        "backend_request_id": job.backend_request_id,
        "retry_of": job.retry_of,
        "retried_as": job.retried_as,
        "imported": job.adopts is not None,
        "cancel_requested_at": time_text(job.cancel_requested_at),
        "cancel_refused": job.cancel_refused,
        "backend_expires_at": time_text(job.expires_at),
        "progress": job.progress,
        "expected_at": time_text(job.expected_at),
        "queue_position": None,
        "reason": job.reason,
        "notice": job.notice,
        "alarm": job.alarm,
        "error": job.error
        and {
            "code": job.error.code,
            "message": job.error.message,
            "backend_code": job.error.backend_code,
            "backend_message": job.error.backend_message,
            "backend_request_id": job.error.backend_request_id,
            "candidates": list(job.error.candidates),
        },
        "videos": [_video(output) for output in job.outputs],
    }


def history_view(job: Job) -> list[dict[str, Any]]:
    """What happened to the job, oldest first; the last fifty events."""
    return [
        {
            "at": time_text(event.at),
            "event": event.what,
            "detail": event.detail,
            "backend_request_id": event.request_id,
            "times": event.times,
            "first_at": time_text(event.first_at),
        }
        for event in job.history
    ]


def job_view(job: Job, blobs: Blobs) -> dict[str, Any]:
    """The summary, with signed URLs for what is stored: a stored video is served in every status."""
    view = job_summary(job)
    for output, video in zip(job.outputs, view["videos"], strict=True):
        if output.stored is None:
            continue
        place = VideoPlace(job.owner, job.id, output.index)
        signed = blobs.sign_video(place)
        video["url"] = signed.url
        video["url_expires_at"] = time_text(signed.expires_at)
        if output.thumbnail:
            video["thumbnail_url"] = blobs.sign_thumbnail(place, output.thumbnail).url
    return view


def _video(output: Output) -> dict[str, Any]:
    stored = output.stored
    return {
        "index": output.index,
        "generation_id": output.generation_id,
        "status": "stored" if stored else "expired" if output.lost else "pending",
        "length": stored and stored.length,
        "sha256": stored and stored.sha256,
        "width": stored and stored.width,
        "height": stored and stored.height,
        "duration_seconds": stored.duration_ms / 1000 if stored and stored.duration_ms is not None else None,
        "verified": stored and stored.verified,
        "problem": output.problem,
        "url": None,
        "url_expires_at": None,
        "thumbnail_url": None,
    }


def time_text(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC, to the millisecond."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
