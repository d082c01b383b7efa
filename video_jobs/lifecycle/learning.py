"""Learn how long jobs take, and forecast the next one. Neither may fail a job or delay it for long."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from video_jobs.domain.backend_job import BackendJob
from video_jobs.domain.errors import Conflict, StorageUnavailable, UnreadableRow
from video_jobs.domain.estimate import Forecast, JobKind
from video_jobs.domain.job import Job
from video_jobs.domain.logs import log_event
from video_jobs.services import Services

log = logging.getLogger("reelkeep.estimates")

_MOST_TRIES = 3  # losing a sample to another process does no harm: that process stored one of its own
_FRESH = 60.0  # seconds for which a kept estimate is used without a read
_LONGEST_UNWATCHED = timedelta(minutes=1)  # between two polls that give an end time


def forecast(services: Services, job: Job) -> Forecast | None:
    """The forecast for a job before it is submitted. None if too little is known, or storage can't be read."""
    kind = kind_of(job)
    try:
        stored = services.kept_estimates.of(kind, _FRESH) or services.estimates.get(kind)
        services.kept_estimates.keep(kind, stored)
        return stored.estimate.forecast()
    except (StorageUnavailable, UnreadableRow) as error:
        log_event(log, logging.WARNING, "estimates.unreadable", job_id=job.id, problem=error)
        return None


def learn(services: Services, job: Job, seen: BackendJob, now: datetime) -> None:
    """Learn from one job. Called once for each job, by the poll that saved it as generated.

    Args:
        job: as it was before that poll.
        seen: the backend's answer to that poll.
        now: when the answer came.
    """
    duration, kind = duration_of(job, seen, now), kind_of(job)
    if duration is None:
        return
    try:
        for _ in range(_MOST_TRIES):
            stored = services.kept_estimates.take(kind) or services.estimates.get(kind)
            learned = stored.estimate.with_one_more(duration)
            if learned == stored.estimate:
                return
            try:
                services.kept_estimates.keep(kind, services.estimates.save(stored, learned))
            except Conflict:
                services.kept_estimates.refused(kind)
                continue
            return
    except (StorageUnavailable, UnreadableRow) as error:
        log_event(log, logging.WARNING, "estimates.not_stored", job_id=job.id, problem=error)


def kind_of(job: Job) -> JobKind:
    return JobKind(job.backend.name, job.backend.model, job.request.shape, job.request.seconds)


def duration_of(job: Job, seen: BackendJob, now: datetime) -> float | None:
    """Seconds for which the video API worked on a job, by its own clock if it gives times; None if nothing shows it.

    By our clock, the job ended between two polls; the middle of that time is the estimate.
    """
    called_at, submitted_at = job.submission.submitting_since, job.submission.submitted_at
    if called_at is None or submitted_at is None:
        return None  # made elsewhere, or for a job before this one
    # Count from the last poll that got an answer: later polls may have got none.
    shortest, longest = (job.polls.last_polled_at or submitted_at) - submitted_at, now - called_at
    if seen.created_at is not None and seen.finished_at is not None:
        told = seen.finished_at - seen.created_at
    elif longest - shortest <= _LONGEST_UNWATCHED:
        told = (shortest + longest) / 2
    else:
        return None
    return min(max(told, shortest), longest).total_seconds()
