"""Store a new job, for every API: the order of the writes makes each crash harmless."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from types import MappingProxyType

from video_jobs.domain.errors import ReelkeepError, TooManyJobs, TransitionRefused
from video_jobs.domain.job import Job
from video_jobs.domain.logs import in_brief, log_event
from video_jobs.domain.queue_messages import PollMessage
from video_jobs.domain.schedule import FIRST_POLL
from video_jobs.lifecycle import owner_quota
from video_jobs.lifecycle.dispatch import start
from video_jobs.lifecycle.poll_chain import send_next
from video_jobs.lifecycle.update import log_events
from video_jobs.ports import IdempotencyEntry, LiveJob, StoredJob
from video_jobs.services import Services

log = logging.getLogger("reelkeep.submit")

_AT_ONCE = timedelta()


def accept(
    services: Services,
    job: Job,
    entry: IdempotencyEntry | None,
    images: Mapping[int, bytes] = MappingProxyType({}),
) -> StoredJob | IdempotencyEntry:
    """Store a new job with the bytes of its images.

    If an earlier request had the same idempotency key, give its entry; then nothing of the new job is left.

    A crash leaves a live row without a job, which the sweeper removes, or a job without a message, which the
    sweeper starts.
    Raises TooManyJobs, and StorageUnavailable as long as the job is not stored.
    """
    at_once = services.owner_limits.at_once
    chain = replace(job.chain, due_at=job.created_at + FIRST_POLL)
    job = replace(job, chain=chain, counts_toward_quota=at_once is not None)
    try:
        stored = _store(services, job.noting(job.created_at, "accepted"), entry, images)
    except TooManyJobs:
        earlier = services.jobs.find_entry(job.owner, entry.key_hash) if entry is not None else None
        if earlier is None or entry is None or earlier.etag == entry.etag:
            raise
        return earlier  # the earlier request used the rest of the quota a moment ago
    if isinstance(stored, StoredJob):
        log_events(None, stored.job)
    return stored


def _store(
    services: Services, job: Job, entry: IdempotencyEntry | None, images: Mapping[int, bytes]
) -> StoredJob | IdempotencyEntry:
    allowance = owner_quota.reserve(services, job)
    live = LiveJob.of(job)
    services.live_jobs.add(live)
    for number, image in job.request.images.items():
        if number in images:
            services.blobs.put_input(job.owner, job.id, image, images[number], number)
    try:
        stored = owner_quota.insert(services, job, entry, allowance)
    except TooManyJobs:
        _undo_accept(services, job, live)
        raise
    if isinstance(stored, IdempotencyEntry):
        _undo_accept(services, job, live)
    return stored


def _undo_accept(services: Services, job: Job, live: LiveJob) -> None:
    if job.request.images:
        services.blobs.delete_input(job.owner, job.id)
    services.live_jobs.remove(live)


def begin(services: Services, stored: StoredJob) -> Job:
    """Take the first step of a new job: submit it, or let it wait in line.

    A message is sent only after the job has a slot; until then the sweeper finds what a crash leaves.

    A job with an image is left to its chain: this request has the image in memory, in several forms, and many
    requests come at once. Raises nothing: the job is accepted, and an error now would make the client send it again.
    """
    job = stored.job
    first = PollMessage(owner=job.owner, job_id=job.id, turn=job.chain.turn)
    try:
        if job.request.images and job.retry_of is None:
            services.messages.send_poll(first, _AT_ONCE)
            return job
        return start(services, stored, partial(send_next, services, first))
    except Exception as error:  # noqa: BLE001 - whatever the error is, the job is accepted
        if not isinstance(error, TransitionRefused):
            log_event(log, logging.ERROR, "submit.not_begun", job_id=job.id, problem=in_brief(error))
            with contextlib.suppress(ReelkeepError):  # else the sweeper finds it
                services.messages.send_poll(first, FIRST_POLL)
    with contextlib.suppress(Exception):
        # Its poll chain was faster, or a save went before the error.
        return services.jobs.get(job.owner, job.id).job
    return job
