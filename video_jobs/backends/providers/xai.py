"""xAI's video API. Source: the package `@ai-sdk/xai` 3.0.138 (npm).

A task that goes on is answered under 202, sometimes without a body. A task that is done may have been blocked by
moderation. xAI ignores fields that it does not know, so sizes and seconds are checked here. It has no list, and
nothing stops a task.
"""

from __future__ import annotations

from video_jobs.backends.answers import BackendMessage, error_in, names_a_state, state_in
from video_jobs.backends.shapes import aspect_ratio, resolution
from video_jobs.backends.task_api import (
    Body,
    Call,
    Images,
    TaskApi,
    addresses_by_output,
    dollars,
    inner,
)
from video_jobs.domain.backend_job import BackendState
from video_jobs.domain.capabilities import only_sizes
from video_jobs.domain.job import VideoRequest

_TICK = 1e-10  # dollars
_BLOCKED = "The video was blocked by content moderation."

_SIZES = (
    *("1280x720", "720x1280", "720x720", "960x720", "720x960", "1080x720", "720x1080"),
    *("854x480", "480x854", "480x480", "640x480", "480x640", "720x480", "480x720"),
    *("1920x1080", "1080x1920"),
)
_MOST_REFERENCES = 7


def _create(model: str, request: VideoRequest, images: Images) -> Call:
    body = {
        "model": model,
        "prompt": request.prompt,
        "duration": request.seconds,
        "aspect_ratio": aspect_ratio(request),
        "resolution": resolution(request),
        "image": {"url": images.first} if images.first is not None else None,
        "reference_images": [{"url": url} for url in images.references] or None,
    }
    return Call("/videos/generations", body)


def _is_blocked(body: Body) -> bool:
    return inner(body, "video", "respect_moderation") is False


def _state(body: Body) -> BackendState:
    if _is_blocked(body):
        return BackendState.FAILED
    if not names_a_state(body) and inner(body, "video", "url"):
        return BackendState.SUCCEEDED
    return state_in(body)


def _failure(body: Body) -> BackendMessage:
    if _is_blocked(body):
        return BackendMessage("respect_moderation", _BLOCKED)
    return error_in(body)


API = TaskApi(
    create=_create,
    job_path="/videos/{id}",
    id_name="request_id",
    names_itself=False,
    state=_state,
    outputs=lambda body: addresses_by_output(inner(body, "video", "url")),
    failure=_failure,
    cost=lambda body: dollars(inner(body, "usage", "cost_in_usd_ticks"), _TICK),
    default_size="1280x720",
    default_seconds=6,
    takes=only_sizes(_SIZES, range(1, 16), reference_images=_MOST_REFERENCES, references_alone=True),
    shortest_poll=5,
)
