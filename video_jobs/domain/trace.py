"""The W3C trace of the request that caused some work: the work's messages and log lines carry it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from contextvars import ContextVar

_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

_current: ContextVar[str | None] = ContextVar("traceparent", default=None)


def valid_traceparent(text: object) -> str | None:
    """The value if it is a traceparent (https://www.w3.org/TR/trace-context/), else None."""
    return text if isinstance(text, str) and _TRACEPARENT.fullmatch(text) else None


def current_traceparent() -> str | None:
    return _current.get()


@contextlib.contextmanager
def following(traceparent: object) -> Iterator[None]:
    """Messages and log lines in this context belong to the trace. An invalid traceparent is ignored."""
    token = _current.set(valid_traceparent(traceparent))
    try:
        yield
    finally:
        _current.reset(token)
