"""What both dialects do alike with answers that hold jobs: one that was just made, and lists by pages."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from video_jobs.backends.answers import identifier
from video_jobs.backends.http import Answer, BackendHttp
from video_jobs.errors import Unavailable, UnknownOutcome
from video_jobs.ports import BackendJob

Read = Callable[[dict[str, Any], Mapping[str, str], str], BackendJob]
"""A dialect's reading of a body, with its headers, about the job of that id."""

_DEADLINE = 120.0  # seconds for all pages of a list together


def created_job(answer: Answer, read: Read) -> BackendJob:
    """Raises UnknownOutcome for a success that does not say what was made."""
    job_id = identifier(answer.body.get("id"))
    if job_id is None:
        raise UnknownOutcome("The video API took the job, but its answer bears no id.")
    return read(answer.body, answer.headers, job_id)


def every_job(http: BackendHttp, path: str, query: dict[str, str], read: Read) -> Iterator[BackendJob]:
    """All that the list holds, in its order, page by page; entries without an id are passed over.

    Raises Unavailable when the whole takes too long.
    """
    began = time.monotonic()
    while time.monotonic() - began < _DEADLINE:
        page = http.get(path, **query).body
        entries = page.get("data")
        objects = [e for e in entries if isinstance(e, dict)] if isinstance(entries, list) else []
        jobs = [read(e, {}, job_id) for e in objects if (job_id := identifier(e.get("id"))) is not None]
        yield from jobs
        if not page.get("has_more") or not jobs:
            return
        query = {**query, "after": jobs[-1].id}
    raise Unavailable("The video API takes too long over its list.")
