"""A job as OpenAI's protocol shows it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from pydantic import with_config
from typing_extensions import TypedDict

from video_jobs.domain.job import Job, Status

VideoStatus = Literal["queued", "in_progress", "completed", "failed"]

_STATUSES: dict[Status, VideoStatus] = {
    Status.WAITING: "queued",
    Status.SUBMITTING: "queued",
    Status.QUEUED: "queued",
    Status.RUNNING: "in_progress",
    Status.FETCHING: "in_progress",
    Status.PENDING_DOWNLOAD: "in_progress",
    Status.SUCCEEDED: "completed",
    Status.FAILED: "failed",
    Status.CANCELLED: "failed",
    Status.EXPIRED: "failed",
}

_ENDS = {
    Status.CANCELLED: "The video was cancelled.",
    Status.EXPIRED: "The video API deleted the video before it could be fetched.",
}


class VideoError(TypedDict):
    code: str
    message: str


@with_config(use_attribute_docstrings=True)
class Video(TypedDict):
    """A job as a video. All fields are always present: OpenAI's description requires them."""

    id: str
    """The percentage, as in the HTTP API."""
    object: Literal["video"]
    model: str
    """The model that makes the video."""
    status: VideoStatus
    progress: int
    """Percent."""
    created_at: int
    """Unix time in seconds, as in the other fields."""
    completed_at: int | None
    expires_at: int | None
    """When the app deletes the stored video; null: never."""
    prompt: str
    size: str
    """WIDTHxHEIGHT. Empty for an imported job whose size the video API did not tell, or if the request had an aspect ratio."""
    seconds: str
    """Text of a number. Empty if the video API did not tell it of an imported job."""
    remixed_from_video_id: None
    error: VideoError | None


class VideoList(TypedDict):
    object: Literal["list"]
    data: list[Video]
    first_id: str | None
    last_id: str | None
    has_more: bool


class DeletedVideo(TypedDict):
    id: str
    object: Literal["video.deleted"]
    deleted: Literal[True]


def video_of(job: Job, retention: timedelta | None) -> Video:
    """`retention`: how long ended jobs are kept; None: for ever."""
    request, ended = job.request, job.finished_at
    return {
        "id": job.id,
        "object": "video",
        "model": job.backend.model,
        "status": _STATUSES[job.status],
        "progress": 100 if job.status is Status.SUCCEEDED else job.progress or 0,
        "created_at": _unix(job.created_at),
        "completed_at": _unix(ended) if ended else None,
        "expires_at": _unix(ended + retention) if ended and retention else None,
        "prompt": request.prompt,
        "size": request.size if request.width else "",
        "seconds": str(request.seconds) if request.seconds else "",
        "remixed_from_video_id": None,
        "error": _error(job),
    }


def _error(job: Job) -> VideoError | None:
    if _STATUSES[job.status] != "failed":
        return None
    if job.error is not None:
        return {"code": job.error.code, "message": job.error.message}
    return {"code": job.status.value, "message": _ENDS.get(job.status, "The video failed.")}


def _unix(moment: datetime) -> int:
    return int(moment.timestamp())
