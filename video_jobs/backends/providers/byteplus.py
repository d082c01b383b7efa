"""BytePlus ModelArk, with the Seedance models; Volcengine Ark is the same at another address. Source: the package
`volcengine-ark-runtime` 5.0.54.

Tasks are listed by page, without their prompts: after a lost answer the job can't be found, and only candidates are
named. DELETE stops a task that waits, and no other.
"""

from __future__ import annotations

from typing import Any

from video_jobs.backends.shapes import aspect_ratio, resolution
from video_jobs.backends.task_api import (
    Body,
    Call,
    Images,
    Stop,
    TaskApi,
    TaskList,
    addresses_by_output,
    asked_in,
    inner,
)
from video_jobs.domain.capabilities import MOST_REFERENCES, any_shape
from video_jobs.domain.job import VideoRequest

_PAGE = 100


def _create(model: str, request: VideoRequest, images: Images) -> Call:
    pictures = [("first_frame", images.first), ("last_frame", images.last)]
    pictures += [("reference_image", url) for url in images.references]
    content: list[dict[str, Any]] = [{"type": "text", "text": request.prompt}]
    content += [
        {"type": "image_url", "image_url": {"url": url}, "role": role} for role, url in pictures if url
    ]
    body = {
        "model": model,
        "content": content,
        "ratio": aspect_ratio(request),
        "resolution": resolution(request),
        "duration": request.seconds,
        "seed": request.seed,
        "generate_audio": request.audio,
        "watermark": False,
    }
    return Call("/contents/generations/tasks", body)


def _next_page(body: Body, page: str | None, count: int) -> str | None:
    """Until a page is not full: the total may grow meanwhile."""
    return str(int(page or "1") + 1) if count >= _PAGE else None


API = TaskApi(
    create=_create,
    job_path="/contents/generations/tasks/{id}",
    outputs=lambda body: addresses_by_output(inner(body, "content", "video_url")),
    stop=Stop("DELETE", "/contents/generations/tasks/{id}"),
    tasks=TaskList(
        path="/contents/generations/tasks",
        query=lambda page: {"page_num": page or "1", "page_size": str(_PAGE)},
        entries="items",
        next_page=_next_page,
        asked=lambda entry: asked_in(entry, "ratio"),
    ),
    default_size="1280x720",
    default_seconds=5,
    takes=any_shape(last_image=True, reference_images=MOST_REFERENCES, references_alone=True, audio=True),
)
