"""Continue a job: at once when a client asks, or by the sweeper when its chain seems broken."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial

from video_jobs.domain import transitions
from video_jobs.domain.errors import ReelkeepError, TransitionRefused
from video_jobs.domain.job import Job, Status
from video_jobs.lifecycle.finalize import finish
from video_jobs.lifecycle.poll_chain import done_later_at_worst, fetch_now, poll_now
from video_jobs.lifecycle.update import update
from video_jobs.ports import LiveJob, StoredJob
from video_jobs.services import Services

_LONGEST_BACKLOG = timedelta(minutes=30)
_FETCHING = (Status.FETCHING, Status.PENDING_DOWNLOAD)


def is_broken(job: Job, now: datetime) -> bool:
    """Whether the next message of the job's chain must be lost.

    A job in line has no message, and the sweeper does not read it. A waiting job that is not in line needs one: it
    may have left the line because it did not use the slot that it was called to.
    """
    return job.chain.is_overdue(job.updated_at, now)


def is_long_broken(job: Job, now: datetime) -> bool:
    """Whether the message is so late that no backlog explains it."""
    return now - (job.chain.due_at or job.updated_at) >= _LONGEST_BACKLOG


def repair(services: Services, stored: StoredJob) -> Job:
    """Save that the chain was broken, then send its message. In the other order, a repair that does not help would be
    repeated without a pause.

    Raises TransitionRefused if there is nothing left to do for the job.
    """
    job = update(services.jobs, stored, partial(transitions.repaired, now=services.clock())).job
    poll_now(services, job)
    return job


def expedite(services: Services, stored: StoredJob) -> Job:
    """Do the job's next step at once: poll, and download the videos that are not stored yet."""
    job = stored.job
    if job.is_over:
        finish(services, job)  # again: a crash may have interrupted the first time
        return job
    if job.status in _FETCHING and job.deleted_at is None:
        again = partial(transitions.fetch_again, now=services.clock(), all_open=True)
        try:
            job = update(services.jobs, stored, again).job
        except TransitionRefused:  # it has ended, or moved on, since it was read
            return services.jobs.get(job.owner, job.id).job
        fetch_now(services, job)
    poll_now(services, job)
    return job


def mark_deleted(services: Services, stored: StoredJob) -> Job:
    """Mark the job deleted. The live row is written first, so that the sweeper finds what a crash leaves."""
    services.live_jobs.add(LiveJob.of(stored.job))
    job = update(services.jobs, stored, partial(transitions.request_delete, now=services.clock())).job
    services.live_jobs.add(LiveJob.of(job))  # a process that ended the job a moment ago may have removed it
    services.kept_jobs.take(job.id)
    with done_later_at_worst(job):
        poll_now(services, job)
    return job


@contextlib.contextmanager
def noting_last_error(services: Services, owner: str, job_id: str) -> Iterator[None]:
    """Save an error that is raised here as the job's last error, if possible, then pass it on to the host."""
    try:
        yield
    except Exception as error:
        said = str(error) if isinstance(error, ReelkeepError) else type(error).__name__
        note = partial(transitions.attempt_failed, now=services.clock(), last_error=said)
        with contextlib.suppress(ReelkeepError):
            update(services.jobs, services.jobs.get(owner, job_id), note)
        raise
