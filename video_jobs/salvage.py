"""What a waiting job can take up in place of a paid call: what it imports, or what the job before it left.

A retry generates anew only what can't be had any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from video_jobs.adoption import ListUnavailable, search
from video_jobs.errors import BackendError, Gone, JobNotFound, NotFound, Rejected, Unauthorised
from video_jobs.job import BackendRef, Job
from video_jobs.ports import BackendJob, BackendState
from video_jobs.services import Services

_PROBE_DEADLINE = 20.0  # seconds
_NOTHING_CAME = (BackendState.FAILED, BackendState.CANCELLED)


class Undecided(Exception):
    """The backend can't tell right now; look again before anything is paid for."""


class NothingToAdopt(Exception):
    """What the job was to take up is not there."""


@dataclass(frozen=True)
class Existing:
    """A backend's job that can be taken up."""

    backend_job: BackendJob
    backend: BackendRef
    held_by: str | None  #: the job before, whose claim is handed over


def salvage(services: Services, job: Job) -> Existing | None:
    """What the job can take up; None where one has to be made.

    Raises Undecided, and NothingToAdopt for a job that may not be submitted.
    """
    before = [*_jobs_before(services, job)]
    family = {job.id, *(old.id for old in before)}
    if job.adopts is not None:
        existing = _unless_anothers(services, family, job.backend, _look(services, job, job.adopts))
        if existing is None:
            raise NothingToAdopt(f"The video API has no job {job.adopts}, or has deleted it.")
        return existing
    source = next((old for old in before if old.backend_job_id or _is_unconfirmed(old)), None)
    if source is None:
        return None
    return _unless_anothers(services, family, source.backend, _what_is_left(services, source))


def _unless_anothers(
    services: Services, family: set[str], backend: BackendRef, found: BackendJob | None
) -> Existing | None:
    """What a job outside the family has is not for this one: that one will have its video."""
    if found is None:
        return None
    claim = services.claims.find(backend.base_url, found.id)
    if claim is not None and claim.job_id not in family:
        return None
    return Existing(found, backend, claim.job_id if claim else None)


def _jobs_before(services: Services, job: Job) -> Iterator[Job]:
    """The job that this one tries again, the one before that, and so on."""
    while job.retry_of is not None:
        try:
            job = services.jobs.get(job.owner, job.retry_of).job
        except JobNotFound:
            return
        yield job


def _is_unconfirmed(job: Job) -> bool:
    return job.error is not None and job.error.code == "submission_unconfirmed"


def _what_is_left(services: Services, before: Job) -> BackendJob | None:
    if before.backend_job_id is None:
        return _search(services, before)
    found = _look(services, before, before.backend_job_id)
    if found is None or found.state in _NOTHING_CAME:
        return None
    if found.state is BackendState.SUCCEEDED:
        return found if _can_be_fetched(services, before, found) else None
    return None if found.expires_at is not None and found.expires_at <= services.clock() else found


def _search(services: Services, before: Job) -> BackendJob | None:
    """For a job whose outcome was never known: it may be in the list by now."""
    try:
        return search(services, before).found
    except ListUnavailable as error:
        raise Undecided(f"The video API's list can't be read right now: {error}") from None


def _look(services: Services, job: Job, backend_job_id: str) -> BackendJob | None:
    try:
        return services.backends.client(job.backend).get(backend_job_id)
    except (NotFound, Gone):
        return None
    except BackendError as error:
        raise Undecided(
            f"The video API can't say right now what became of {backend_job_id}: {error}"
        ) from None


def _can_be_fetched(services: Services, job: Job, found: BackendJob) -> bool:
    """Whether its bytes may still be had. Before its time is over, a refusal is no proof of loss; after that,
    only handing them out is: some keep the record of a job for longer than its video."""
    if not found.generation_ids:
        return False
    expires_at = found.expires_at or job.expires_at
    if expires_at is not None and services.clock() < expires_at:
        return True
    try:
        client = services.backends.client(job.backend)
        with client.open_video(found.id, found.generation_ids[0], _PROBE_DEADLINE):
            return True
    except (NotFound, Gone, Rejected, Unauthorised):
        return False
    except BackendError as error:
        raise Undecided(f"The video API can't hand its video out right now: {error}") from None
