"""Replicate's API: models of many makers, each with its own names for what it takes. Source: the packages `replicate`
1.0.7 (Python) and 1.4.0 (npm).

A prediction's output is removed an hour after its end, and its input with it. Predictions are listed with their inputs,
so that a lost answer can be settled.
"""

from __future__ import annotations

import re
from functools import partial
from urllib.parse import parse_qs, urlsplit

from video_jobs.backends.answers import state_in
from video_jobs.backends.shapes import aspect_ratio, resolution
from video_jobs.backends.task_api import (
    Addresses,
    Body,
    Call,
    Images,
    Stop,
    TaskApi,
    TaskList,
    addresses_anywhere,
    addresses_by_output,
    asked_in,
)
from video_jobs.domain.backend_job import BackendState
from video_jobs.domain.capabilities import any_shape
from video_jobs.domain.job import VideoRequest
from video_jobs.net.told import percent

#: The first image's name if it is not `image`, by the beginning of the model's name.
_IMAGE_NAMES = {"kwaivgi/": "start_image", "minimax/": "first_frame_image", "openai/": "input_reference"}
_SHARE = re.compile(r"(\d{1,3}%) {0,4}\|")  # as progress bars write it into the logs
_LAST = 2000  # characters of the logs


def _create(model: str, request: VideoRequest, images: Images) -> Call:
    given = {
        "prompt": request.prompt,
        "aspect_ratio": aspect_ratio(request),
        "resolution": resolution(request),
        "duration": request.seconds,
        "seed": request.seed,
        "generate_audio": request.audio,
        "negative_prompt": request.negative_prompt,
        _image_name(model): images.first,
        "last_frame": images.last,
        "reference_images": list(images.references) or None,
    }
    name, _, version = model.partition(":")
    if version:
        return Call("/predictions", {"version": version, "input": given})
    return Call(f"/models/{name}/predictions", {"input": given})


def _image_name(model: str) -> str:
    return next((name for maker, name in _IMAGE_NAMES.items() if model.startswith(maker)), "image")


def _state(body: Body) -> BackendState:
    state = state_in(body)
    removed = body.get("data_removed") is True and not body.get("output")
    return BackendState.EXPIRED if removed and state is BackendState.SUCCEEDED else state


def _outputs(body: Body) -> Addresses:
    output = body.get("output")
    return addresses_by_output(output) or addresses_anywhere(output)


def _progress(body: Body) -> int | None:
    logs = body.get("logs")
    shares = _SHARE.findall(logs[-_LAST:]) if isinstance(logs, str) else []
    return percent(shares[-1]) if shares else None


def _cursor(body: Body, page: str | None, count: int) -> str | None:
    following = body.get("next")
    if not isinstance(following, str):
        return None
    return next(iter(parse_qs(urlsplit(following).query).get("cursor", [])), None)


_VEO = partial(any_shape, last_image=True, audio=True, negative_prompt=True)

API = TaskApi(
    create=_create,
    job_path="/predictions/{id}",
    state=_state,
    outputs=_outputs,
    progress=_progress,
    stop=Stop("POST", "/predictions/{id}/cancel"),
    tasks=TaskList(
        path="/predictions",
        query=lambda page: {} if page is None else {"cursor": page},
        entries="results",
        next_page=_cursor,
        asked=lambda entry: asked_in(entry.get("input"), images=("image", *_IMAGE_NAMES.values())),
    ),
    default_size="1280x720",
    default_seconds=8,
    takes=any_shape(),  # most models have these names; others are a model's own, for `options`
    models={"google/veo-3.1": _VEO(reference_images=3, references_alone=True), "google/veo-3.1-fast": _VEO()},
)
