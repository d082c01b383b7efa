"""Reads videos: one video, a page of videos, and the URL of a video's bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from http_edge.pages import read_limit
from openai_api.errors import OpenAiError
from openai_api.video import VideoList, video_of
from video_jobs.domain.errors import InvalidRequest, JobNotFound
from video_jobs.domain.ids import is_job_id
from video_jobs.domain.job import Job, Output
from video_jobs.lifecycle.find import find_job
from video_jobs.ports import StoredJob, VideoKey
from video_jobs.services import Services

Order = Literal["asc", "desc"]
Variant = Literal["video", "thumbnail"]


def find_video(services: Services, owner: str, video_id: str, *, deleted_too: bool = False) -> StoredJob:
    """A job by its video's id. Raises JobNotFound, also for a malformed id: OpenAI's clients expect 404 for both."""
    if not is_job_id(video_id):
        raise JobNotFound("".join(c if c.isprintable() else "?" for c in video_id[:100]))
    return find_job(services, owner, video_id, deleted_too=deleted_too)


def list_videos(services: Services, owner: str, query: Mapping[str, str]) -> VideoList:
    """A page of the owner's videos. Raises InvalidRequest for an unusable `limit`, `after` or `order`."""
    limit, after, order = read_limit(query.get("limit", "")), query.get("after"), query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise InvalidRequest.of("order", "must be asc or desc")
    if after is not None and not is_job_id(after):
        raise InvalidRequest.of("after", "must be the id of a video, like last_id of the page before")
    if order == "asc":
        page = services.jobs.page_oldest_first(owner, limit=limit, after=after)
    else:
        page = services.jobs.page(owner, limit=limit, after=after, statuses=frozenset())
    videos = [video_of(job, services.retention) for job in page.jobs]
    return {
        "object": "list",
        "data": videos,
        "first_id": videos[0]["id"] if videos else None,
        "last_id": videos[-1]["id"] if videos else None,
        "has_more": page.after is not None,
    }


def content_url(services: Services, job: Job, variant: str) -> str:
    """A signed URL of the job's first video, or of its thumbnail.

    Raises InvalidRequest for another variant, and OpenAiError if the file does not exist (yet).
    """
    if variant not in ("video", "thumbnail"):
        raise InvalidRequest.of(
            "variant",
            "must be video or thumbnail; a spritesheet is not made here, since not all video APIs do",
        )
    output = next((output for output in job.outputs if output.stored is not None), None)
    if output is None:
        raise _not_there(job)
    key = VideoKey(job.owner, job.id, output.index)
    return services.blobs.sign_video(key).url if variant == "video" else _thumbnail(services, key, output)


def _thumbnail(services: Services, key: VideoKey, output: Output) -> str:
    if output.thumbnail is None:
        raise OpenAiError(404, "no_thumbnail", f"The video {key.job_id} has no thumbnail.", "variant")
    return services.blobs.sign_thumbnail(key, output.thumbnail).url


def _not_there(job: Job) -> OpenAiError:
    if job.is_terminal:
        why = job.error.message if job.error else f"it is {job.status}"
        return OpenAiError(
            404, "video_not_available", f"The video {job.id} is not available: {why}", "video_id"
        )
    message = f"The video {job.id} is not ready yet. Ask for its content once its status is completed."
    return OpenAiError(404, "video_not_ready", message, "video_id")
