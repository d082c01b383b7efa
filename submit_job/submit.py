"""From a request to a job at the backend, in the order that makes each crash harmless."""

from __future__ import annotations

import hashlib
import logging
from functools import partial

from submit_job.request import Submission
from video_jobs import transitions
from video_jobs.errors import IdempotencyKeyReused, JobNotFound, StorageUnavailable, TransitionRefused
from video_jobs.ids import new_job_id
from video_jobs.job import Job
from video_jobs.messages import PollMessage
from video_jobs.paid_call import make_paid_call, new_attempt
from video_jobs.ports import IdempotencyEntry, StoredJob
from video_jobs.schedule import FIRST_POLL
from video_jobs.services import Services
from video_jobs.update import update

log = logging.getLogger("reelkeep.submit")


def submit_job(services: Services, owner: str, submission: Submission) -> Job:
    """The new job, or the one that the idempotency key stands for.

    A crash leaves, after each step: a live row without a job, to be swept; a job that is waiting, which its
    poll message submits; a job that is submitting, whose outcome the poll chain finds out.

    Raises InvalidRequest, IdempotencyKeyReused, and StorageUnavailable while there is no job yet.
    """
    asked = submission.request
    backend, limits = services.backends.choose(asked.backend)
    request = limits.complete(asked.prompt, asked.size, asked.seconds, asked.variants, submission.image)
    entry_key = _hash(submission.idempotency_key) if submission.idempotency_key is not None else None
    if entry_key is not None:
        earlier = services.jobs.find_entry(owner, entry_key)
        if earlier is not None:
            return _earlier_job(services, earlier, submission)

    now = services.clock()
    job = Job(
        id=new_job_id(now),
        owner=owner,
        created_at=now,
        updated_at=now,
        request=request,
        metadata=asked.metadata,
        backend=backend,
    )
    services.live_jobs.add(job)
    if submission.image is not None and submission.image_bytes is not None:
        services.blobs.put_input(owner, job.id, submission.image, submission.image_bytes)
    entry = entry_key and IdempotencyEntry(owner, entry_key, submission.fingerprint, job.id)
    stored = services.jobs.insert(job, entry or None)
    if isinstance(stored, IdempotencyEntry):
        # Somebody with the same key was faster: leave nothing of ours behind.
        if submission.image is not None:
            services.blobs.delete_input(owner, job.id)
        services.live_jobs.remove(job)
        return _earlier_job(services, stored, submission)
    log.info("%s is accepted for %s", job.id, backend.name)

    try:
        return _start(services, stored, submission.image_bytes)
    except StorageUnavailable as error:
        # The job is accepted: an error now would make the client send it again, and pay for it again.
        log.error("%s is accepted, but: %s", job.id, error)
        return stored.job


def _start(services: Services, stored: StoredJob, image: bytes | None) -> Job:
    job = stored.job
    services.messages.send_poll(PollMessage(owner=job.owner, job_id=job.id, turn=job.turn), FIRST_POLL)
    begin = partial(transitions.begin_submit, now=services.clock(), attempt=new_attempt())
    try:
        stored = update(services.jobs, stored, begin)
    except TransitionRefused:
        return services.jobs.get(job.owner, job.id).job  # its poll chain was faster
    return make_paid_call(services, stored, image)


def _earlier_job(services: Services, entry: IdempotencyEntry, submission: Submission) -> Job:
    if entry.request_hash != submission.fingerprint:
        raise IdempotencyKeyReused(
            "This Idempotency-Key came before with another request. Use a new key for a new request, and the "
            "same body for the same key."
        )
    try:
        return services.jobs.get(entry.owner, entry.job_id).job
    except JobNotFound:
        raise IdempotencyKeyReused(
            "The job that this Idempotency-Key stands for has been deleted. Use a new key for a new job."
        ) from None


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8")).hexdigest()
