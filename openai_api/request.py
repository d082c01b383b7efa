"""Reads the body of a create: OpenAI's fields, in JSON or in a form."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from http_edge.fields import BackendName, Metadata, WebhookUrl, shown_name, validated
from http_edge.submissions import FormReader, Prompt, Size, WholeNumber, idempotency_key, read_fields
from http_edge.wishes import (
    AspectRatio,
    Audio,
    NegativePrompt,
    Options,
    Resolution,
    Seed,
    object_in_form,
    options_text,
)
from openai_api.images import (
    SEVERAL,
    FrameImages,
    ImageReference,
    LastFrame,
    References,
    base_of,
    names_of,
    read_images,
    without_images,
)
from openai_api.models import chosen_by
from openai_api.unknown_fields import refuse_other_wishes
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


def _one(variants: int) -> int:
    if variants != 1:
        raise ValueError("must be 1: this API makes one video in each request; POST /api/jobs makes several")
    return variants


# Two types, each with its value: generators of clients leave out a call with an enum of several types.
OneVideo = Annotated[
    WholeNumber,
    AfterValidator(_one),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer", "enum": [1]}, {"type": "string", "enum": ["1"]}],
            "description": "Always one.",
        }
    ),
]


class CreateVideo(BaseModel):
    """The body of `POST /api/v1/videos`. Unknown fields are ignored, since tools send some of their own, unless they ask for another video.

    All fields of `POST /api/jobs` are known: if one was ignored, another video would be made and paid for.
    """

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
    duration: Annotated[WholeNumber | None, Field(description="The same as `seconds`.")] = None
    audio: Annotated[Audio | None, Field(description="The same as `generate_audio`.")] = None
    options: Options | None = None
    variants: OneVideo | None = None
    metadata: Metadata | None = None
    backend: BackendName | None = None
    webhook_url: WebhookUrl | None = None


def read_create(
    headers: Mapping[str, str], body: bytes, read_form: FormReader, backends: Backends
) -> Submission:
    """Read and check a create; nothing is written. Raises InvalidRequest or a subclass."""
    key = idempotency_key(headers)
    fields = read_fields(headers, body, read_form, several=SEVERAL)
    images, sent = read_images(fields), without_images(fields.values)
    for part in sent:
        if part not in CreateVideo.model_fields and base_of(part) in CreateVideo.model_fields:
            words = "send one value under the plain name, and an object in a form as JSON text"
            raise InvalidRequest.of(base_of(part), f"is sent as '{shown_name(part)}'; {words}")
    if fields.files is not None:
        for name in ("metadata", "options"):
            object_in_form(sent, name)
    refuse_other_wishes(sent, CreateVideo.model_fields)
    fields.taken_out.refuse_elsewhere()
    request = validated(CreateVideo, sent)
    backend, model = chosen_by(backends, request.model, request.backend)
    return Submission(
        prompt=request.prompt,
        size=request.size,
        seconds=_either(request, "duration", "seconds"),
        backend=backend,
        model=model,
        wishes=_wishes(request),
        metadata=request.metadata or {},
        webhook_url=request.webhook_url,
        images=images,
        idempotency_key=key,
        fingerprint=_fingerprint(sent, images),
        names={
            **names_of(images),
            "audio": "generate_audio" if request.audio is None else "audio",
            "seconds": "seconds" if request.duration is None else "duration",
        },
    )


def _either(request: CreateVideo, name: str, usual: str) -> Any:
    """The value of a field that has two names. Raises InvalidRequest if they differ."""
    given = {getattr(request, name), getattr(request, usual)} - {None}
    if len(given) > 1:
        raise InvalidRequest.of(name, f"is not the same as {usual}; send one of them")
    return next(iter(given), None)


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
        audio=_either(request, "audio", "generate_audio"),
        seed=request.seed,
        negative_prompt=request.negative_prompt,
        options=options_text(request.options),
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
