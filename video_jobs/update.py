"""Change a stored job, whoever else does so at the same time."""

from __future__ import annotations

from collections.abc import Callable

from video_jobs.errors import Conflict
from video_jobs.job import Job
from video_jobs.ports import JobStore, StoredJob

_MOST_TRIES = 50  # each lost race is somebody else's progress; this many in a row is a bug


def update(jobs: JobStore, stored: StoredJob, change: Callable[[Job], Job]) -> StoredJob:
    """Save `change(job)`; on a conflict reload and decide anew.

    Raises what `change` raises (TransitionRefused, as a rule), and JobNotFound.
    """
    for _ in range(_MOST_TRIES):
        changed = change(stored.job)
        if changed == stored.job:
            return stored
        try:
            return jobs.save(stored, changed)
        except Conflict:
            stored = jobs.get(stored.job.owner, stored.job.id)
    raise Conflict(f"{stored.job.id} was changed by somebody else {_MOST_TRIES} times in a row")
