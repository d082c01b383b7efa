"""What follows a download that failed: the next one, or the end of an output that can't be fetched any more."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from functools import partial

from video_jobs.domain import transitions
from video_jobs.domain.errors import (
    BackendError,
    ForeignBlob,
    Gone,
    NotAVideo,
    NotFound,
    VideoTooLarge,
)
from video_jobs.domain.job import LOST_JOB_GRACE, MISSING_PAST_GUESS, Job, Output
from video_jobs.domain.logs import log_event
from video_jobs.domain.queue_messages import FetchMessage
from video_jobs.domain.schedule import fetch_delay, suspect_delay, too_large_delay
from video_jobs.lifecycle.adoption import is_listed
from video_jobs.lifecycle.poll_chain import send_on
from video_jobs.lifecycle.update import update
from video_jobs.media.verification import SuspectVideo
from video_jobs.ports import StoredJob
from video_jobs.services import Services

log = logging.getLogger("reelkeep.fetch")

_MARGIN = timedelta(minutes=1)


def _grace(services: Services) -> timedelta:
    """How long after the expiry a download that began before it may still run."""
    return timedelta(seconds=services.fetch_deadline) + _MARGIN


def _is_lost(services: Services, job: Job, output: Output, error: Exception) -> bool:
    """Whether the video is lost: it can't be fetched any more, and one request since then has shown it.

    An expiry time from the backend is proof. After an expiry that we guessed, a 410 is proof; so is a lasting 404 if the
    backend's list lacks the job, or if the 404 lasts another day. Before the expiry, a 404 or 410 may pass.
    """
    now = services.clock()
    if job.backend_job_gone or job.expired_by(now - _grace(services)):
        return True
    if output.missing_since is None or not job.is_past_guess(now):
        return False
    if isinstance(error, NotFound) and now - output.missing_since >= LOST_JOB_GRACE:
        return job.is_past_guess(now, by=MISSING_PAST_GUESS) or is_listed(services, job)[0] is False
    return isinstance(error, Gone)


def try_again(
    services: Services,
    message: FetchMessage,
    stored: StoredJob,
    output: Output,
    error: SuspectVideo | ForeignBlob | BackendError,
    began_at: datetime,
) -> StoredJob:
    """Repeat the download until the backend deletes the video. Send the next message first, then save the row with its turn."""
    job, now, problem = stored.job, services.clock(), str(error)
    log_event(log, logging.WARNING, "fetch.failed", job_id=job.id, video=output.index, problem=problem)
    if job.expired_by(now) or job.backend_job_gone:
        # Keep the problem from before the deletion: it says why there is no video.
        problem = output.problem or problem
    if _is_lost(services, job, output, error):
        lost = partial(transitions.output_lost, now=now, which=output, problem=problem)
        return update(services.jobs, stored, lost)
    if message.turn is None:
        return stored
    delay = _until_next(services, job, output, error)
    turn = send_on(services.messages.send_fetch, message, delay)
    delayed = partial(
        transitions.output_delayed,
        now=now,
        which=output,
        problem=problem,
        turn=turn,
        due_at=now + delay,
        began_at=None if isinstance(error, ForeignBlob) else began_at,
        suspect_sha256=error.sha256 if isinstance(error, SuspectVideo | NotAVideo) else None,
        is_other=isinstance(error, NotAVideo) or (isinstance(error, SuspectVideo) and error.is_sound),
        request_id=error.request_id if isinstance(error, BackendError) else None,
        missing=isinstance(error, NotFound | Gone),
    )
    return update(services.jobs, stored, delayed)


def _until_next(
    services: Services, job: Job, output: Output, error: SuspectVideo | ForeignBlob | BackendError
) -> timedelta:
    now = services.clock()
    if isinstance(error, SuspectVideo) and not output.suspects:
        return suspect_delay(job, now)
    if job.expired_by(now):
        # Another download that began before the expiry may end soon and store the video.
        return _grace(services)
    if isinstance(error, VideoTooLarge):
        return too_large_delay(job, now)
    hint = error.retry_after if isinstance(error, BackendError) else None
    return fetch_delay(job, output.chain.attempts + 1, hint, now)
