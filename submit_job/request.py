"""What a client may send, and the reading of it: JSON with a data URL, or multipart with a file."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from http_edge.fields import (
    BackendName,
    Metadata,
    json_object,
    plain_words,
    refuse_beyond,
    utf16_units,
    validated,
)
from video_jobs.errors import InvalidRequest, UnsupportedContentType
from video_jobs.images import LARGEST_IMAGE, measure
from video_jobs.job import InputImage

LARGEST_BODY = LARGEST_IMAGE * 4 // 3 + (1 << 20)
"""Bytes: an image in base64, and the rest."""

LONGEST_PROMPT = 32_000
"""Characters and UTF-16 units: the video APIs count the first, Table Storage the second."""

_EXAMPLE = '{"prompt": "…"}'
_DATA_URL = re.compile(r"data:(?P<type>[^;,]*)(?:;[^;,]*)*;base64,(?P<data>.*)", re.DOTALL)
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_SIZE = re.compile(r"[1-9][0-9]{1,4}x[1-9][0-9]{1,4}")

FormReader = Callable[[], tuple[Mapping[str, str], Mapping[str, Any]]]
"""Reads a multipart body: fields, and files with a `read` method."""


def _prompt(text: str) -> str:
    if not text.strip():
        raise ValueError("it is empty; say what the video should show")
    units = utf16_units(text)
    if units > LONGEST_PROMPT:
        raise ValueError(f"it has {units} UTF-16 units; at most {LONGEST_PROMPT} are taken")
    return text


def _size(text: str) -> str:
    if not _SIZE.fullmatch(text):
        raise ValueError("must be WIDTHxHEIGHT in pixels, like 1280x720")
    return text


def _whole_number(value: Any) -> Any:
    """OpenAI's clients send seconds as a string, and a form knows nothing else."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,6}", value) else value


WholeNumber = Annotated[int, BeforeValidator(_whole_number), Field(strict=True, ge=1, le=3600)]


class SubmitRequest(BaseModel):
    """The body of `POST /api/jobs`. What is left out is the backend's default."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    prompt: Annotated[str, AfterValidator(plain_words), AfterValidator(_prompt)]
    size: Annotated[str, AfterValidator(_size)] | None = None
    seconds: WholeNumber | None = None
    variants: WholeNumber | None = None
    input_image: str | None = None
    metadata: Metadata = {}
    backend: BackendName | None = None


@dataclass(frozen=True)
class Submission:
    """A request that is well-formed; whether the model can do it is for the backend's limits to say."""

    request: SubmitRequest
    image: InputImage | None
    image_bytes: bytes | None
    idempotency_key: str | None
    fingerprint: str  #: sha256 of the whole request


def read_submission(headers: Mapping[str, str], body: bytes, read_form: FormReader) -> Submission:
    """Raises InvalidRequest or a kind of it; nothing was written then."""
    refuse_beyond(body, LARGEST_BODY)
    key = headers.get("idempotency-key")
    if key is not None and not _KEY.fullmatch(key):
        raise InvalidRequest.of("Idempotency-Key", "must be 1 to 255 visible ASCII characters, like a UUID")
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        request = validated(SubmitRequest, json_object(body, _EXAMPLE))
        content = _from_data_url(request.input_image) if request.input_image is not None else None
    elif kind == "multipart/form-data" and "boundary=" not in headers.get("content-type", ""):
        raise InvalidRequest.of("Content-Type", "is multipart without a boundary; let your client write it")
    elif kind == "multipart/form-data":
        fields, files = read_form()
        request, content = _from_form(fields, files)
    else:
        message = f"is '{kind or 'missing'}'; send application/json, or multipart/form-data with an image"
        raise UnsupportedContentType.of("Content-Type", message, code="unsupported_media_type")
    image = None
    if content is not None:
        media_type, width, height = measure(content)
        image = InputImage(media_type, len(content), hashlib.sha256(content).hexdigest(), width, height)
    fields_sent = request.model_dump(exclude_unset=True, exclude={"input_image"})
    whole = json.dumps([fields_sent, image.sha256 if image else None], sort_keys=True)
    return Submission(request, image, content, key, hashlib.sha256(whole.encode()).hexdigest())


def _from_form(fields: Mapping[str, str], files: Mapping[str, Any]) -> tuple[SubmitRequest, bytes | None]:
    strange = sorted(set(files) - {"input_image"})
    if strange:
        raise InvalidRequest.of(strange[0], "is no file that is taken; send the image as input_image")
    if "input_image" in fields:
        raise InvalidRequest.of("input_image", "must be a file part with a file name, in multipart")
    raw: dict[str, Any] = dict(fields.items())
    if "metadata" in raw:
        try:
            raw["metadata"] = json.loads(raw["metadata"])
        except (ValueError, RecursionError) as error:
            raise InvalidRequest.of("metadata", f"must be a JSON object in a form: {error}") from error
    content: bytes | None = files["input_image"].read() if "input_image" in files else None
    return validated(SubmitRequest, raw), content


def _from_data_url(text: str) -> bytes:
    match = _DATA_URL.fullmatch(text)
    if match is None:
        raise InvalidRequest.of("input_image", "must be a base64 data URL, like data:image/png;base64,…")
    try:
        return base64.b64decode(match["data"], validate=True)
    except ValueError as error:
        raise InvalidRequest.of("input_image", f"is not valid base64: {error}") from error
