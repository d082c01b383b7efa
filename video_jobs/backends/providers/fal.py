"""fal's queue: models of many makers behind one key. Source: the package `fal-client` 1.0.3.

A failed request is COMPLETED, too: its error is in the status, or in the answer to the request for the result, which
then has the status of an HTTP error. A result that is answered 5xx is requested again. fal has no list. It repeats a
request that a runner could not finish; the header forbids that.
"""

from __future__ import annotations

from video_jobs.backends.answers import BackendMessage, error_in, state_in, text
from video_jobs.backends.shapes import aspect_ratio, resolution_with_4k
from video_jobs.backends.task_api import (
    Addresses,
    Body,
    Call,
    Images,
    Stop,
    TaskApi,
    addresses_anywhere,
    addresses_by_output,
    inner,
)
from video_jobs.domain.backend_job import BackendState
from video_jobs.domain.capabilities import any_shape
from video_jobs.domain.job import VideoRequest

_FROM_TEXT, _FROM_IMAGE = "/text-to-video", "/image-to-video"


def _create(model: str, request: VideoRequest, images: Images) -> Call:
    body = {
        "prompt": request.prompt,
        "aspect_ratio": aspect_ratio(request),
        "resolution": resolution_with_4k(request),
        "duration": _duration(model, request.seconds),
        "seed": request.seed,
        "generate_audio": request.audio,
        "negative_prompt": request.negative_prompt,
        "image_url": images.first,
    }
    path = model
    if images.first is not None and not model.endswith(_FROM_IMAGE):
        path = model.removesuffix(_FROM_TEXT) + _FROM_IMAGE
    return Call(f"/{path}", body)


def _duration(model: str, seconds: int) -> str | int:
    """Each maker's models want the duration in another form."""
    if "/veo" in model:
        return f"{seconds}s"
    return seconds if "/sora" in model or "/ltx" in model else str(seconds)


def _state(body: Body) -> BackendState:
    state = state_in(body)
    if state is not BackendState.SUCCEEDED or not body.get("error"):
        return state
    return BackendState.CANCELLED if body.get("error_type") == "client_cancelled" else BackendState.FAILED


def _failure(body: Body) -> BackendMessage:
    said = error_in(body)
    return BackendMessage(text(body.get("error_type")) or said.code, said.text)


def _outputs(body: Body) -> Addresses:
    videos = body.get("videos")
    if isinstance(videos, list):
        return addresses_by_output([inner(video, "url") for video in videos])
    return addresses_by_output(inner(body, "video", "url")) or addresses_anywhere(body)


_VEO = any_shape(audio=True, negative_prompt=True)

API = TaskApi(
    create=_create,
    job_path="/{app}/requests/{id}/status",
    result_path="/{app}/requests/{id}",
    id_name="request_id",
    names_itself=False,
    state=_state,
    outputs=_outputs,
    failure=_failure,
    stop=Stop("PUT", "/{app}/requests/{id}/cancel"),
    default_size="1280x720",
    default_seconds=8,
    takes=any_shape(),  # most models have these names; others are a model's own, for `options`
    models={"fal-ai/veo3.1": _VEO, "fal-ai/veo3.1/fast": _VEO},
    headers={"X-Fal-No-Retry": "1"},
    sign=lambda key: {"Authorization": f"Key {key}"},
)
