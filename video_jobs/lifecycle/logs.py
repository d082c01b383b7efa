"""What may be logged: our own lines. The libraries' lines repeat URLs, signatures and all."""

from __future__ import annotations

import json
import logging
from typing import Any

from video_jobs.domain.trace import current_traceparent


def quieten_libraries() -> None:
    for name in ("azure", "requests", "msal"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Its warnings name the URL of a download, which may be a signed one.
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)


def log_event(log: logging.Logger, level: int, event: str, **fields: Any) -> None:
    """One line of JSON under a stable name, with the trace that it belongs to."""
    trace = current_traceparent()
    line = {"event": event, **fields, **({"traceparent": trace} if trace else {})}
    log.log(level, "%s", json.dumps(line, ensure_ascii=False))
