"""Change a stored job safely while other processes change it too, and log its new events."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from video_jobs.domain.errors import Conflict
from video_jobs.domain.job import Job
from video_jobs.domain.logs import log_event
from video_jobs.ports import JobStore, StoredJob

log = logging.getLogger("reelkeep.jobs")

_MOST_TRIES = 50  # each lost race means that another process succeeded; this many in a row is a bug
_LOUD = {
    "alarm": logging.ERROR,
    "outcome_unknown": logging.ERROR,
    "poisoned": logging.ERROR,
    "repaired": logging.WARNING,
    "webhook_failed": logging.WARNING,
}


def update(jobs: JobStore, stored: StoredJob, change: Callable[[Job], Job]) -> StoredJob:
    """Save `change(job)`; after a conflict, reload the job and apply `change` again.

    Raises what `change` raises (TransitionRefused, as a rule), and JobNotFound.
    """
    for _ in range(_MOST_TRIES):
        changed = change(stored.job)
        if changed == stored.job:
            return stored
        try:
            saved = jobs.save(stored, changed)
        except Conflict:
            stored = jobs.get(stored.job.owner, stored.job.id)
        else:
            log_events(stored.job, saved.job)
            return saved
    raise Conflict(f"{stored.job.id} was changed by somebody else {_MOST_TRIES} times in a row")


def log_events(before: Job | None, after: Job) -> None:
    """One line of JSON for each event that is new, under a stable name: `job.submitted`, `job.alarm`."""
    known = before.history if before else ()
    for event in after.history:
        if event in known:
            continue
        line: dict[str, Any] = {
            "job_id": after.id,
            "owner": after.owner,
            "backend": after.backend.name,
            "status": after.status.value,
            "seconds_since_created": round((event.at - after.created_at).total_seconds(), 3),
        }
        if before is not None and before.status is not after.status:
            since = before.status_since or before.created_at
            line["from_status"] = before.status.value
            line["seconds_in_from_status"] = round((event.at - since).total_seconds(), 3)
        if event.detail:
            line["detail"] = event.detail
        line |= _figures(before, after, event.what)
        if event.request_id:
            line["backend_request_id"] = event.request_id
        log_event(log, _LOUD.get(event.what, logging.INFO), f"job.{event.what}", **line)


def _figures(before: Job | None, after: Job, what: str) -> dict[str, Any]:
    """Log what the operator sums up over many jobs: what was paid for, what was stored, why jobs failed."""
    if what in ("submitted", "adopted"):
        seconds = after.request.seconds * after.request.variants
        return {"model": after.backend.model, "video_seconds": seconds}
    if what == "stored":
        there = {output.index for output in (before.outputs if before else ()) if output.stored}
        new = [output.stored for output in after.outputs if output.stored and output.index not in there]
        return {"bytes": sum(video.length for video in new)}
    if what == after.status.value and after.is_terminal:
        cost = {} if after.cost is None else {"cost": after.cost.amount, "currency": after.cost.currency}
        return {**cost, **({} if after.error is None else {"error_code": after.error.code})}
    return {}
