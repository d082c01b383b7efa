"""What request bodies have in common: JSON objects, plain text, metadata, and problems by field."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationError

from http_edge.words import plain_words_for, unknown_field
from video_jobs.domain.errors import (
    FieldProblem,
    InvalidRequest,
    LengthRequired,
    RequestTooLarge,
    UnsupportedContentType,
)
from video_jobs.domain.unrepeated import unrepeated
from video_jobs.net.webhook_url import LONGEST_URL

_LARGEST_METADATA = 16_000  # UTF-16 units as JSON; a table property holds 32K
_MOST_ENTRIES = 16  # of metadata
_MOST_FIELDS = 1000  # of a body: validation needs a kilobyte for each wrong field
_MOST_PROBLEMS = 50  # in one answer
_LONGEST_NAME = 100  # characters of a field's name in a message

M = TypeVar("M", bound=BaseModel)


def plain_words(text: str) -> str:
    """Raises ValueError for text that storage or the video APIs do not take."""
    if any(ord(c) < 32 and c not in "\t\n\r" for c in text) or "\x7f" in text:
        raise ValueError("it holds control characters; send plain text")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("it holds half of a surrogate pair; send valid Unicode") from error
    return text


def utf16_units(text: str) -> int:
    """The length of a text as Table Storage counts it."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _few_enough(metadata: Any) -> Any:
    """Count the entries before each one is validated."""
    if isinstance(metadata, dict) and len(metadata) > _MOST_ENTRIES:
        raise ValueError(f"has {len(metadata)} entries; at most {_MOST_ENTRIES} are taken")
    return metadata


def _short_enough(metadata: dict[str, str]) -> dict[str, str]:
    if utf16_units(json.dumps(metadata, ensure_ascii=False)) > _LARGEST_METADATA:
        raise ValueError(f"is longer than {_LARGEST_METADATA} characters as JSON")
    return metadata


Metadata = Annotated[
    dict[
        Annotated[str, Field(min_length=1, max_length=64), AfterValidator(plain_words)],
        Annotated[str, Field(max_length=512), AfterValidator(plain_words)],
    ],
    Field(max_length=_MOST_ENTRIES, description="Your own notes about the job; each answer repeats them."),
    AfterValidator(_short_enough),
    BeforeValidator(_few_enough),
]

BackendName = Annotated[
    str,
    Field(min_length=1, max_length=40, description="A name from the settings; the first one is the default."),
]
"""The settings decide whether such a backend exists."""

ModelName = Annotated[
    str,
    Field(min_length=1, max_length=200, description="One of the backend's models; its own is the default."),
    AfterValidator(plain_words),
]
"""The settings and the provider decide whether such a model exists."""


WebhookUrl = Annotated[
    str,
    Field(
        min_length=1,
        max_length=LONGEST_URL,
        description="An HTTPS URL on the public internet. The app calls it when the job has ended.",
        json_schema_extra={"format": "uri"},
    ),
]
"""A setting decides whether http to this machine is allowed, too."""


# Others are left alone: some clients send a character set here.
_COMPRESSIONS = ("gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress")
_MOST_VALUES = 50_000  # of JSON in a request, counted by commas; a long prompt may have many, too


def refuse_beyond(body: bytes, most: int) -> None:
    """Raises RequestTooLarge if the body has more than `most` bytes."""
    if len(body) > most:
        message = f"has {len(body)} bytes; at most {most} are taken"
        raise RequestTooLarge.of("body", message, code="body_too_large")


def refuse_unreadable(headers: Mapping[str, str], body: bytes) -> None:
    """Raises LengthRequired if a body was sent in chunks: the Functions host then hands on an empty body. Raises
    UnsupportedContentType if it is compressed."""
    if not body and "chunked" in headers.get("transfer-encoding", "").lower():
        message = (
            "was sent in chunks, which the Azure Functions host does not pass on. Send it with Content-Length: in "
            "openai-node give `await toFile(stream)` instead of a stream, with curl a file instead of `-T -`"
        )
        raise LengthRequired.of("body", message, code="length_required")
    coding = headers.get("content-encoding", "").strip().lower()
    if coding in _COMPRESSIONS:
        message = f"is {coding}; send the body as it is, without compression"
        raise UnsupportedContentType.of("Content-Encoding", message, code="unsupported_media_type")


def json_object(body: bytes, example: str) -> dict[str, Any]:
    """The object in a JSON body. Raises InvalidRequest, whose message shows `example`, for any other body."""
    try:
        parsed = json_value(body)
    except ValueError as error:
        raise InvalidRequest.of("body", str(error), code="invalid_json") from error
    if not isinstance(parsed, dict):
        raise InvalidRequest.of("body", f"must be a JSON object, like {example}", code="invalid_json")
    return parsed


def json_value(text: bytes) -> Any:
    """Raises ValueError for what is not JSON, or has more values than any request needs."""
    # Each value becomes an object in memory that is a hundred times as large.
    if sum(map(text.count, (b",", b"[", b"{"))) > _MOST_VALUES:
        raise ValueError(f"has more than {_MOST_VALUES} values")
    try:
        return json.loads(text, object_pairs_hook=unrepeated)
    except UnicodeDecodeError as error:
        raise ValueError("is not JSON: it is not text in UTF-8") from error
    except RecursionError as error:
        raise ValueError("is not JSON that can be read: it is nested too deeply") from error
    except ValueError as error:
        if "int_max_str_digits" in str(error):  # Python's advice is for its own users
            raise ValueError(
                "is not JSON that can be read: it has a number of thousands of digits"
            ) from error
        raise ValueError(f"is not JSON: {error}") from error


def validated(model: type[M], raw: dict[str, Any]) -> M:
    """Raises InvalidRequest with all problems by the names of their fields, at most fifty."""
    if len(raw) > _MOST_FIELDS:
        known = ", ".join(model.model_fields)
        raise InvalidRequest.of("body", f"has {len(raw)} fields; known are {known}")
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        found = error.errors()
        problems = [_field_problem(model, each) for each in found[:_MOST_PROBLEMS]]
        if len(found) > _MOST_PROBLEMS:
            problems.append(FieldProblem("body", f"and {len(found) - _MOST_PROBLEMS} problems more"))
        raise InvalidRequest(problems) from error


def _field_problem(model: type[BaseModel], error: Any) -> FieldProblem:
    # A problem of no particular field is the body's.
    field = ".".join(str(part) for part in error["loc"] if part != "[key]") if error["loc"] else "body"
    match error["type"]:
        case "missing":
            message = "is missing"
        case "extra_forbidden":
            message = unknown_field(str(error["loc"][-1]), model.model_fields)
        case _:
            message = plain_words_for(error)
    return FieldProblem(shown_name(field), message)


def shown_name(name: str) -> str:
    """A field's name, made short and printable: the name is the client's input, too."""
    return "".join(c if c.isprintable() else "?" for c in name[:_LONGEST_NAME])
