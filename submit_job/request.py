"""What a client may send, and the reading of it: JSON with a data URL, or multipart with a file."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from video_jobs.errors import FieldProblem, InvalidRequest, RequestTooLarge, UnsupportedContentType
from video_jobs.images import LARGEST_IMAGE, measure
from video_jobs.job import InputImage

LARGEST_BODY = LARGEST_IMAGE * 4 // 3 + (1 << 20)
"""Bytes: an image in base64, and the rest."""

LONGEST_PROMPT = 32_000
"""Characters and UTF-16 units: the video APIs count the first, Table Storage the second."""

_LARGEST_METADATA = 16_000  # UTF-16 units as JSON; a table property holds 32K
_DATA_URL = re.compile(r"data:(?P<type>[^;,]*)(?:;[^;,]*)*;base64,(?P<data>.*)", re.DOTALL)
_KEY = re.compile(r"[\x21-\x7e]{1,255}")

FormReader = Callable[[], tuple[Mapping[str, str], Mapping[str, Any]]]
"""Reads a multipart body: fields, and files with a `read` method."""


def _words(text: str) -> str:
    if any(ord(c) < 32 and c not in "\t\n\r" for c in text) or "\x7f" in text:
        raise ValueError("it holds control characters; send plain text")
    try:
        units = len(text.encode("utf-16-le")) // 2
    except UnicodeEncodeError as error:
        raise ValueError("it holds half of a surrogate pair; send valid Unicode") from error
    if units > LONGEST_PROMPT:
        raise ValueError(f"it has {units} UTF-16 units; at most {LONGEST_PROMPT} are taken")
    return text


def _prompt(text: str) -> str:
    if not text.strip():
        raise ValueError("it is empty; say what the video should show")
    return text


def _whole_number(value: Any) -> Any:
    """OpenAI's clients send seconds as a string, and a form knows nothing else."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,6}", value) else value


WholeNumber = Annotated[int, BeforeValidator(_whole_number), Field(strict=True, ge=1, le=3600)]


class SubmitRequest(BaseModel):
    """The body of `POST /api/jobs`. What is left out is the backend's default."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    prompt: Annotated[str, AfterValidator(_words), AfterValidator(_prompt), Field(max_length=LONGEST_PROMPT)]
    size: Annotated[str, Field(pattern=r"^[1-9][0-9]{1,4}x[1-9][0-9]{1,4}$")] | None = None
    seconds: WholeNumber | None = None
    variants: WholeNumber | None = None
    input_image: str | None = None
    metadata: Annotated[
        dict[
            Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_words)],
            Annotated[str, Field(max_length=512), AfterValidator(_words)],
        ],
        Field(max_length=16),
    ] = {}
    backend: Annotated[str, Field(min_length=1, max_length=40)] | None = None


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
    if len(body) > LARGEST_BODY:
        message = f"has {len(body)} bytes; at most {LARGEST_BODY} are taken"
        raise RequestTooLarge.of("body", message, code="body_too_large")
    key = headers.get("idempotency-key")
    if key is not None and not _KEY.fullmatch(key):
        raise InvalidRequest.of("Idempotency-Key", "must be 1 to 255 visible ASCII characters, like a UUID")
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        request = _validated(_json_object(body))
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


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest.of("body", f"is not JSON: {error}", code="invalid_json") from error
    if not isinstance(parsed, dict):
        raise InvalidRequest.of("body", 'must be a JSON object, like {"prompt": "…"}', code="invalid_json")
    return parsed


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
    return _validated(raw), content


def _from_data_url(text: str) -> bytes:
    match = _DATA_URL.fullmatch(text)
    if match is None:
        raise InvalidRequest.of("input_image", "must be a base64 data URL, like data:image/png;base64,…")
    try:
        return base64.b64decode(match["data"], validate=True)
    except ValueError as error:
        raise InvalidRequest.of("input_image", f"is not valid base64: {error}") from error


def _validated(raw: dict[str, Any]) -> SubmitRequest:
    try:
        request = SubmitRequest.model_validate(raw)
    except ValidationError as error:
        raise InvalidRequest([_field_problem(e) for e in error.errors()]) from error
    metadata = json.dumps(request.metadata, ensure_ascii=False)
    if len(metadata.encode("utf-16-le")) // 2 > _LARGEST_METADATA:
        raise InvalidRequest.of("metadata", f"is longer than {_LARGEST_METADATA} characters as JSON")
    return request


def _field_problem(error: Any) -> FieldProblem:
    field = ".".join(str(part) for part in error["loc"] if part != "[key]")
    match error["type"]:
        case "missing":
            message = "is missing"
        case "extra_forbidden":
            message = f"is not known; known are {', '.join(SubmitRequest.model_fields)}"
        case "string_pattern_mismatch" if field == "size":
            message = "must be WIDTHxHEIGHT in pixels, like 1280x720"
        case _:
            message = str(error["msg"]).removeprefix("Value error, ")
    # The field's own name is the client's input too.
    return FieldProblem("".join(c if c.isprintable() else "?" for c in field[:100]), message)
