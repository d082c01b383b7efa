"""The jobs for an operator: those that have waited longest, those that need attention, and those with webhooks.

Every answer reads a limited number of rows, however many jobs there are: the line of a backend, the live jobs and an
owner's jobs are ranges of keys. A cursor leads to the rest.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Annotated, Literal

from pydantic import Field, with_config
from typing_extensions import TypedDict

from video_jobs.domain.errors import InvalidRequest, JobNotFound, UnreadableRow
from video_jobs.domain.ids import is_job_id
from video_jobs.domain.job import DEFAULT_OWNER, Job, Status
from video_jobs.domain.webhook import WebhookStatus
from video_jobs.ports import GivenUp, LiveJob
from video_jobs.services import Services
from video_jobs.views.job_schema import Time, WebhookView
from video_jobs.views.job_view import job_summary, time_text

_MOST_READ = 100  # rows of jobs in one answer
_MOST_IN_LINE = 20  # of each backend
_MOST_JOBS = 50  # of an owner in one answer

Show = Annotated[
    Literal["waiting", "attention", "given_up"], Field(json_schema_extra={"default": "attention"})
]
Owner = Annotated[str, Field(min_length=1, max_length=200)]
OwnerOrDefault = Annotated[str, Field(max_length=200, json_schema_extra={"default": DEFAULT_OWNER})]
Cursor = Annotated[str, Field(pattern="^[A-Za-z0-9_-]*$", max_length=2000)]

_documented = with_config(use_attribute_docstrings=True)


@_documented
class OperatorJobView(TypedDict):
    """A job for the operator: without prompt, images and videos."""

    id: str
    owner: str
    backend: str
    status: Status
    created_at: Time
    status_since: Time | None
    next_poll_at: Time | None
    """Null if the job is in line or has ended."""
    reason: str | None
    alarm: str | None
    last_error: str | None
    """Why the last poll or download failed with an error of the app."""
    poisoned_at: Time | None
    """When a message of the job last became a poison message."""
    webhook: WebhookView | None


@_documented
class OperatorJobsView(TypedDict):
    """Some jobs."""

    jobs: list[OperatorJobView]
    read: int
    """Rows that were read for this answer."""
    next_cursor: str | None
    """Send it to read on; null at the end."""


def list_live(services: Services, query: Mapping[str, str]) -> OperatorJobsView:
    """A page of live jobs. Raises InvalidRequest for an unusable `show` or `cursor`."""
    show = query.get("show") or "attention"
    if show == "waiting":
        lines = (services.live_jobs.line(name, _MOST_IN_LINE) for name in services.backends.names())
        rows = sorted((live for line in lines for live in line), key=lambda live: live.key)[:_MOST_READ]
        jobs = list(_read(services, rows))
        return {"jobs": [operator_view(job) for job in jobs], "read": len(rows), "next_cursor": None}
    if show == "given_up":
        return _list_given_up(services, query.get("cursor", ""))
    if show != "attention":
        raise InvalidRequest.of("show", "must be waiting, attention or given_up")
    rows = list(islice(services.live_jobs.all(_after(query.get("cursor", ""))), _MOST_READ + 1))
    more, rows = len(rows) > _MOST_READ, rows[:_MOST_READ]
    jobs = [job for job in _read(services, rows) if _needs_attention(job)]
    cursor = _cursor(rows[-1].backend, rows[-1].key) if more else None
    return {"jobs": [operator_view(job) for job in jobs], "read": len(rows), "next_cursor": cursor}


def _list_given_up(services: Services, cursor: str) -> OperatorJobsView:
    """Of all owners. A stale note is skipped; it is removed if its job is deleted or its webhook was delivered."""
    after = _job_id_in(cursor)
    notes = services.hooks.given_up(after, _MOST_JOBS + 1)
    more, notes = len(notes) > _MOST_JOBS, notes[:_MOST_JOBS]
    jobs = [job for note in notes if (job := _given_up_job(services, note)) is not None]
    cursor_after = _cursor("", notes[-1].job_id) if more else None
    return {
        "jobs": [operator_view(job) for job in jobs],
        "read": len(notes),
        "next_cursor": cursor_after,
    }


def _given_up_job(services: Services, note: GivenUp) -> Job | None:
    try:
        job = services.jobs.get(note.owner, note.job_id).job
    except JobNotFound:
        services.hooks.forget_given_up(note)
        return None
    except UnreadableRow:
        return None  # a newer version of the app wrote it
    status = job.webhook.status if job.webhook is not None else None
    if status is WebhookStatus.DELIVERED:
        services.hooks.forget_given_up(note)
    return job if status is WebhookStatus.FAILED and job.deleted_at is None else None


def list_deliveries(services: Services, query: Mapping[str, str]) -> OperatorJobsView:
    """The newest jobs of an owner that have a webhook. Raises InvalidRequest for an unusable `owner` or `cursor`."""
    owner = query.get("owner") or DEFAULT_OWNER
    if not is_owner(owner):
        raise InvalidRequest.of("owner", "must be an owner, as jobs have it: at most 200 characters")
    after = _job_id_in(query.get("cursor", ""))
    page = services.jobs.page(owner, limit=_MOST_JOBS, after=after, statuses=frozenset())
    jobs = [operator_view(job) for job in page.jobs if job.webhook is not None]
    cursor = _cursor(owner, page.after) if page.after else None
    return {"jobs": jobs, "read": len(page.jobs), "next_cursor": cursor}


def is_owner(text: str) -> bool:
    """Whether the text can be an owner, which is a key of a table."""
    return 0 < len(text) <= 200 and text.isprintable() and not set(text) & set("/\\#?")


def _read(services: Services, rows: Iterable[LiveJob]) -> Iterator[Job]:
    for live in rows:
        try:
            job = services.jobs.get(live.owner, live.job_id).job
        except (JobNotFound, UnreadableRow):
            continue  # just accepted, just deleted, or a newer version's
        if job.deleted_at is None:
            yield job


def _needs_attention(job: Job) -> bool:
    """Whether the job has a problem that may need the operator, or its webhook is not delivered yet."""
    late = job.status in (Status.PENDING_DOWNLOAD, Status.SUBMITTING)
    return bool(late or job.alarm or job.last_error or _poisoned_at(job) or job.is_terminal)


def _poisoned_at(job: Job) -> Time | None:
    return next((time_text(event.at) for event in reversed(job.history) if event.what == "poisoned"), None)


def operator_view(job: Job) -> OperatorJobView:
    return {
        "id": job.id,
        "owner": job.owner,
        "backend": job.backend.name,
        "status": job.status,
        "created_at": time_text(job.created_at) or "",
        "status_since": time_text(job.status_since),
        "next_poll_at": None if job.is_terminal else time_text(job.chain.due_at),
        "reason": job.reason,
        "alarm": job.alarm,
        "last_error": job.last_error,
        "poisoned_at": _poisoned_at(job),
        "webhook": job_summary(job)["webhook"],
    }


def _cursor(*parts: str) -> str:
    return base64.urlsafe_b64encode("\n".join(parts).encode()).decode("ascii").rstrip("=")


def _parts(cursor: str) -> list[str]:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except ValueError:
        raise _unknown_cursor() from None
    parts = text.split("\n")
    if len(parts) != 2 or not all(part.isprintable() for part in parts):
        raise _unknown_cursor()
    return parts


def _job_id_in(cursor: str) -> str | None:
    if not cursor:
        return None
    job_id = _parts(cursor)[-1]
    if not is_job_id(job_id):
        raise _unknown_cursor()
    return job_id


def _after(cursor: str) -> LiveJob | None:
    if not cursor:
        return None
    backend, key = _parts(cursor)
    return LiveJob(backend, key, "", "")


def _unknown_cursor() -> InvalidRequest:
    return InvalidRequest.of(
        "cursor",
        "is not from this list; send next_cursor unchanged, or leave it out",
        code="invalid_cursor",
    )
