"""Reads jobs: one job, a page of jobs, one of a job's videos."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field, with_config
from typing_extensions import TypedDict

from http_edge.pages import read_limit
from video_jobs.domain.errors import InputMissing, InvalidRequest, JobNotFound
from video_jobs.domain.ids import is_job_id
from video_jobs.domain.job import Job, Output, Status
from video_jobs.lifecycle.find import find_job
from video_jobs.services import Services
from video_jobs.views.job_schema import JobView

Index = Annotated[int, Field(ge=0, le=999)]
Cursor = Annotated[str, Field(pattern="^[A-Za-z0-9_-]*$")]
# An empty value means that the parameter is left out, as for the others.
Day = Annotated[str, Field(pattern="^([0-9]{4}-[0-9]{2}-[0-9]{2})?$")]
Name = Annotated[str, Field(max_length=40)]
_LONGEST_NAME = 40  # characters
WithUrls = Annotated[Literal["true", "false"], Field(json_schema_extra={"default": "true"})]


@with_config(use_attribute_docstrings=True)
class JobPageView(TypedDict):
    """A page of the list; its jobs come without their histories."""

    jobs: list[JobView]
    next_cursor: str | None
    """Send it to get the next page; null on the last page."""


def read_output(services: Services, owner: str, job_id: str, index: str) -> tuple[Job, Output]:
    """A job and one of its outputs. Raises JobNotFound, and InvalidRequest for an index that is not a number."""
    job = find_job(services, owner, job_id).job
    if not (index.isascii() and index.isdecimal() and len(index) <= 3):
        raise InvalidRequest.of(
            "index", "a video's index is a number, beginning with 0", code="invalid_index"
        )
    output = job.output(int(index))
    if output is not None:
        return job, output
    if not job.is_terminal and int(index) < job.request.variants:
        return job, Output(int(index), "")  # the video may still come
    raise JobNotFound(f"{job_id} with a video {int(index)}")


def read_input_image(services: Services, owner: str, job_id: str) -> tuple[str, bytes]:
    """The image's content type and bytes. Raises InvalidRequest, JobNotFound and InputMissing."""
    image = find_job(services, owner, job_id).job.request.input_image
    if image is None:
        raise InputMissing(f"{job_id} began without an image.")
    with services.blobs.get_input(owner, job_id) as file:
        return image.content_type, file.read()


def list_jobs(services: Services, owner: str, query: Mapping[str, str]) -> tuple[list[Job], str | None]:
    """A page of the owner's jobs, newest first, and the cursor of the next one.

    Raises InvalidRequest for an unusable `status`, `backend`, `day`, `limit` or `cursor`.
    """
    statuses = _statuses(query.get("status", ""))
    backend, day = query.get("backend") or None, _day(query.get("day", ""))
    if backend is not None and len(backend) > _LONGEST_NAME:
        raise InvalidRequest.of("backend", "must be a backend's name")
    limit = read_limit(query.get("limit", ""))
    which = [owner, sorted(statuses), *([backend, str(day)] if backend or day else [])]
    list_id = hashlib.sha256(json.dumps(which).encode()).hexdigest()[:16]
    after = _decode_cursor(query["cursor"], list_id) if query.get("cursor") else None
    made = (day, day + timedelta(days=1)) if day else None
    page = services.jobs.page(owner, limit=limit, after=after, statuses=statuses, backend=backend, made=made)
    return page.jobs, _encode_cursor(page.after, list_id) if page.after else None


def read_with_urls(text: str) -> bool:
    """Raises InvalidRequest."""
    if text not in ("", "true", "false"):
        raise InvalidRequest.of("urls", "must be true or false")
    return text != "false"


def _statuses(text: str) -> frozenset[Status]:
    try:
        return frozenset(Status(word) for word in text.split(",") if word)
    except ValueError as error:
        raise InvalidRequest.of(
            "status", f"must be one or more of these, with commas between them: {', '.join(Status)}"
        ) from error


def _day(text: str) -> datetime | None:
    """When the day begins, in UTC."""
    if not text:
        return None
    try:
        if not re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            raise ValueError(text)
        begin = datetime.fromisoformat(text).replace(tzinfo=UTC)
        begin - timedelta(days=1), begin + timedelta(days=1)
    except (ValueError, OverflowError):
        raise InvalidRequest.of("day", "must be a day, like 2026-11-28") from None
    return begin


def _encode_cursor(after: str, list_id: str) -> str:
    return base64.urlsafe_b64encode(f"{list_id}:{after}".encode()).decode("ascii").rstrip("=")


def _decode_cursor(text: str, list_id: str) -> str:
    """Where the page begins. A cursor is valid only in the list that it came from."""
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode(
            "ascii"
        )
    except ValueError:
        decoded = ""
    whose, _, after = decoded.partition(":")
    if whose != list_id or not is_job_id(after):
        raise InvalidRequest.of(
            "cursor",
            "is not from this list; send next_cursor unchanged, with the same status, backend and day, or leave it out",
            code="invalid_cursor",
        )
    return after
