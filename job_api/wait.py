"""`GET /api/jobs/{id}?wait=`: answers when the job changes, or when the time is over.

A waiting client holds no thread: each read runs on one, and between reads the coroutine sleeps.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from pydantic import Field

from http_edge.answers import SeenJob, see_job
from http_edge.etags import names
from http_edge.tracing import on_thread
from video_jobs.domain.errors import InvalidRequest
from video_jobs.domain.job import Status
from video_jobs.lifecycle.find import find_job
from video_jobs.services import Services

LONGEST_WAIT = 25
"""Seconds. Many proxies close a silent request after 30."""

MOST_WAITERS = 50
"""In one process; each reads a row a second. A request beyond this number is answered at once."""

Wait = Annotated[int, Field(ge=0, le=LONGEST_WAIT, json_schema_extra={"default": 0})]

_LINE_READS = 5  # a queue position costs a query, so only every fifth read asks for it

_waiters = threading.BoundedSemaphore(MOST_WAITERS)


def read_wait(text: str) -> int:
    """Seconds. Raises InvalidRequest."""
    if not text:
        return 0
    if not (re.fullmatch("[0-9]{1,2}", text) and int(text) <= LONGEST_WAIT):
        raise InvalidRequest.of("wait", f"must be a whole number of seconds from 0 to {LONGEST_WAIT}")
    return int(text)


async def follow_job(
    services: Services, owner: str, job_id: str, *, named: str | None, seconds: int
) -> tuple[SeenJob, bool]:
    """The job, and whether the client has this state already.

    `named` is the If-None-Match header. Without it, the job's state at the request counts as known. A job that has ended is
    answered at once. Raises InvalidRequest and JobNotFound, also during the wait.
    """
    reads = _Reads(services, owner, job_id)
    seen = await on_thread(reads.whole)
    # `*` means the job's state at the moment of the request.
    known = seen.etag if named is None or named.strip() == "*" else named
    if seconds and seen.retry_after is not None and names(known, seen.etag):
        with _as_waiter() as free:
            if free:
                seen = await _changed(reads, known, seconds, services.timings.between_reads)
    return seen, named is not None and names(known, seen.etag)


async def _changed(reads: _Reads, known: str, seconds: int, pause: float) -> SeenJob:
    """The job as soon as it differs from the known state, or when the time is over."""
    now = asyncio.get_running_loop().time
    deadline = now() + seconds
    while (left := deadline - now()) > 0:
        await asyncio.sleep(min(left, pause))
        seen = await on_thread(reads.glance)
        if not names(known, seen.etag):
            return seen
    return await on_thread(reads.whole)


@contextmanager
def _as_waiter() -> Iterator[bool]:
    taken = _waiters.acquire(blocking=False)
    try:
        yield taken
    finally:
        if taken:
            _waiters.release()


class _Reads:
    """Reads one job repeatedly."""

    def __init__(self, services: Services, owner: str, job_id: str) -> None:
        self._services = services
        self._owner = owner
        self._job_id = job_id
        self._etag = ""
        self._seen: SeenJob | None = None
        self._glances = 0

    def whole(self) -> SeenJob:
        """The job with its queue position and a fresh Retry-After."""
        stored = find_job(self._services, self._owner, self._job_id)
        self._etag, self._seen = stored.etag, see_job(self._services, stored.job)
        return self._seen

    def glance(self) -> SeenJob:
        """The job from a single read, if nothing has changed."""
        stored = find_job(self._services, self._owner, self._job_id)
        self._glances += 1
        line_too = stored.job.status is Status.WAITING and self._glances % _LINE_READS == 0
        if self._seen is None or stored.etag != self._etag or line_too:
            self._etag, self._seen = stored.etag, see_job(self._services, stored.job)
        return self._seen
