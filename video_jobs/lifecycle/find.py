"""Finding a job for whoever may see it."""

from __future__ import annotations

from video_jobs.domain.errors import InvalidRequest, JobNotFound
from video_jobs.domain.ids import is_job_id
from video_jobs.ports import StoredJob
from video_jobs.services import Services


def find_job(services: Services, owner: str, job_id: str, *, deleted_too: bool = False) -> StoredJob:
    """Raises InvalidRequest for what is no job id, JobNotFound for one that is not the owner's, or deleted."""
    if not is_job_id(job_id):
        raise InvalidRequest.of(
            "id", "a job id is 'job_' and 26 lower-case characters", code="invalid_job_id"
        )
    stored = services.jobs.get(owner, job_id)
    if stored.job.deleted_at is not None and not deleted_too:
        raise JobNotFound(job_id)
    return stored
