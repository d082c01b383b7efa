"""`--orphans`: the video API's jobs that this app has not claimed, with the call that imports each."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta

from doctor.downloads import import_call
from doctor.findings import Mark, right, unknown, wrong
from doctor.printer import Printer, Row
from doctor.subject import find_claim
from video_jobs.backends.registry import client_of
from video_jobs.domain.backend_job import BackendJob, BackendState
from video_jobs.domain.errors import BackendError, NotFound, StorageUnavailable, UnreadableRow
from video_jobs.ports import Claims
from video_jobs.settings.backends import BackendSettings

_MOST_LISTED = 1000  # jobs of a backend's list
_LONGEST_PROMPT = 40  # characters
_STILL_OURS = timedelta(minutes=8)
"""A younger job may belong to this app, whose outcome is still unknown: twice the longest deadline, and more."""


def show_orphans(
    printer: Printer,
    backend: BackendSettings,
    api_key: str | None,
    claims: Claims,
    is_default: bool,
    now: datetime,
) -> None:
    printer.title(f"Jobs at '{backend.name}' that nobody here has claimed")
    try:
        client = client_of(backend, api_key, backend.base_url, backend.model)
        listed = list(itertools.islice(client.recent(), _MOST_LISTED))
        orphans = [job for job in listed if find_claim(claims, backend.base_url, job.id) is None]
    except BackendError as error:
        if isinstance(error, NotFound) or error.status in (405, 501):
            printer.finding(unknown("list", f"it keeps no list of its jobs: {error}"))
        else:
            printer.finding(wrong("list", str(error), "`make doctor` without arguments says more."))
        return
    except (StorageUnavailable, UnreadableRow) as error:
        printer.finding(wrong("claims", str(error), "`make doctor` without arguments says more."))
        return
    reached = ", the newest of them only" if len(listed) == _MOST_LISTED else ""
    printer.finding(
        right("list", f"{len(listed)} jobs{reached}; no job here has claimed {len(orphans)} of them")
    )
    if not orphans:
        return
    printer.line()
    header = ("id", "status", "created (UTC)", "deleted at (UTC)", "prompt")
    printer.table(header, [Row(_cells(job), _mark(job, now)) for job in orphans])
    if any(_mark(job, now) is Mark.UNKNOWN for job in orphans):
        printer.paragraph(
            "Those with a ? are so young that one of our own submissions may yet turn out to have made them."
        )
    worth = [job for job in orphans if job.state not in (BackendState.FAILED, BackendState.CANCELLED)]
    if worth:
        printer.line()
        printer.paragraph(
            "They may belong to other programs that use the same resource. To import one, so that its videos are kept ($API is "
            "this app's address with /api, $KEY its function key):"
        )
        for job in worth:
            printer.command(import_call(backend, is_default, backend_job_id=job.id))


def _mark(job: BackendJob, now: datetime) -> Mark | None:
    young = job.created_at is not None and now - job.created_at < _STILL_OURS
    return Mark.UNKNOWN if young else None


def _cells(job: BackendJob) -> tuple[str, ...]:
    prompt = " ".join((job.prompt or "").split())
    if len(prompt) > _LONGEST_PROMPT:
        prompt = prompt[: _LONGEST_PROMPT - 1] + "…"
    return job.id, job.status or "?", _moment(job.created_at), _moment(job.expires_at), prompt


def _moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at else "not said"
