"""OpenRouter's video API: one key for the models of many makers. Source: the package `openrouter` 1.3.84.

Each output has two addresses: a signed one, until `expires_at`, and OpenRouter's own, which needs the key and works as
long as there is an output. It has no list, and nothing stops a job.
"""

from __future__ import annotations

from typing import Any

from video_jobs.backends.task_api import Call, TaskApi, addresses_by_output
from video_jobs.domain.job import VideoRequest


def _create(model: str, request: VideoRequest, image: str | None) -> Call:
    body: dict[str, Any] = {
        "model": model,
        "prompt": request.prompt,
        "size": request.size,
        "duration": request.seconds,
    }
    if image is not None:
        body["frame_images"] = [
            {"type": "image_url", "image_url": {"url": image}, "frame_type": "first_frame"}
        ]
    return Call("/videos", body)


API = TaskApi(
    create=_create,
    job_path="/videos/{id}",
    outputs=lambda body: addresses_by_output(body.get("urls"), body.get("unsigned_urls")),
    default_size="1280x720",
    default_seconds=8,
)
