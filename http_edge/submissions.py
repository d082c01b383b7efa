"""What all requests for a video share, in both APIs: fields, kinds of body, and images."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field

from http_edge.fields import (
    json_object,
    plain_words,
    refuse_beyond,
    refuse_unreadable,
    shown_name,
    utf16_units,
)
from http_edge.forms import refuse_costly_form
from http_edge.large_json import TakenOut, take_out_images
from video_jobs.domain.errors import InvalidRequest, UnsupportedContentType
from video_jobs.media.images import LARGEST_BODY

LONGEST_PROMPT = 32_000
"""In characters, as the video APIs count, and in UTF-16 units, as Table Storage counts."""

_LARGE_BODY = 1 << 20  # bytes
_large_bodies = threading.Lock()
_EXAMPLE = '{"prompt": "…"}'
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_TRANSFER = (b"Transfer-Encoding", b"transfer-encoding", b"TRANSFER-ENCODING")
_TRANSFER_ENCODED = re.compile(rb"[\r\n]content-transfer-encoding:[ \t]{0,9}(base64|quoted-printable)", re.I)
_SIZE = re.compile(r"[1-9][0-9]{1,4}x[1-9][0-9]{1,4}")

FormReader = Callable[[], tuple[Mapping[str, str], Mapping[str, Any]]]
"""Reads a multipart body. Gives its fields, and its files, which have a `read` method."""


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
    """Accept text too: OpenAI's clients send seconds as a string, and forms have only text."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,6}", value) else value


# The schema repeats, for readers of the contract, what the functions above check.
Prompt = Annotated[
    str,
    AfterValidator(_prompt),  # first: the other one looks at each character
    AfterValidator(plain_words),
    Field(
        description="Plain text: what the video should show.",
        json_schema_extra={"minLength": 1, "maxLength": LONGEST_PROMPT, "pattern": r"\S"},
    ),
]
Size = Annotated[
    str,
    AfterValidator(_size),
    Field(
        description="WIDTHxHEIGHT in pixels; one of the sizes that the backend's model makes.",
        json_schema_extra={"pattern": f"^{_SIZE.pattern}$"},
    ),
]
_InRange = Annotated[int, Field(strict=True, ge=1, le=3600)]
_Digits = Annotated[
    str, Field(pattern=r"^0*([1-9][0-9]{0,2}|[12][0-9]{3}|3[0-5][0-9]{2}|3600)$", max_length=6)
]
WholeNumber = Annotated[_InRange, BeforeValidator(_whole_number, json_schema_input_type=_InRange | _Digits)]

IdempotencyKey = Annotated[str, Field(pattern=f"^{_KEY.pattern}$")]


def idempotency_key(headers: Mapping[str, str]) -> str | None:
    """The request's idempotency key, or None. Raises InvalidRequest for a malformed key."""
    key = headers.get("idempotency-key")
    if key is not None and not _KEY.fullmatch(key):
        raise InvalidRequest.of("Idempotency-Key", "must be 1 to 255 visible ASCII characters, like a UUID")
    return key


class Fields(NamedTuple):
    """The content of a JSON body or of a form."""

    values: dict[str, Any]
    files: dict[str, list[Any]] | None  #: a form's files by name; None for JSON
    taken_out: TakenOut  #: large images of a JSON body


def read_fields(
    headers: Mapping[str, str], body: bytes, read_form: FormReader, several: Collection[str] = ()
) -> Fields:
    """Read a JSON body or a form. In a form, a field in `several` is the list of all its parts. Any other field may stand once:
    of two different values, nobody knows which was meant.

    Raises InvalidRequest or a subclass. After it has read the images, the caller calls `taken_out.refuse_elsewhere()`.
    """
    refuse_unreadable(headers, body)
    refuse_beyond(body, LARGEST_BODY)
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        body, taken_out = take_out_images(body)
        return Fields(json_object(body, _EXAMPLE), None, taken_out)
    if kind == "multipart/form-data":
        refuse_costly_form(headers.get("content-type", ""), body)
        form, parts = read_form()
        if not form and not parts:
            words = "has no part that can be read: it is empty, cut off or damaged; let your client write the form"
            raise InvalidRequest.of("body", words)
        fields = {name: _all(form, name) if name in several else form[name] for name in form}
        files = {name: _all(parts, name) for name in parts}
        repeated = next((name for name in form if name not in several and _differ(form, name)), None)
        if repeated is not None:
            raise InvalidRequest.of(shown_name(repeated), "is sent more than once; send one value")
        if None in fields or None in files:
            raise InvalidRequest.of("body", "has a part without a name; let your client write the form")
        _refuse_other_encodings(fields, body)
        return Fields(fields, files, TakenOut())
    found = f"is '{shown_name(kind)}'" if kind else "is missing"
    message = f"{found}; send application/json, or multipart/form-data with an image"
    raise UnsupportedContentType.of("Content-Type", message, code="unsupported_media_type")


def _refuse_other_encodings(fields: Mapping[str, Any], body: bytes) -> None:
    """Raises InvalidRequest for a replacement character that the client did not send: the parser puts one where a
    text is not UTF-8, and the video would be made from the changed text. So it would from a text in base64."""
    if any(name in body for name in _TRANSFER) and _TRANSFER_ENCODED.search(body):
        words = "has a part in base64 or quoted-printable, which is kept as it is in a form; send its content itself"
        raise InvalidRequest.of("body", words)
    mark = "\N{REPLACEMENT CHARACTER}"
    for name, value in fields.items():
        texts = value if isinstance(value, list) else [value]
        if any(mark in text for text in texts) and mark.encode() not in body:
            words = "is not text in UTF-8; if it is an image, send it as a file part with a file name"
            raise InvalidRequest.of(shown_name(name), words)


def _differ(form: Mapping[str, str], name: str) -> bool:
    return name is not None and not name.endswith("[]") and len(set(_all(form, name))) > 1


def _all(parts: Mapping[str, Any], name: str) -> list[Any]:
    """All parts of one name: a form may have several."""
    getlist = getattr(parts, "getlist", None)
    return list(getlist(name)) if getlist is not None else [parts[name]]


@contextlib.contextmanager
def large_body_turn(body: bytes) -> Iterator[Callable[[], None]]:
    """Let one request with a large body in at a time: while it is read and stored, an image is in memory several times.

    The function that it gives ends the turn early: for a request that waits for a stranger's host or the video API.
    """
    with contextlib.ExitStack() as turn:
        if len(body) >= _LARGE_BODY:
            turn.enter_context(_large_bodies)
        yield turn.close
