"""Find what a waiting job can reuse in place of a paid call: the imported backend job, or that of an earlier attempt.

A retry generates a video again only if the earlier one can't be fetched any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from video_jobs.domain.backend_job import BackendJob, BackendState
from video_jobs.domain.errors import BackendError, Gone, JobNotFound, NotFound, Rejected, Unauthorised
from video_jobs.domain.job import LOST_JOB_GRACE, BackendRef, Job, ListSearch, Status
from video_jobs.domain.transitions.shared import with_expiry
from video_jobs.lifecycle.adoption import search
from video_jobs.lifecycle.list_reading import ListUnavailable, NoList
from video_jobs.lifecycle.rescue import serves_video
from video_jobs.services import Services

_NOTHING_CAME = (BackendState.FAILED, BackendState.CANCELLED, BackendState.EXPIRED)


class Undecided(Exception):
    """The backend's answer does not decide yet; ask again before the paid call.

    `rest`: where to continue reading the backend's list.
    """

    def __init__(self, message: str, rest: ListSearch | None = None) -> None:
        super().__init__(message)
        self.rest = rest


class NothingToAdopt(Exception):
    """The backend job that the job should reuse does not exist."""


class Existing(NamedTuple):
    """A backend job that can be reused."""

    backend_job: BackendJob
    backend: BackendRef
    held_by: str | None  #: the earlier job, whose claim is handed over


def reuse_existing(services: Services, job: Job) -> Existing | None:
    """The backend job to reuse; None if the paid call is needed.

    Raises Undecided, and NothingToAdopt for a job that may not be submitted.
    """
    before = [*_jobs_before(services, job)]
    family = {job.id, *(old.id for old in before)}
    if job.adopts is not None:
        existing = _unless_anothers(
            services, family, job.backend, _poll(services, job, job.adopts, patient=False)
        )
        if existing is None:
            raise NothingToAdopt(f"The video API has no job {job.adopts}, or has deleted it.")
        return existing
    source = next((old for old in before if old.backend_job_id or _is_unconfirmed(old)), None)
    if source is None:
        return None
    return _unless_anothers(services, family, source.backend, _what_is_left(services, job, source))


def _unless_anothers(
    services: Services, family: set[str], backend: BackendRef, found: BackendJob | None
) -> Existing | None:
    """The backend job, unless a job outside the family owns it: that job will store the video."""
    if found is None:
        return None
    claim = services.claims.find(backend.base_url, found.id)
    if claim is not None and claim.job_id not in family:
        return None
    return Existing(found, backend, claim.job_id if claim else None)


def _jobs_before(services: Services, job: Job) -> Iterator[Job]:
    """The job that this one retries, the one before that, and so on."""
    while job.retry_of is not None:
        try:
            job = services.jobs.get(job.owner, job.retry_of).job
        except JobNotFound:
            return
        yield job


def _is_unconfirmed(job: Job) -> bool:
    return job.error is not None and job.error.code == "submission_unconfirmed"


def _what_is_left(services: Services, job: Job, before: Job) -> BackendJob | None:
    patient = services.clock() < job.created_at + LOST_JOB_GRACE
    if before.backend_job_id is None:
        return _search(services, replace(before, list_search=job.list_search), patient=patient)
    found = _poll(services, before, before.backend_job_id, patient=patient and not _is_proven_gone(before))
    if found is None or found.state in _NOTHING_CAME:
        return None
    if found.state is BackendState.SUCCEEDED:
        return found if _can_be_fetched(services, before, found, patient=patient) else None
    now = services.clock()
    known = with_expiry(before, now, found)  # by our clock
    return (
        None
        if found.expires_at is not None and known.told_expires_at is not None and known.expired_by(now)
        else found
    )


def _is_proven_gone(before: Job) -> bool:
    """Whether the backend said so itself when the earlier job ended."""
    if before.status is Status.EXPIRED:
        return before.told_expires_at is not None
    lost = before.error is not None and before.error.code in ("backend_lost_job", "generation_failed")
    return lost or before.status is Status.CANCELLED


def _search(services: Services, before: Job, *, patient: bool) -> BackendJob | None:
    """Search the list for the backend job of an earlier job whose outcome stayed unknown: it may be listed by now."""
    try:
        listed = search(services, before)
    except NoList as error:
        if patient and not error.is_certain:
            raise Undecided(f"The video API's list can't be read right now: {error}") from None
        return None
    except ListUnavailable as error:
        raise Undecided(f"The video API's list can't be read right now: {error}") from None
    if listed.found is None and listed.rest is not None:
        raise Undecided(
            "The video API's list is being read for what the job before this one left.", listed.rest
        )
    return listed.found


def _poll(services: Services, job: Job, backend_job_id: str, *, patient: bool) -> BackendJob | None:
    """`patient`: a 404 may pass."""
    try:
        return services.backends.client(job.backend).get(backend_job_id)
    except BackendError as error:
        if isinstance(error, Gone) or (isinstance(error, NotFound) and not patient):
            return None
        raise Undecided(
            f"The video API can't say right now what became of {backend_job_id}: {error}"
        ) from None


def _can_be_fetched(services: Services, job: Job, found: BackendJob, *, patient: bool) -> bool:
    """Whether its bytes may still be fetched.

    Before the expiry, a refusal does not prove a loss. After it, only bytes that arrive are proof: some backends keep a
    job's record longer than its video. `patient`: a refusal may pass.
    """
    if not found.generation_ids:
        return False
    now = services.clock()
    expires_at = with_expiry(job, now, found).expires_at  # by our clock
    if expires_at is not None and now < expires_at:
        return True
    try:
        return serves_video(services.backends.client(job.backend), found.id, found.generation_ids[0])
    except BackendError as error:
        refused = isinstance(error, NotFound | Rejected | Unauthorised)
        if isinstance(error, Gone) or (refused and not patient):
            return False
        raise Undecided(f"The video API can't hand its video out right now: {error}") from None
