"""Reads the body of `POST /api/jobs`: JSON with data URLs, or multipart with files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from http_edge.fields import BackendName, Metadata, ModelName, WebhookUrl, validated
from http_edge.images import ImageText, ImageTexts, image_files, numbered, read_image
from http_edge.large_json import TakenOut
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
from video_jobs.domain.capabilities import Wishes
from video_jobs.lifecycle.images import Images, SentImage
from video_jobs.lifecycle.submit import Submission

FIRST, LAST, REFERENCES = IMAGES = ("input_image", "last_image", "reference_images")
_WISHES = ("aspect_ratio", "resolution", "audio", "seed", "negative_prompt")


class SubmitRequest(BaseModel):
    """The body of `POST /api/jobs`. A field that is left out, or null, takes the backend's default."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    prompt: Prompt
    size: Size | None = None
    seconds: WholeNumber | None = None
    variants: Annotated[WholeNumber | None, Field(description="Videos in one job.")] = None
    input_image: Annotated[ImageText | None, Field(description="The video begins with it.")] = None
    last_image: Annotated[ImageText | None, Field(description="The video ends with it.")] = None
    reference_images: ImageTexts | None = None
    metadata: Metadata | None = None
    backend: BackendName | None = None
    model: ModelName | None = None
    aspect_ratio: AspectRatio | None = None
    resolution: Resolution | None = None
    audio: Audio | None = None
    seed: Seed | None = None
    negative_prompt: NegativePrompt | None = None
    options: Options | None = None
    webhook_url: WebhookUrl | None = None


def read_submission(headers: Mapping[str, str], body: bytes, read_form: FormReader) -> Submission:
    """Read and check a request; nothing is written. Raises InvalidRequest or a subclass."""
    key = idempotency_key(headers)
    fields = read_fields(headers, body, read_form, several=(REFERENCES,))
    if fields.files is not None:
        for name in ("metadata", "options"):
            object_in_form(fields.values, name)
    in_files = image_files(fields.files or {}, {name: name for name in IMAGES})
    request = validated(SubmitRequest, fields.values)
    images = _images(request, in_files, fields.taken_out)
    fields.taken_out.refuse_elsewhere()
    sent = request.model_dump(exclude_unset=True, exclude_none=True, exclude=set(IMAGES))
    return Submission(
        **request.model_dump(exclude={*IMAGES, "metadata", "options", *_WISHES}),
        metadata=request.metadata or {},
        wishes=Wishes(
            **request.model_dump(include=set(_WISHES)),
            options=options_text(request.options),
        ),
        images=images,
        idempotency_key=key,
        fingerprint=_fingerprint(sent, images),
    )


def _images(request: SubmitRequest, in_files: Mapping[str, list[SentImage]], taken_out: TakenOut) -> Images:
    """The images of the request. In a form, each may be a file or a text."""

    def sent(name: str, *texts: str | None) -> list[SentImage]:
        in_texts = (read_image(name, text, taken_out) for text in texts if text is not None)
        return [*in_files.get(name, []), *in_texts]

    return numbered(
        sent(FIRST, request.input_image),
        sent(LAST, request.last_image),
        sent(REFERENCES, *(request.reference_images or ())),
    )


def _fingerprint(sent: Mapping[str, Any], images: Images) -> str:
    """A hash of the request. An image counts by its bytes, in whatever form it was sent, or by its address."""
    named = {number: each.identity for number, each in sorted(images.items())}
    whole = [sent, named.pop(0, None), *([named] if named else [])]
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()
