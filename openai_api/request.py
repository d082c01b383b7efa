"""What a client may send to create a video, and the reading of it: OpenAI's fields, in JSON or in a form."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from http_edge.fields import validated
from http_edge.submissions import (
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
from openai_api.models import chosen_by
from video_jobs.domain.errors import InvalidRequest
from video_jobs.domain.job import InputImage
from video_jobs.lifecycle.submit import Submission
from video_jobs.ports import Backends

_IMAGE = "input_reference"
_IMAGE_URL, _FILE_ID = "image_url", "file_id"
# What other clients call the images that a video is made from. To leave one alone would be to make, and pay for, a video
# without it.
_OTHER_IMAGES = frozenset(
    ("image", "images", "image_url", "first_frame", "last_frame", "last_image", "start_image", "end_image")
) | frozenset(("image_reference", "reference_url", "reference_images", "frame_images", "input_references"))
_EXAMPLE = '{"image_url": "data:image/png;base64,…"}'

ModelName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        description="A backend's name, or its model. sora-2 and sora-2-pro are the default one where no backend has them.",
    ),
]
ImageReference = Annotated[
    Any,
    WithJsonSchema(
        {
            "type": ["object", "null"],
            "properties": {_IMAGE_URL: {"type": "string", "description": "A base64 data URL."}},
            "required": [_IMAGE_URL],
            "description": "The image that the video starts from; in a form a file.",
        }
    ),
]


class CreateVideo(BaseModel):
    """The body of `POST /api/v1/videos`. Fields that aren't known are left alone: tools send some of their own. Images under other names are refused."""

    model_config = ConfigDict(extra="ignore", defer_build=True)

    prompt: Prompt
    model: ModelName | None = None
    size: Size | None = None
    seconds: WholeNumber | None = None
    input_reference: ImageReference = None


def read_create(
    headers: Mapping[str, str], body: bytes, read_form: FormReader, backends: Backends
) -> Submission:
    """Raises InvalidRequest or a kind of it; nothing was written then."""
    key = idempotency_key(headers)
    fields, files = read_fields(headers, body, read_form)
    _refuse_other_images(fields)
    content = file_in(files, _IMAGE) if files is not None else None
    if files is not None and not str(fields.get(_IMAGE, "data:")).startswith(("data:", "http", "{")):
        refuse_nameless_file(_IMAGE, fields[_IMAGE])
    request = validated(CreateVideo, fields)
    if content is None:
        content = _referenced(_reference_in(fields))
    image = image_in(content) if content is not None else None
    backend, model = chosen_by(backends, request.model)
    return Submission(
        prompt=request.prompt,
        size=request.size,
        seconds=request.seconds,
        backend=backend,
        model=model,
        image=image,
        image_bytes=content,
        idempotency_key=key,
        fingerprint=_fingerprint(fields, image),
    )


def is_repeat(headers: Mapping[str, str]) -> bool:
    """Whether OpenAI's package says that it sends a request again, which it does without any other sign."""
    count = headers.get("x-stainless-retry-count", "")
    return count.isascii() and count.isdecimal() and len(count) < 10 and int(count) > 0


def _fingerprint(fields: dict[str, Any], image: InputImage | None) -> str:
    """Of all that was sent, what isn't known too; of the image its bytes, however they came."""
    sent = {name: value for name, value in fields.items() if name.partition("[")[0] != _IMAGE}
    try:
        whole = json.dumps([sent, image.sha256 if image else None], sort_keys=True)
    except RecursionError as error:
        raise InvalidRequest.of("body", "is nested too deeply", code="invalid_json") from error
    return hashlib.sha256(whole.encode("ascii")).hexdigest()


def _refuse_other_images(fields: Mapping[str, Any]) -> None:
    """Raises InvalidRequest. A field that is null or empty asks for nothing."""
    for name, value in fields.items():
        field = name.partition("[")[0]
        if field in _OTHER_IMAGES and value not in (None, "", [], {}):
            raise InvalidRequest.of(field, f"is not taken; send one image, as {_IMAGE}: {_EXAMPLE}")


def _reference_in(fields: dict[str, Any]) -> Any:
    """As JSON has it, or as OpenAI's package spreads an object over a form's fields."""
    spread = {
        name: fields[f"{_IMAGE}[{name}]"] for name in (_IMAGE_URL, _FILE_ID) if f"{_IMAGE}[{name}]" in fields
    }
    return spread or fields.get(_IMAGE)


def _referenced(reference: Any) -> bytes | None:
    if reference is None:
        return None
    if isinstance(reference, str):
        reference = {_IMAGE_URL: reference}
    if not isinstance(reference, dict):
        raise InvalidRequest.of(_IMAGE, f"must be a file part, or {_EXAMPLE}")
    if reference.get(_FILE_ID) is not None:
        raise InvalidRequest.of(
            f"{_IMAGE}.{_FILE_ID}", "is not taken, since no files are kept here; send the image itself"
        )
    url = reference.get(_IMAGE_URL)
    if not isinstance(url, str):
        raise InvalidRequest.of(_IMAGE, f"needs an image_url: {_EXAMPLE}")
    if not url.startswith("data:"):
        raise InvalidRequest.of(
            f"{_IMAGE}.{_IMAGE_URL}", "must be a data URL: nothing is fetched from other hosts"
        )
    return from_data_url(f"{_IMAGE}.{_IMAGE_URL}", url)
