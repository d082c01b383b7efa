"""Keep an owner's quota in its row: a job is counted in the transaction that stores it, and released
when it has ended. Nothing is read or written while no limit is set.
"""

from __future__ import annotations

import logging
from datetime import datetime

from video_jobs.domain import quota as quotas
from video_jobs.domain.errors import Conflict, JobNotFound, StorageUnavailable, TooManyJobs
from video_jobs.domain.job import Job
from video_jobs.domain.logs import log_event
from video_jobs.ports import Allowance, IdempotencyEntry, StoredJob, StoredQuota
from video_jobs.services import Services

log = logging.getLogger("reelkeep.quota")

# Retry-After in seconds: if nothing is known, and the shortest and the longest.
_SOON, _SOONEST, _LATEST = 30, 5, 600
_MOST_TRIES = 200  # each lost race means that another job of this owner was accepted or has ended


def reserve(services: Services, job: Job) -> Allowance | None:
    """The owner's quota with this job added, to be stored with the job; None without limits. Raises TooManyJobs."""
    if services.owner_limits.none:
        return None
    for _ in range(_MOST_TRIES):
        stored, now = services.jobs.quota(job.owner), services.clock()
        try:
            return Allowance(stored, quotas.take(stored.quota, services.owner_limits, job.id, now))
        except TooManyJobs as refused:
            if refused.retry_after is not None:
                raise
            oldest = _oldest(services, stored)
            if oldest is not None:
                raise TooManyJobs(str(refused), retry_after=_likely_over_in(oldest, now)) from None
    raise _contended()


def insert(
    services: Services, job: Job, entry: IdempotencyEntry | None, allowance: Allowance | None
) -> StoredJob | IdempotencyEntry:
    """Store the job and its part of the owner quota; other processes may do the same at the same time.

    Raises TooManyJobs if other jobs have used the rest since the allowance was read.
    """
    for _ in range(_MOST_TRIES):
        try:
            return services.jobs.insert(job, entry, allowance)
        except Conflict:
            allowance = reserve(services, job)
    raise _contended()


def release(services: Services, job: Job) -> None:
    """Release the part of the quota of a job that has ended. May be repeated."""
    if job.counts_toward_quota:
        _release(services, job.owner, job.id)


def _release(services: Services, owner: str, job_id: str) -> None:
    for _ in range(_MOST_TRIES):
        stored = services.jobs.quota(owner)
        left = quotas.release(stored.quota, job_id)
        if left == stored.quota:
            return
        try:
            services.jobs.save_quota(stored, left)
        except Conflict:
            continue
        return
    raise _contended()


def _oldest(services: Services, stored: StoredQuota) -> Job | None:
    """The oldest job that counts toward the quota: the likeliest to end next.

    None if it has ended or its row is gone (deleted by hand, or changed by a version without quotas): it is released now.
    """
    job_id = max(stored.quota.alive)  # ids are newest first
    try:
        job = services.jobs.get(stored.owner, job_id).job
        if not job.is_over:
            return job
    except JobNotFound:
        log_event(log, logging.WARNING, "quota.released", job_id=job_id)
    _release(services, stored.owner, job_id)
    return None


def _likely_over_in(job: Job, now: datetime) -> int:
    """Seconds."""
    if job.expected_at is None:
        return _SOON
    left = int((job.expected_at - now).total_seconds()) + 1
    return min(max(left, _SOONEST), _LATEST)


def _contended() -> StorageUnavailable:
    return StorageUnavailable(
        f"Others changed the owner's quota {_MOST_TRIES} times in a row. Send it again."
    )
