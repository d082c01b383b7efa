"""Reading a list page by page; both dialects page by the last id."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from video_jobs.backends.http import BackendHttp
from video_jobs.errors import Unavailable
from video_jobs.ports import BackendJob

_DEADLINE = 120.0  # seconds for all pages together


def every_job(
    http: BackendHttp, path: str, query: dict[str, str], read: Callable[[Any], BackendJob | None]
) -> Iterator[BackendJob]:
    """All that the list holds, in its order; entries that `read` makes nothing of are passed over.

    Raises Unavailable when the whole takes too long.
    """
    began = time.monotonic()
    while time.monotonic() - began < _DEADLINE:
        page = http.get(path, **query).body
        entries = page.get("data")
        jobs = [job for entry in entries if (job := read(entry))] if isinstance(entries, list) else []
        yield from jobs
        if not page.get("has_more") or not jobs:
            return
        query = {**query, "after": jobs[-1].id}
    raise Unavailable("The video API takes too long over its list.")
