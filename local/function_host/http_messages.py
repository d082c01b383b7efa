"""What a handler gets for a request, and what the wire gets for a handler's answer.

Both as the real host and its Python worker pass them on, including where that is a surprise.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import azure.functions as func

MAX_QUERY_FIELDS = 1024

# The server itself sets these.
_HOP_HEADERS = frozenset({"connection", "content-length", "date", "keep-alive", "transfer-encoding"})


class UnusableAnswerError(TypeError):
    """A handler returned what the Python worker cannot turn into a response."""


@dataclass(frozen=True)
class Answer:
    """A response, ready to be written: names and values are latin-1 without line breaks."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


def request_of(
    method: str,
    url: str,
    query: str,
    headers: Iterable[tuple[str, str]],
    route_values: dict[str, str],
    body: bytes,
) -> func.HttpRequest:
    """The request as the worker hands it over.

    Repeated headers and query parameters are joined by a comma, and empty query parameters are left
    out. Raises ValueError for a query with too many fields.
    """
    fields = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS)
    return func.http.HttpRequest(
        method=method,
        url=url,
        headers=_joined((name.lower(), value) for name, value in headers),
        params={name: value for name, value in _joined(fields).items() if value},
        route_params=route_values,
        body_type="bytes",
        body=body,
    )


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
