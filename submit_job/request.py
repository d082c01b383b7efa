"""What a client may send, and the reading of it: JSON with a data URL, or multipart with a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from http_edge.fields import BackendName, Metadata, ModelName, WebhookUrl, validated
from http_edge.submissions import (
    DataUrl,
    FormReader,
    Prompt,
    Size,
    WholeNumber,
    file_in,
    from_data_url,
    idempotency_key,
    image_in,
    read_fields,
    refuse_nameless_file,
)
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
from video_jobs.lifecycle.submit import Submission

_WISHES = ("aspect_ratio", "resolution", "audio", "seed", "negative_prompt")


class SubmitRequest(BaseModel):
    """The body of `POST /api/jobs`. What is left out is the backend's default."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    prompt: Prompt
    size: Size | None = None
    seconds: WholeNumber | None = None
    variants: Annotated[WholeNumber | None, Field(description="Videos in one job.")] = None
    input_image: DataUrl | None = None
    metadata: Metadata = {}
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
    """Raises InvalidRequest or a kind of it; nothing was written then."""
    key = idempotency_key(headers)
    fields, files = read_fields(headers, body, read_form)
    if files is None:
        request = validated(SubmitRequest, fields)
        text = request.input_image
        content = from_data_url("input_image", text) if text is not None else None
    else:
        request, content = _from_form(fields, files)
    image = image_in(content) if content is not None else None
    sent = request.model_dump(exclude_unset=True, exclude={"input_image"})
    whole = json.dumps([sent, image.sha256 if image else None], sort_keys=True)
    return Submission(
        **request.model_dump(exclude={"input_image", "options", *_WISHES}),
        wishes=Wishes(
            **request.model_dump(include=set(_WISHES)),
            options=options_text(request.options),
        ),
        image=image,
        image_bytes=content,
        idempotency_key=key,
        fingerprint=hashlib.sha256(whole.encode()).hexdigest(),
    )


def _from_form(fields: dict[str, Any], files: dict[str, Any]) -> tuple[SubmitRequest, bytes | None]:
    content = file_in(files, "input_image")
    refuse_nameless_file("input_image", fields.get("input_image"))
    for name in ("metadata", "options"):
        object_in_form(fields, name)
    return validated(SubmitRequest, fields), content
