"""Copy one output of a job into Blob Storage.

The blob is written first, then the row. A crash between the two leaves a blob whose metadata says which output it is, so
the next delivery of the message does not need the backend. The first delivery does not look for such a blob, which saves a
call. If one exists all the same, the commit is refused, and a failed download looks for it before anything else follows.
"""

from __future__ import annotations

import logging
from functools import partial

from fetch_video.download import download_thumbnail, download_video
from fetch_video.failed import try_again
from video_jobs.domain import transitions
from video_jobs.domain.errors import (
    BackendError,
    ForeignBlob,
    JobNotFound,
    TransitionRefused,
)
from video_jobs.domain.job import Job, Output, Status
from video_jobs.domain.logs import log_event
from video_jobs.domain.queue_messages import FetchMessage
from video_jobs.lifecycle.finalize import finish
from video_jobs.lifecycle.poll_chain import going_on_once_sent, kept_row
from video_jobs.lifecycle.update import update
from video_jobs.media.verification import SuspectVideo
from video_jobs.ports import StoredJob
from video_jobs.services import Services

log = logging.getLogger("reelkeep.fetch")

_KEPT_FOR = 30.0  # seconds; short, since a deletion waits only a little longer than the longest download


def fetch_video(services: Services, message: FetchMessage, *, is_first_delivery: bool = False) -> None:
    first = is_first_delivery and not message.turn
    kept = kept_row(services, message.owner, message.job_id, _KEPT_FOR) if first else None
    try:
        stored = kept or services.jobs.get(message.owner, message.job_id)
    except JobNotFound:
        log_event(log, logging.WARNING, "fetch.job_missing", job_id=message.job_id)
        return
    job = stored.job
    if job.deleted_at is not None:
        log_event(log, logging.INFO, "fetch.job_deleted", job_id=job.id)
        return
    output = job.output(message.index)
    if output is None:
        log_event(log, logging.WARNING, "fetch.video_missing", job_id=job.id, video=message.index)
        return
    if job.is_terminal:
        finish(services, job)  # again: a crash may have interrupted the first time
        return
    if output.chain.is_stale(message.turn) or output.is_settled:
        log_event(
            log, logging.INFO, "fetch.stale_message", job_id=job.id, video=output.index, turn=message.turn
        )
        return
    with going_on_once_sent(f"{job.id}/{output.index}"):
        try:
            may_be_here = not is_first_delivery or not _is_first_message(job, output)
            saved = _fetch(services, message, stored, output, may_be_here).job
        except TransitionRefused as refused:
            log_event(
                log, logging.INFO, "fetch.job_changed", job_id=job.id, video=output.index, problem=refused
            )
            return
        if saved.is_terminal:
            finish(services, saved)


def _is_first_message(job: Job, output: Output) -> bool:
    """Whether no other download of the output can be under way: its only message is the one that the poll sent."""
    return (
        job.status is Status.FETCHING
        and output.chain.attempts == 0
        and output.chain.due_at == job.status_since
    )


def _fetch(
    services: Services, message: FetchMessage, stored: StoredJob, output: Output, may_be_here: bool
) -> StoredJob:
    job, began_at = stored.job, services.clock()
    try:
        video = download_video(services, job, output, may_be_here)
    except (SuspectVideo, ForeignBlob, BackendError) as error:
        return try_again(services, message, stored, output, error, began_at)
    thumbnail = download_thumbnail(services, job, output)
    log_event(
        log,
        logging.INFO,
        "fetch.stored",
        job_id=job.id,
        video=output.index,
        bytes=video.length,
        sha256=video.sha256,
    )
    change = partial(
        transitions.output_stored, now=services.clock(), which=output, video=video, thumbnail=thumbnail
    )
    return update(services.jobs, stored, change)
