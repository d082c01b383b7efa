"""What a video API's HTTP answer means: the JSON object of a success, or the error of a refusal."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import requests

from video_jobs.backends.answers import (
    BackendMessage,
    ToldHeaders,
    error_message,
    json_in,
    message_in,
    names_a_state,
)
from video_jobs.backends.inline_video import shortened
from video_jobs.backends.redaction import Redactor
from video_jobs.backends.session import TROUBLE, cut_off
from video_jobs.domain.errors import (
    BackendError,
    Busy,
    Gone,
    NotFound,
    PaymentRequired,
    Rejected,
    Unauthorised,
    Unavailable,
)
from video_jobs.domain.refusal_kinds import is_wrong_key
from video_jobs.net.deadline import Deadline

LARGEST_ANSWER = 1 << 20
"""The largest answer in bytes, except for videos and lists; long texts inside it do not count."""

_PIECE = 64 << 10

_LARGEST_ERROR = 64 << 10  # bytes that are read of an error that can't be a job
_SECRET_HEADERS = ("api-key", "authorization", "x-goog-api-key")

_OBJECT = re.compile(r"^(?:data:[ \t]?)?(?=\{)", re.MULTILINE)
_MOST_OBJECTS = 20  # in one body

REFUSALS: dict[int, type[BackendError]] = {
    400: Rejected,
    401: Unauthorised,
    402: PaymentRequired,
    403: Unauthorised,
    404: NotFound,
    410: Gone,
    413: Rejected,
    415: Rejected,
    422: Rejected,
    429: Busy,
}
"""The error of each status that refuses; that of any other status is Unavailable."""

CAN_NOT_BE_DONE = dict.fromkeys((405, 409, 501), Rejected)
"""Statuses that refuse a delete. For a create they would prove nothing."""

Believed = Callable[[dict[str, Any]], bool]
"""Whether the body of an error status is what was requested."""


class Answer(NamedTuple):
    """A JSON object from which our key has been removed."""

    body: dict[str, Any]
    told: ToldHeaders = ToldHeaders()
    is_accepted: bool = False  #: status 202: the task goes on
    new_id: str | None = None  #: the id of the job that was created, if a header tells its address


def read_answer(response: requests.Response, deadline: Deadline, is_optional: bool = False) -> Answer:
    """Raises Unavailable if the body is cut off, too large, or not a JSON object; if it `is_optional`, it counts as an empty
    object then. A complete object is accepted even if the transfer breaks off after it: then the announced length was
    wrong. An empty body is one of a 202."""
    content, trouble = _as_far_as_it_comes(response, LARGEST_ANSWER + 1)
    body = json_object(content) if len(content) <= LARGEST_ANSWER else None
    is_accepted, redactor = response.status_code == 202, redactor_of(response)
    is_missing = body is None and not is_optional
    if is_missing and (trouble is not None or deadline.expired):
        raise Unavailable(cut_off(deadline))
    if is_missing and (content.strip() or not is_accepted):
        said = error_message(content[:_LARGEST_ERROR], redactor).in_words
        what = f"not a JSON object{said}" if content.strip() else "empty"
        raise Unavailable(f"its body is {what}.", status=response.status_code)
    return Answer(redactor.data(body or {}), ToldHeaders.read(response.headers, redactor), is_accepted)


def read_believed(response: requests.Response, is_it: Believed) -> Answer:
    """The body of an error status, if it is what was requested. Otherwise raises the error."""
    content = beginning_of(response, LARGEST_ANSWER)
    redactor = redactor_of(response)
    body = json_object(content)
    cleaned: dict[str, Any] | None = None if body is None else redactor.data(body)
    if cleaned is not None and is_it(cleaned):
        return Answer(cleaned, ToldHeaders.read(response.headers, redactor))
    message = error_message(content, redactor) if cleaned is None else message_in(cleaned)
    raise _refusal_with(response, message, {})


def json_object(content: bytes) -> dict[str, Any] | None:
    """Also an object that is JSON in a JSON text, alone in a list, or the job among other lines."""
    try:
        body = json_in(content)
        body = json.loads(body) if isinstance(body, str) else body
    except ValueError:
        body = _job_among_lines(content.decode("utf-8", "replace"))
    except RecursionError:
        return None
    if isinstance(body, list) and len(body) == 1:
        body = body[0]
    return body if isinstance(body, dict) else None


def _job_among_lines(text: str) -> Any:
    """The first object with a state, of server-sent events, of JSON in lines, or before a note. None after one that is cut off."""
    end = 0
    for _ in range(_MOST_OBJECTS):
        start = _OBJECT.search(text, end)
        try:
            body, end = json.JSONDecoder().raw_decode(text, start.end() if start else len(text))
        except (ValueError, RecursionError):
            return None
        if names_a_state(body):
            return body
    return None


def beginning_of(response: requests.Response, most: int = _LARGEST_ERROR) -> bytes:
    """The first bytes of any body, as far as they come."""
    return _as_far_as_it_comes(response, most)[0]


def _as_far_as_it_comes(response: requests.Response, most: int) -> tuple[bytes, Exception | None]:
    """The first bytes of a body without the long texts inside it, and what broke it off."""
    trouble: Exception | None = None

    def pieces() -> Iterator[bytes]:
        nonlocal trouble
        try:
            while more := response.raw.read1(_PIECE, decode_content=True):
                yield more
        except TROUBLE as error:
            trouble = error

    return shortened(pieces(), most, response.url if response.request.method == "GET" else None), trouble


def redactor_of(response: requests.Response) -> Redactor:
    """Removes the secrets that authenticated the request."""
    given = [str(response.request.headers.get(name, "")) for name in _SECRET_HEADERS]
    return Redactor(secret.rpartition(" ")[2] for secret in given)


def refuse_all_but_success(response: requests.Response) -> None:
    if not 200 <= response.status_code < 300:
        raise refusal(response)


def refusal(
    response: requests.Response, besides: Mapping[int, type[BackendError]] = MappingProxyType({})
) -> BackendError:
    return _refusal_with(response, error_message(beginning_of(response), redactor_of(response)), besides)


def _refusal_with(
    response: requests.Response, message: BackendMessage, besides: Mapping[int, type[BackendError]]
) -> BackendError:
    status = response.status_code
    kind = {**REFUSALS, **besides}.get(status, Unavailable)
    if kind is Unavailable and message.code == "429":
        kind = Busy  # servers do this: a 429 inside a 502
    if is_wrong_key(status, message.text):
        kind = Unauthorised
    told = ToldHeaders.read(response.headers, redactor_of(response))
    return kind(
        f"The video API answered {status}{message.in_words}.",
        status=status,
        code=message.code,
        detail=message.text,
        request_id=told.request_id,
        retry_after=told.wait,
    )
