"""Retries a job. What was generated and can still be fetched is never generated again."""

from __future__ import annotations

import contextlib

from video_jobs.domain.errors import InputMissing, JobNotFound, NotRetriable
from video_jobs.domain.ids import new_job_id
from video_jobs.domain.job import Job, Status
from video_jobs.lifecycle.accept import accept, begin
from video_jobs.lifecycle.find import find_job
from video_jobs.lifecycle.idempotency import retry_key
from video_jobs.lifecycle.repair import expedite
from video_jobs.ports import IdempotencyEntry
from video_jobs.services import Services

_RETRIABLE = (Status.FAILED, Status.CANCELLED, Status.EXPIRED)


def retry_job(services: Services, owner: str, job_id: str) -> Job:
    """Retry a job that ended without its videos: gives the new job, the same one for repeated requests. For a job that
    waits for its download, start the download now and give that job.

    Raises InvalidRequest, JobNotFound, NotRetriable, and StorageUnavailable if no new job was made.
    """
    stored = find_job(services, owner, job_id)
    old = stored.job
    if old.status is Status.PENDING_DOWNLOAD:
        return expedite(services, stored)
    if old.status not in _RETRIABLE:
        raise NotRetriable(
            f"{old.id} is {old.status}: only a job that is failed, cancelled, expired or pending_download can be "
            f"retried."
        )
    key = retry_key(old.id)
    earlier = services.jobs.find_entry(owner, key)
    if earlier is None:
        now = services.clock()
        job = Job(
            id=new_job_id(now),
            owner=owner,
            created_at=now,
            updated_at=now,
            request=old.request,
            metadata=old.metadata,
            backend=old.backend,
            retry_of=old.id,
            adopts=old.adopts,
            webhook=services.webhooks.hook_for(old.webhook.url if old.webhook else None),
        )
        accepted = accept(services, job, IdempotencyEntry(owner, key, key, job.id), _images_of(services, old))
        if not isinstance(accepted, IdempotencyEntry):
            return begin(services, accepted)
        earlier = accepted
    try:
        return find_job(services, owner, earlier.job_id).job
    except JobNotFound:
        raise NotRetriable(
            f"{old.id} was retried as {earlier.job_id}, which has been deleted. Submit a new job."
        ) from None


def _images_of(services: Services, old: Job) -> dict[int, bytes]:
    """The old job's images that still exist. A retry that reuses the video API's copy needs none; one that has to generate
    again reports the missing image.
    """
    images: dict[int, bytes] = {}
    for number in old.request.images:
        missing = contextlib.suppress(InputMissing)
        with missing, services.blobs.get_input(old.owner, old.id, number) as file:
            images[number] = file.read()
    return images
