"""Imports a job that was made elsewhere: its videos are fetched and kept like those of other jobs."""

from __future__ import annotations

import contextlib
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from http_edge.fields import (
    BackendName,
    Metadata,
    ModelName,
    WebhookUrl,
    json_object,
    refuse_beyond,
    validated,
)
from video_jobs.domain.backend_job import BackendJob, is_model_name
from video_jobs.domain.errors import BackendJobNotFound, Gone, JobNotFound, NotFound, Rejected
from video_jobs.domain.ids import new_job_id
from video_jobs.domain.job import BackendRef, Job, VideoRequest
from video_jobs.lifecycle.accept import accept, begin
from video_jobs.lifecycle.idempotency import import_key
from video_jobs.ports import Backend, Claim, IdempotencyEntry
from video_jobs.services import Services

LARGEST_BODY = 64 << 10  # bytes
_EXAMPLE = '{"backend_job_id": "…"}'
_LONGEST_ID = 1000  # characters


def _identifier(text: str) -> str:
    # Ids are opaque, but in a URL's path these two would change the path.
    if text in (".", "..") or not (text.isprintable() and 0 < len(text) <= _LONGEST_ID) or " " in text:
        raise ValueError("must be the id that the video API gave, without spaces")
    return text


def _model(text: str) -> str:
    if not is_model_name(text):
        raise ValueError("must be a model's name, like fal-ai/veo3.1")
    return text


Identifier = Annotated[
    str,
    AfterValidator(_identifier),
    Field(json_schema_extra={"minLength": 1, "maxLength": _LONGEST_ID, "pattern": r"^\S+$"}),
]
_Model = Annotated[ModelName, AfterValidator(_model)]
# Not oneOf: of its parts, generators of clients make types that have no other field.
_ONE_ID: JsonDict = {
    "if": {"required": ["backend_job_id"], "properties": {"backend_job_id": {"type": "string"}}},
    "then": {"properties": {"generation_id": {"type": "null"}}},
    "else": {"required": ["generation_id"], "properties": {"generation_id": {"type": "string"}}},
}
_JOB = Field(description="The video API's id of the job: `task_…`, `video_…`.")
_MODEL = Field(
    description="The model that made it. fal finds a job only under the model's first two parts, like `fal-ai/veo3.1`; "
    "without it, the backend's own model is taken."
)
_GENERATION = Field(
    description="Azure Sora only, instead of `backend_job_id`: the id of a generation, `gen_…`. All videos of its job are fetched."
)


class ImportRequest(BaseModel):
    """The body of `POST /api/jobs/import`: one of the two ids."""

    model_config = ConfigDict(extra="forbid", defer_build=True, json_schema_extra=_ONE_ID)

    backend_job_id: Annotated[Identifier | None, _JOB] = None
    generation_id: Annotated[Identifier | None, _GENERATION] = None
    backend: BackendName | None = None
    model: Annotated[_Model | None, _MODEL] = None
    metadata: Metadata | None = None
    webhook_url: WebhookUrl | None = None

    @model_validator(mode="after")
    def one_id(self) -> ImportRequest:
        if (self.backend_job_id is None) == (self.generation_id is None):
            raise ValueError("give either backend_job_id or, for Azure Sora, generation_id")
        return self

    @property
    def named(self) -> str:
        """The id in the request."""
        return self.backend_job_id or self.generation_id or ""


def read_import(body: bytes) -> ImportRequest:
    """Read and check a request; nothing is written. Raises InvalidRequest or a subclass."""
    refuse_beyond(body, LARGEST_BODY)
    return validated(ImportRequest, json_object(body, _EXAMPLE))


def import_job(services: Services, owner: str, request: ImportRequest) -> Job:
    """The job that fetches the imported videos. A repeated request gives the same job.

    Raises InvalidRequest, BackendError, StorageUnavailable if no job was made, and BackendJobNotFound. The last also stands
    for another owner's backend job, so that a caller can't tell the two apart.
    """
    backend = services.backends.default_ref(request.backend, request.model)
    if request.webhook_url is not None:
        services.webhooks.check(request.webhook_url)
    found, claim = _poll(services, backend, request)
    if claim is not None:
        return _holders_job(services, owner, claim, request.named)
    key = import_key(backend.base_url, found.id)
    earlier = services.jobs.find_entry(owner, key)
    if earlier is None:
        now = services.clock()
        job = Job(
            id=new_job_id(now),
            owner=owner,
            created_at=now,
            updated_at=now,
            request=_request_of(found),
            metadata=request.metadata or {},
            backend=backend,
            adopts=found.id,
            webhook=services.webhooks.hook_for(request.webhook_url),
        )
        accepted = accept(services, job, IdempotencyEntry(owner, key, key, job.id))
        if not isinstance(accepted, IdempotencyEntry):
            return begin(services, accepted)
        earlier = accepted
    return _visible(services, owner, earlier.job_id, request.named)


def _poll(services: Services, backend: BackendRef, request: ImportRequest) -> tuple[BackendJob, Claim | None]:
    """The backend job, and the claim on it if there is one.

    It makes the same calls whether or not the job exists: the answer's duration must not show what another owner has.
    """
    client, found = services.backends.client(backend), None
    job_id = request.backend_job_id or _job_of(client, request.named)
    with contextlib.suppress(NotFound, Gone, Rejected):
        found = client.get(job_id or request.named)
    claim = services.claims.find(backend.base_url, job_id or request.named)
    if found is None or job_id is None:
        raise BackendJobNotFound(request.named)
    return found, claim


def _job_of(client: Backend, generation_id: str) -> str | None:
    try:
        return client.job_of(generation_id)
    except (NotFound, Gone, Rejected):
        return None


def _holders_job(services: Services, owner: str, claim: Claim, named: str) -> Job:
    """`named` is the id in the request. An error names only that: the id of a generation's job would show that it exists."""
    if claim.owner != owner:
        raise BackendJobNotFound(named)
    return _visible(services, owner, claim.job_id, named)


def _visible(services: Services, owner: str, job_id: str, named: str) -> Job:
    try:
        job = services.jobs.get(owner, job_id).job
    except JobNotFound:
        raise BackendJobNotFound(named) from None
    if job.deleted_at is not None:
        raise BackendJobNotFound(named)
    return job


def _request_of(found: BackendJob) -> VideoRequest:
    """The request as far as the video API tells it; unknown fields are 0, empty or None."""
    return VideoRequest(
        found.prompt or "", found.width or 0, found.height or 0, found.seconds or 0, found.variants or 1
    )
