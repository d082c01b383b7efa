"""From a request to a job at the backend."""

from __future__ import annotations

from submit_job.request import Submission
from video_jobs.accept import accept, begin, key_of
from video_jobs.errors import IdempotencyKeyReused, JobNotFound
from video_jobs.ids import new_job_id
from video_jobs.job import Job
from video_jobs.ports import IdempotencyEntry
from video_jobs.services import Services


def submit_job(services: Services, owner: str, submission: Submission) -> Job:
    """The new job, or the one that the idempotency key stands for.

    Raises InvalidRequest, IdempotencyKeyReused, and StorageUnavailable while there is no job yet.
    """
    asked = submission.request
    backend, limits = services.backends.choose(asked.backend)
    request = limits.complete(asked.prompt, asked.size, asked.seconds, asked.variants, submission.image)
    entry_key = key_of(submission.idempotency_key) if submission.idempotency_key is not None else None
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
    entry = entry_key and IdempotencyEntry(owner, entry_key, submission.fingerprint, job.id)
    stored = accept(services, job, entry or None, submission.image_bytes)
    if isinstance(stored, IdempotencyEntry):
        return _earlier_job(services, stored, submission)
    return begin(services, stored)


def _earlier_job(services: Services, entry: IdempotencyEntry, submission: Submission) -> Job:
    if entry.request_hash != submission.fingerprint:
        raise IdempotencyKeyReused(
            "This Idempotency-Key came before with another request. Use a new key for a new request, and the "
            "same body for the same key."
        )
    try:
        job = services.jobs.get(entry.owner, entry.job_id).job
    except JobNotFound:
        job = None
    if job is None or job.deleted_at is not None:
        raise IdempotencyKeyReused(
            "The job that this Idempotency-Key stands for has been deleted. Use a new key for a new job."
        )
    return job
