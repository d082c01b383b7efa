"""Reads the body of a create: OpenAI's fields, in JSON or in a form."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from http_edge.fields import validated
from http_edge.submissions import FormReader, Prompt, Size, WholeNumber, idempotency_key, read_fields
from http_edge.wishes import AspectRatio, Audio, NegativePrompt, Resolution, Seed
from openai_api.images import (
    SEVERAL,
    FrameImages,
    ImageReference,
    LastFrame,
    References,
    names_of,
    read_images,
    refuse_images,
    without_images,
)
from openai_api.models import chosen_by
from video_jobs.domain.capabilities import Wishes, has_shape
from video_jobs.domain.errors import InvalidRequest
from video_jobs.lifecycle.images import Images
from video_jobs.lifecycle.submit import Submission
from video_jobs.ports import Backends

ModelName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        description="A backend's name, or one of its models. If no backend has sora-2 or sora-2-pro, these names mean the default model.",
    ),
]


class CreateVideo(BaseModel):
    """The body of `POST /api/v1/videos`. Unknown fields are ignored, since tools send some of their own, unless they have an image."""

    model_config = ConfigDict(extra="ignore", defer_build=True)

    prompt: Prompt
    model: ModelName | None = None
    size: Size | None = None
    seconds: WholeNumber | None = None
    input_reference: ImageReference = None
    image: ImageReference = None
    last_frame: LastFrame = None
    reference_images: References = None
    input_references: References = None
    frame_images: FrameImages = None
    aspect_ratio: AspectRatio | None = None
    resolution: Resolution | None = None
    generate_audio: Audio | None = None
    seed: Seed | None = None
    negative_prompt: NegativePrompt | None = None


def read_create(
    headers: Mapping[str, str], body: bytes, read_form: FormReader, backends: Backends
) -> Submission:
    """Read and check a create; nothing is written. Raises InvalidRequest or a subclass."""
    key = idempotency_key(headers)
    fields = read_fields(headers, body, read_form, several=SEVERAL)
    images, sent = read_images(fields), without_images(fields.values)
    refuse_images({name: value for name, value in sent.items() if name not in CreateVideo.model_fields})
    fields.taken_out.refuse_elsewhere()
    request = validated(CreateVideo, sent)
    backend, model = chosen_by(backends, request.model)
    return Submission(
        prompt=request.prompt,
        size=request.size,
        seconds=request.seconds,
        backend=backend,
        model=model,
        wishes=_wishes(request),
        images=images,
        idempotency_key=key,
        fingerprint=_fingerprint(sent, images),
        names={**names_of(images), "audio": "generate_audio"},
    )


def is_repeat(headers: Mapping[str, str]) -> bool:
    """Whether OpenAI's package marks the request as a repeat. A repeat has no other sign."""
    count = headers.get("x-stainless-retry-count", "")
    return count.isascii() and count.isdecimal() and len(count) < 10 and int(count) > 0


def _wishes(request: CreateVideo) -> Wishes:
    """Some clients give the shape twice: if the size agrees with the aspect ratio and the resolution, the size is enough."""
    ratio, resolution = request.aspect_ratio, request.resolution
    if request.size is not None and has_shape(request.size, ratio, resolution):
        ratio = resolution = None
    return Wishes(
        aspect_ratio=ratio,
        resolution=resolution,
        audio=request.generate_audio,
        seed=request.seed,
        negative_prompt=request.negative_prompt,
    )


def _fingerprint(sent: Mapping[str, Any], images: Images) -> str:
    """A hash of the whole request, unknown fields included. An image counts by its bytes, however it was sent, or its address.
    Null counts as left out."""
    sent = {name: value for name, value in sent.items() if value is not None}
    named = {number: each.identity for number, each in sorted(images.items())}
    try:
        text = json.dumps([sent, named.pop(0, None), *([named] if named else [])], sort_keys=True)
    except RecursionError as error:
        raise InvalidRequest.of("body", "is nested too deeply", code="invalid_json") from error
    return hashlib.sha256(text.encode("ascii")).hexdigest()
