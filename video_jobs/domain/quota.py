"""How many jobs an owner may have: alive at once, and accepted on one day. Pure; `owner_quota.py` has the effects."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from video_jobs.domain.errors import TooManyJobs

MOST_AT_ONCE = 1000
"""The limit exists because the ids of all live jobs are in one property of a table row."""


class OwnerLimits(NamedTuple):
    """None means: no limit."""

    at_once: int | None = None
    per_day: int | None = None

    @property
    def none(self) -> bool:
        return self.at_once is None and self.per_day is None


class Quota(NamedTuple):
    """The used part of an owner's limits. Jobs are listed by id, not counted: releasing a job twice has the effect of
    once."""

    alive: tuple[str, ...] = ()  #: ids of the jobs that count toward the quota
    day: date | None = None  #: UTC
    accepted: int = 0  #: on that day


def take(quota: Quota, limits: OwnerLimits, job_id: str, now: datetime) -> Quota:
    """The quota with one more job. Raises TooManyJobs."""
    today = now.astimezone(UTC).date()
    if quota.day is None or quota.day < today:  # a later day comes from a clock that is ahead of ours
        quota = quota._replace(day=today, accepted=0)
    if limits.per_day is not None and quota.accepted >= limits.per_day:
        raise TooManyJobs(
            f"{quota.accepted} jobs were accepted for you today, and {limits.per_day} a day are. The day ends at "
            f"midnight UTC.",
            retry_after=_until_midnight(now),
        )
    if limits.at_once is not None:
        if len(quota.alive) >= limits.at_once:
            raise TooManyJobs(
                f"{len(quota.alive)} of your jobs have not ended, and {limits.at_once} may be alive at once. Wait for "
                f"one to end, or cancel one."
            )
        quota = quota._replace(alive=(*quota.alive, job_id))
    return quota._replace(accepted=quota.accepted + 1)


def release(quota: Quota, job_id: str) -> Quota:
    """Release the part of a job that has ended; no error if it does not count toward the quota."""
    return quota._replace(alive=tuple(held for held in quota.alive if held != job_id))


def _until_midnight(now: datetime) -> int:
    """Seconds, rounded up."""
    tomorrow = datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), time(), UTC)
    return -int((now - tomorrow) // timedelta(seconds=1))
