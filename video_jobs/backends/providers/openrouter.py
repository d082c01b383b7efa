"""OpenRouter's video API: one key for the models of many makers. Source: the package `openrouter` 1.3.84.

Each output has two addresses: a signed one, until `expires_at`, and OpenRouter's own, which needs the key and works as
long as there is an output. It has no list, and nothing stops a job.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from video_jobs.backends.task_api import (
    Call,
    Images,
    ModelList,
    TaskApi,
    addresses_by_output,
    dollars,
    inner,
    objects_in,
)
from video_jobs.domain.capabilities import MOST_REFERENCES, ModelTakes
from video_jobs.domain.job import VideoRequest
from video_jobs.net.told import numbers_in, words_in

_SIZE = r"[1-9]\d{1,4}x[1-9]\d{1,4}"


def _create(model: str, request: VideoRequest, images: Images) -> Call:
    frames = {"first_frame": images.first, "last_frame": images.last}
    is_shaped = request.aspect_ratio is not None or request.resolution is not None
    body = {
        "model": model,
        "prompt": request.prompt,
        "duration": request.seconds,
        "size": None if is_shaped else request.size,
        "aspect_ratio": request.aspect_ratio,
        "resolution": request.resolution,
        "generate_audio": request.audio,
        "seed": request.seed,
        "frame_images": [{**_image(url), "frame_type": kind} for kind, url in frames.items() if url] or None,
        "input_references": [_image(url) for url in images.references] or None,
    }
    return Call("/videos", body)


def _image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def _models(body: Mapping[str, Any]) -> dict[str, ModelTakes]:
    """What a model takes, as `GET /videos/models` tells it. A null value is unknown, and left to the model."""
    named = (each for each in objects_in(body.get("data")) if isinstance(each.get("id"), str))
    return {each["id"]: _takes(each) for each in named}


def _takes(entry: Mapping[str, Any]) -> ModelTakes:
    """An empty list of frames says that the model takes none."""
    told = entry.get("supported_frame_images")
    frames = words_in(told) if told != [] else ()
    return ModelTakes(
        sizes=words_in(entry.get("supported_sizes"), _SIZE),
        seconds=numbers_in(entry.get("supported_durations")),
        aspect_ratios=words_in(entry.get("supported_aspect_ratios")),
        resolutions=words_in(entry.get("supported_resolutions")),
        image=frames is None or "first_frame" in frames,
        last_image=frames is None or "last_frame" in frames,
        reference_images=MOST_REFERENCES,
        audio=entry.get("generate_audio") is not False,
        seed=entry.get("seed") is not False,
    )


API = TaskApi(
    create=_create,
    job_path="/videos/{id}",
    outputs=lambda body: addresses_by_output(body.get("urls"), body.get("unsigned_urls")),
    content_path="/videos/{id}/content?index={index}",
    cost=lambda body: dollars(inner(body, "usage", "cost")),
    default_size="1280x720",
    default_seconds=8,
    takes=_takes({}),
    model_list=ModelList("/videos/models", _models),
)
