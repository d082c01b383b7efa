"""Find a job for a client that may see it."""

from __future__ import annotations

from video_jobs.domain.errors import InvalidRequest, JobNotFound
from video_jobs.domain.ids import is_job_id
from video_jobs.ports import StoredJob
from video_jobs.services import Services

_LONGEST_SHOWN = 100  # characters of an id that this app did not make
_AT_THE_BACKEND = {"gen_": "generation_id", "task_": "backend_job_id", "video_": "backend_job_id"}


def find_job(services: Services, owner: str, job_id: str, *, deleted_too: bool = False) -> StoredJob:
    """Raises InvalidRequest for a text that is not a job id, JobNotFound for a job of another owner or a deleted one."""
    if not is_job_id(job_id):
        raise InvalidRequest.of("id", _wrong_id(job_id), code="invalid_job_id")
    stored = services.jobs.get(owner, job_id)
    if stored.job.deleted_at is not None and not deleted_too:
        raise JobNotFound(job_id)
    return stored


def _wrong_id(job_id: str) -> str:
    """People often send the video API's own id in place of the job's."""
    for prefix, field in _AT_THE_BACKEND.items():
        if job_id.startswith(prefix) and job_id.isascii() and job_id.isprintable():
            shown = job_id[:_LONGEST_SHOWN]
            return (
                f"{shown} is the video API's id, not a job's. To keep that video: POST /api/jobs/import "
                f'{{"{field}": "{shown}"}}'
            )
    return "a job id is 'job_' and 26 lower-case characters, as the answer to POST /api/jobs has it"
