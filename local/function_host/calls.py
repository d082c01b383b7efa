"""A call to a function and its result, in a form that can be sent to another process.

Both are as the real host and its Python worker pass them on, also where that is unexpected.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

import azure.functions as func
from azure.functions.queue import QueueMessage

# The server itself sets these.
_HOP_HEADERS = frozenset({"connection", "content-length", "date", "keep-alive", "transfer-encoding"})


class UnusableAnswerError(TypeError):
    """A handler returned what the Python worker cannot turn into a response."""


@dataclass(frozen=True)
class HttpCall:
    """A request. Repeated headers and query parameters are joined by a comma; empty parameters are left out."""

    method: str
    url: str
    headers: dict[str, str]  #: names in lower case
    params: dict[str, str]
    route_values: dict[str, str]
    body: bytes

    def argument(self) -> func.HttpRequest:
        return func.http.HttpRequest(
            method=self.method,
            url=self.url,
            headers=self.headers,
            params=self.params,
            route_params=self.route_values,
            body_type="bytes",
            body=self.body,
        )


@dataclass(frozen=True)
class QueueCall:
    id: str
    body: bytes
    dequeue_count: int
    insertion_time: datetime | None
    expiration_time: datetime | None
    time_next_visible: datetime | None
    pop_receipt: str

    def argument(self) -> QueueMessage:
        return QueueMessage(
            id=self.id,
            body=self.body,
            dequeue_count=self.dequeue_count,
            insertion_time=self.insertion_time,
            expiration_time=self.expiration_time,
            time_next_visible=self.time_next_visible,
            pop_receipt=self.pop_receipt,
        )


@dataclass(frozen=True)
class TimerCall:
    past_due: bool

    def argument(self) -> func.timer.TimerRequest:
        return func.timer.TimerRequest(past_due=self.past_due)


@dataclass(frozen=True)
class Invocation:
    """One call of a function. `traceparent`: the HTTP request's, or a new one."""

    id: str
    function: str
    call: HttpCall | QueueCall | TimerCall
    traceparent: str


@dataclass(frozen=True)
class Answer:
    """A response, ready to be written: names and values are latin-1 without line breaks."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


def http_call(
    method: str,
    url: str,
    query: str,
    headers: Iterable[tuple[str, str]],
    route_values: dict[str, str],
    body: bytes,
) -> HttpCall:
    return HttpCall(
        method=method,
        url=url,
        headers=_joined((name.lower(), value) for name, value in headers),
        params=query_of(query),
        route_values=route_values,
        body=body,
    )


def query_of(query: str) -> dict[str, str]:
    return {name: value for name, value in _joined(parse_qsl(query, keep_blank_values=True)).items() if value}


def answer_of(result: Any) -> Answer:
    """The response for what a handler returned.

    A string is a 200 in plain text; None and everything else are an error, as in the worker.
    Raises UnusableAnswerError.
    """
    if isinstance(result, str):
        return Answer(200, [("Content-Type", "text/plain; charset=utf-8")], result.encode())
    if not isinstance(result, func.HttpResponse):
        raise UnusableAnswerError(
            f"an HTTP function must return a func.HttpResponse or a str, not {type(result).__name__}"
        )
    headers = list(_response_headers(result))
    for name, value in headers:
        if "\r" in name + value or "\n" in name + value:
            raise UnusableAnswerError(f"the response header {name!r} contains a line break")
        try:
            f"{name}{value}".encode("latin-1")
        except UnicodeEncodeError:
            raise UnusableAnswerError(f"the response header {name!r} is not latin-1") from None
    return Answer(int(result.status_code), headers, result.get_body())


def _response_headers(response: func.HttpResponse) -> Iterator[tuple[str, str]]:
    pairs: list[tuple[str, str]] = list(response.headers.items())
    # The worker sends a mapping: of a repeated header the last one stays, except for cookies.
    latest = {name.lower(): (name, value) for name, value in pairs if name.lower() != "set-cookie"}
    if "content-type" not in latest:
        text = response.mimetype.startswith("text/")
        kind = f"{response.mimetype}; charset={response.charset}" if text else response.mimetype
        yield "Content-Type", kind
    yield from (pair for lower, pair in latest.items() if lower not in _HOP_HEADERS)
    yield from (pair for pair in pairs if pair[0].lower() == "set-cookie")


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined
