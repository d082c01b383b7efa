"""Turn a client's request into a job at the backend, for every API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from video_jobs.domain.capabilities import NO_WISHES, Wishes
from video_jobs.domain.errors import IdempotencyKeyReused, InvalidRequest, JobNotFound, StorageUnavailable
from video_jobs.domain.ids import made_at, new_job_id
from video_jobs.domain.job import Job
from video_jobs.domain.video_request import FIRST, LAST
from video_jobs.lifecycle.accept import accept, begin
from video_jobs.lifecycle.idempotency import key_of
from video_jobs.lifecycle.images import Images, fetched
from video_jobs.ports import IdempotencyEntry
from video_jobs.services import Services


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A well-formed request; the backend's limits decide later whether the model can do it.

    None means the backend's default.
    """

    prompt: str
    size: str | None = None  #: WIDTHxHEIGHT in pixels
    seconds: int | None = None
    variants: int | None = None
    wishes: Wishes = NO_WISHES
    metadata: dict[str, str] = field(default_factory=dict)
    backend: str | None = None  #: its name in the settings
    model: str | None = None  #: one of the backend's
    webhook_url: str | None = field(default=None, repr=False)
    images: Images = field(default_factory=dict)
    idempotency_key: str | None = None
    fingerprint: str  #: sha256 of the whole request
    names: Mapping[str, str] = field(default_factory=dict)  #: the client's own names of fields

    @property
    def contents(self) -> dict[int, bytes]:
        """The bytes of the images that have arrived."""
        return {number: each.content for number, each in self.images.items() if each.content is not None}

    @property
    def brings_its_images(self) -> bool:
        """Whether it has images, and the bytes of all: then its request waits for nothing but storage."""
        return 0 < len(self.images) == len(self.contents)

    @property
    def asked_for(self) -> Wishes:
        """With the images beside the first one, as far as they are known."""
        facts = {number: each.facts for number, each in self.images.items()}
        references = tuple(facts[number] for number in sorted(facts) if number > LAST)
        return self.wishes._replace(last_image=facts.get(LAST), reference_images=references)


def submit_job(services: Services, owner: str, submission: Submission) -> Job:
    """The new job, or the earlier job of the same idempotency key.

    Raises InvalidRequest, IdempotencyKeyReused, and StorageUnavailable as long as the job is not stored.
    """
    job = new_job(services, owner, submission)
    entry = None
    if submission.idempotency_key is not None:
        key = key_of(submission.idempotency_key)
        earlier = services.jobs.find_entry(owner, key)
        if earlier is not None:
            return _earlier_job(services, earlier, submission, job)
        entry = IdempotencyEntry(owner, key, submission.fingerprint, job.id)
    submission, job = with_all_images(services, submission, job)
    stored = accept(services, job, entry, submission.contents)
    if isinstance(stored, IdempotencyEntry):
        return _earlier_job(services, stored, submission, job)
    return begin(services, stored)


def with_all_images(services: Services, submission: Submission, job: Job) -> tuple[Submission, Job]:
    """Fetch the images that are addresses so far, and check the request again with their sizes.

    Called only after it is known that the job is new. Raises InvalidRequest.
    """
    if all(each.content is not None for each in submission.images.values()):
        return submission, job
    submission = replace(submission, images=fetched(services, submission.images))
    return submission, replace(job, request=new_job(services, job.owner, submission).request)


def new_job(services: Services, owner: str, submission: Submission) -> Job:
    """The request with the backend's defaults; nothing is stored. Raises InvalidRequest, with the client's names of fields."""
    backend, limits = services.backends.choose(submission.backend, submission.model)
    try:
        request = limits.complete(
            submission.prompt,
            submission.size,
            submission.seconds,
            submission.variants,
            submission.images[FIRST].facts if FIRST in submission.images else None,
            submission.asked_for,
        )
    except InvalidRequest as error:
        raise error.renamed(submission.names) from None
    request = replace(request, model=submission.model)
    if submission.webhook_url is not None:
        services.webhooks.check(submission.webhook_url)
    now = services.clock()
    return Job(
        id=new_job_id(now),
        owner=owner,
        created_at=now,
        updated_at=now,
        request=request,
        metadata=submission.metadata,
        backend=backend,
        webhook=services.webhooks.hook_for(submission.webhook_url),
    )


def job_of(services: Services, entry: IdempotencyEntry, asked: Job) -> Job | None:
    """The entry's job; None if it was deleted. If it can't be read because of a storage fault, `asked` under its id:
    the client must not send it again, since the job exists."""
    try:
        job = services.jobs.get(entry.owner, entry.job_id).job
    except JobNotFound:
        return None
    except StorageUnavailable:
        made = made_at(entry.job_id)
        return replace(asked, id=entry.job_id, created_at=made, updated_at=made)
    return None if job.deleted_at is not None else job


def _earlier_job(services: Services, entry: IdempotencyEntry, submission: Submission, asked: Job) -> Job:
    if entry.request_hash != submission.fingerprint:
        raise IdempotencyKeyReused(
            "This Idempotency-Key came before with another request. Use a new key for a new request, and the "
            "same body for the same key."
        )
    job = job_of(services, entry, asked)
    if job is None:
        raise IdempotencyKeyReused(
            "The job that this Idempotency-Key stands for has been deleted. Use a new key for a new job."
        )
    return job
