"""A job as the world sees it: in answers of the API, and in `job.json` beside the videos."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from urllib.parse import urlsplit

from video_jobs.domain.cost import Cost
from video_jobs.domain.job import Event, InputImage, Job, JobError, Output
from video_jobs.domain.webhook import Delivery, WebhookStatus
from video_jobs.ports import Blobs, VideoKey
from video_jobs.views.file_names import file_name
from video_jobs.views.job_schema import (
    CostView,
    DeliveryView,
    EventView,
    InputImageView,
    JobErrorView,
    JobView,
    VideoView,
    WebhookView,
)


def job_summary(job: Job) -> JobView:
    """Everything but URLs, which would expire while the file still exists."""
    request = job.request
    return {
        "id": job.id,
        "status": job.status,
        "created_at": _time(job.created_at),
        "updated_at": _time(job.updated_at),
        "finished_at": time_text(job.finished_at),
        "prompt": request.prompt,
        "size": request.size if request.width else None,
        "seconds": request.seconds or None,
        "variants": request.variants,
        "input_image": _image(request.input_image),
        "last_image": _image(request.last_image),
        "reference_images": [_known_image(image) for image in request.reference_images],
        "aspect_ratio": request.aspect_ratio,
        "resolution": request.resolution,
        "audio": request.audio,
        "seed": request.seed,
        "negative_prompt": request.negative_prompt,
        "options": json.loads(request.options) if request.options is not None else None,
        "metadata": job.metadata,
        "backend": {"name": job.backend.name, "dialect": job.backend.dialect, "model": job.backend.model},
        "backend_job_id": job.backend_job_id,
        "backend_status": job.backend_status,
        "backend_request_id": job.backend_request_id,
        "retry_of": job.retry_of,
        "retried_as": job.retried_as,
        "imported": job.adopts is not None,
        "cancel_requested_at": time_text(job.cancellation.requested_at),
        "cancel_refused": job.cancellation.refused,
        "backend_expires_at": time_text(job.expires_at),
        "cost": _cost(job.cost),
        "progress": job.progress,
        "expected_at": time_text(job.expected_at),
        "queue_position": None,
        "reason": job.reason,
        "warning": job.warning,
        "alarm": job.alarm,
        "error": _error(job.error),
        "webhook": _webhook(job),
        "videos": [_video(output) for output in job.outputs],
    }


def history_view(job: Job) -> list[EventView]:
    """What happened to the job, oldest first; the last fifty events."""
    return [_event(event) for event in job.history]


def job_view(job: Job, blobs: Blobs) -> JobView:
    """The summary, with signed URLs for what is stored: a stored video is served in every status."""
    view = job_summary(job)
    for output, video in zip(job.outputs, view["videos"], strict=True):
        if output.stored is None:
            continue
        key = VideoKey(job.owner, job.id, output.index)
        signed = blobs.sign_video(key)
        video["url"] = signed.url
        video["download_url"] = blobs.sign_download(key, file_name(job, output.index)).url
        video["url_expires_at"] = _time(signed.expires_at)
        if output.thumbnail:
            video["thumbnail_url"] = blobs.sign_thumbnail(key, output.thumbnail).url
    return view


def event_id(job: Job) -> str:
    """The id of the job's end. A job ends once, so every process derives the same id."""
    return f"evt_{job.id.removeprefix('job_')}_{job.status}"


def time_text(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC, to the millisecond."""
    return None if moment is None else _time(moment)


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _image(image: InputImage | None) -> InputImageView | None:
    return None if image is None else _known_image(image)


def _known_image(image: InputImage) -> InputImageView:
    return {
        "content_type": image.content_type,
        "length": image.length,
        "sha256": image.sha256,
        "width": image.width,
        "height": image.height,
    }


def _cost(cost: Cost | None) -> CostView | None:
    return None if cost is None else {"amount": cost.amount, "currency": cost.currency}


def _error(error: JobError | None) -> JobErrorView | None:
    if error is None:
        return None
    return {
        "code": error.code,
        "message": error.message,
        "backend_code": error.backend_code,
        "backend_message": error.backend_message,
        "backend_request_id": error.backend_request_id,
        "candidates": list(error.candidates),
    }


def _origin(url: str) -> str:
    """The part of a URL that may be shown: its path and its query may be secrets."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _webhook(job: Job) -> WebhookView | None:
    hook = job.webhook
    if hook is None:
        return None
    waits = job.is_terminal and hook.status is WebhookStatus.PENDING
    return {
        "url": _origin(hook.url) if hook.url is not None else None,
        "event_id": event_id(job) if job.is_terminal else None,
        "status": hook.status,
        "next_try_at": time_text(hook.chain.due_at or job.finished_at) if waits else None,
        "deliveries": [_delivery(delivery) for delivery in hook.deliveries],
    }


def _delivery(delivery: Delivery) -> DeliveryView:
    return {
        "at": _time(delivery.at),
        "status_code": delivery.status_code,
        "problem": delivery.problem,
        "seconds": delivery.seconds,
    }


def _event(event: Event) -> EventView:
    return {
        "at": _time(event.at),
        "event": event.what,
        "detail": event.detail,
        "backend_request_id": event.request_id,
        "times": event.times,
        "first_at": time_text(event.first_at),
    }


def _video(output: Output) -> VideoView:
    stored = output.stored
    return {
        "index": output.index,
        "generation_id": output.generation_id,
        "status": "stored" if stored else "expired" if output.lost else "pending",
        "length": stored.length if stored else None,
        "sha256": stored.sha256 if stored else None,
        "width": stored.width if stored else None,
        "height": stored.height if stored else None,
        "duration_seconds": stored.duration_ms / 1000 if stored and stored.duration_ms is not None else None,
        "verified": stored.verified if stored else None,
        "problem": output.problem,
        "next_try_at": None if output.is_settled else time_text(output.chain.due_at),
        "url": None,
        "download_url": None,
        "url_expires_at": None,
        "thumbnail_url": None,
    }
