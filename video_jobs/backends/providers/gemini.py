"""Google's Interactions API with the Gemini Omni models. Source: the package `google-genai` 3.6.1.

A video is asked for as a file; one that comes inside the JSON all the same is kept too. The file is fetched with the key. An
interaction that is completed without a video says in words why. It has no list.
"""

from __future__ import annotations

import re
from typing import Any

from video_jobs.backends.answers import BackendMessage, error_in, state_in, status_in, text
from video_jobs.backends.shapes import aspect_ratio, resolution_with_4k
from video_jobs.backends.task_api import (
    Addresses,
    Body,
    Call,
    Images,
    Stop,
    TaskApi,
    addresses_by_output,
    inner,
    objects_in,
)
from video_jobs.domain.backend_job import BackendState
from video_jobs.domain.capabilities import only_sizes
from video_jobs.domain.job import VideoRequest

_ENDED = ("incomplete", "budget_exceeded")  # stopped early; the outputs so far are valid
_FILE = re.compile(r"(https?://[^?#\s]{1,300}/|)(files/[\w-]{1,100})")  # its record, not its bytes
_SIZES = (
    *("1280x720", "720x1280", "1920x1080", "1080x1920"),
    *("640x360", "360x640", "3840x2160", "2160x3840"),
)


def _create(model: str, request: VideoRequest, images: Images) -> Call:
    wanted: Any = request.prompt
    if images.first is not None:
        kind, _, data = images.first.removeprefix("data:").partition(";base64,")
        picture = {"type": "image", "mime_type": kind, "data": data}
        wanted = [picture, {"type": "text", "text": request.prompt}]
    body = {
        "model": model,
        "input": wanted,
        "background": True,
        "store": True,
        "response_format": {
            "type": "video",
            "aspect_ratio": aspect_ratio(request),
            "resolution": resolution_with_4k(request),
            "duration": f"{request.seconds}s",
            "delivery": "uri",
        },
    }
    return Call("/interactions", body)


def _contents(body: Body, kind: str) -> list[Body]:
    """The model's outputs of that kind."""
    made = (step for step in objects_in(body.get("steps")) if step.get("type") == "model_output")
    contents = (each for step in made for each in objects_in(step.get("content")))
    return [each for each in contents if each.get("type") == kind]


def _outputs(body: Body) -> Addresses:
    videos: list[Any] = [*_contents(body, "video")] or [body.get("output_video")]
    uris = [inner(video, "uri") or inner(video, "data") for video in videos]
    return [[_bytes_of(uri) for uri in output] for output in addresses_by_output(uris)]


def _bytes_of(uri: str) -> str:
    file = _FILE.fullmatch(uri)
    return f"{file[1] or '/v1/'}{file[2]}:download?alt=media" if file else uri


def _state(body: Body) -> BackendState:
    has_ended = (status_in(body) or "").lower() in _ENDED
    state = BackendState.SUCCEEDED if has_ended else state_in(body)
    has_none = (has_ended or body.get("steps")) and not _outputs(body)
    return BackendState.FAILED if has_none and state is BackendState.SUCCEEDED else state


def _failure(body: Body) -> BackendMessage:
    told = error_in(body)
    if told.text or told.code or _state(body) is not BackendState.FAILED:
        return told
    said = (text(each.get("text")) or "" for each in _contents(body, "text"))
    return BackendMessage(status_in(body), text(" ".join(said)))


API = TaskApi(
    create=_create,
    job_path="/interactions/{id}",
    state=_state,
    outputs=_outputs,
    failure=_failure,
    stop=Stop("POST", "/interactions/{id}/cancel"),
    default_size="1280x720",
    default_seconds=8,
    takes=only_sizes(_SIZES, range(3, 16)),
    sign=lambda key: {"x-goog-api-key": key},
)
