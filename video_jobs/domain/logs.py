"""The app's log lines: JSON under stable event names. Lines of libraries are suppressed: they repeat signed URLs."""

from __future__ import annotations

import json
import logging
from typing import Any

from video_jobs.domain.errors import ReelkeepError
from video_jobs.domain.trace import current_traceparent


def quieten_libraries() -> None:
    for name in ("azure", "requests", "msal"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Its warnings name the URL of a download, which may be a signed one.
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)


def log_event(log: logging.Logger, level: int, event: str, **fields: Any) -> None:
    """Log one line of JSON: the event's name, its fields, and the trace that the function follows.

    Args:
        event: a stable name, listed in docs/reference/events.md.
        fields: what JSON can't express, like an exception, is written as its text.
    """
    log.log(level, "%s", _line(event, fields))


def log_unexpected(log: logging.Logger, event: str, **fields: Any) -> None:
    """Log an ERROR line like `log_event`, followed by the traceback of the exception that is being handled."""
    log.error("%s", _line(event, fields), exc_info=True)


def in_brief(error: Exception) -> str:
    """The error in one line. The further lines of a library's error may repeat what a row holds."""
    said = str(error).partition("\n")[0]
    return said if isinstance(error, ReelkeepError) else f"{type(error).__name__}: {said}"


def _line(event: str, fields: dict[str, Any]) -> str:
    trace = current_traceparent()
    line = {"event": event, **fields, **({"traceparent": trace} if trace else {})}
    return json.dumps(line, ensure_ascii=False, default=str)
