"""When a client that waits for a job should ask again: the value of Retry-After."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from video_jobs.domain.job import Job, Status

LONGEST = timedelta(seconds=60)
"""The longest wait, however late the next poll is: the job may be cancelled, repaired or called before it."""

_SOON = timedelta(seconds=2)  # something is under way right now
_A_POLL = timedelta(seconds=1)  # least time that a due poll or download takes
_FIRST_IN_LINE = timedelta(seconds=5)
_EACH_AHEAD = timedelta(seconds=1)


def ask_again_in(job: Job, now: datetime, *, ahead: int = 0, opens_at: datetime | None = None) -> int | None:
    """Seconds, from 1 to 60, until something can have changed; None if nothing will change any more.

    `ahead` is the number of jobs in line before it; `opens_at` is when its backend's gate lets a job in, if known.
    """
    if job.is_terminal:
        return None
    return max(1, math.ceil(min(_until(job, now, ahead, opens_at), LONGEST).total_seconds()))


def _until(job: Job, now: datetime, ahead: int, opens_at: datetime | None) -> timedelta:
    if job.cancellation.is_wanted:
        return _SOON  # a poll was called for
    if job.status is Status.WAITING:
        in_line = _FIRST_IN_LINE + _EACH_AHEAD * ahead
        return max(in_line, opens_at - now) if opens_at is not None else in_line
    if job.status in (Status.FETCHING, Status.PENDING_DOWNLOAD):
        due = [output.chain.due_at for output in job.outputs if not output.is_settled]
        # If no download is under way, the next poll sends the message.
        return min((_from(moment, now) for moment in due), default=_from(job.chain.due_at, now))
    return _from(job.chain.due_at, now)


def _from(due_at: datetime | None, now: datetime) -> timedelta:
    """The time until a step that is due then has a result; an overdue step is under way."""
    return _SOON if due_at is None or due_at <= now else due_at - now + _A_POLL
