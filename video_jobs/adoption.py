"""A backend's job that may be ours: found in its list when the paid call's answer never came.

Jobs whose prompt and parameters are equal are worth the same to everybody, so any that nobody has claimed will
do. Input images are not listed, and many people ask for "make it move": a job with one is never adopted on a
guess, since it may show another person's picture. It is named, for import.
"""

from __future__ import annotations

import itertools
import logging
from dataclasses import dataclass
from datetime import timedelta

from video_jobs.errors import BackendError, NotFound
from video_jobs.job import Job
from video_jobs.ports import BackendJob, BackendState, Claim
from video_jobs.services import Services

log = logging.getLogger("reelkeep.adoption")

LONGEST_LIST = 1000
"""Jobs of a backend's list that are read to find one."""

_CLOCKS_APART = timedelta(seconds=30)  # at most, the backend's and ours
_MOST_NAMED = 5  # ids may be long, and have to fit into a row


@dataclass(frozen=True)
class Search:
    """What the list told: the job to take up, if there is one, and else those that it may be."""

    found: BackendJob | None = None
    candidates: tuple[str, ...] = ()


class ListUnavailable(Exception):
    """The list can't be read right now."""


def search(services: Services, job: Job) -> Search:
    """Look for what the latest attempt of the job may have created. Raises ListUnavailable."""
    for claim in services.claims.of_job(job.id):
        if claim.base_url == job.backend.base_url:
            # Its answer did arrive, or it was taken up from the list, before a crash.
            return Search(BackendJob(id=claim.backend_job_id, state=BackendState.UNKNOWN))
    since = job.submitting_since
    if since is None:
        return Search()
    listed = _created_then(services, job)
    free = [e for e in listed if services.claims.find(job.backend.base_url, e.id) is None]
    # Nearest to the call first: it is the likeliest, and who asked for the same a minute later finds its own.
    free.sort(key=lambda entry: abs((entry.created_at or since) - since))
    equal = [entry for entry in free if _says_the_same(job, entry)]
    adoptable = job.request.input_image is None and equal
    return Search(equal[0] if adoptable else None, tuple(entry.id for entry in free)[:_MOST_NAMED])


def adopt(services: Services, job: Job, backend_job_id: str, from_job_id: str | None = None) -> bool:
    """Claim the backend's job for this one; False where it is another's."""
    claim = Claim(job.backend.base_url, backend_job_id, job.owner, job.id)
    if from_job_id is None:
        return services.claims.claim(claim).job_id == job.id
    return services.claims.hand_over(claim, from_job_id).job_id == job.id


def is_listed(services: Services, job: Job) -> bool | None:
    """Whether the backend's own list still knows the job; None where the list can't be read right now."""
    try:
        listed = itertools.islice(services.backends.client(job.backend).recent(), LONGEST_LIST)
        return any(backend_job.id == job.backend_job_id for backend_job in listed)
    except BackendError as error:
        log.warning("%s: the backend's list could not be read: %s", job.id, error)
        return False if _keeps_no_list(error) else None


def _created_then(services: Services, job: Job) -> list[BackendJob]:
    """What was created while the call was made, and contradicts the job in nothing that is listed."""
    assert job.submitting_since is not None
    begin = job.submitting_since - _CLOCKS_APART
    end = job.submitting_since + timedelta(seconds=services.create_deadline) + _CLOCKS_APART
    found = []
    try:
        for entry in itertools.islice(services.backends.client(job.backend).recent(), LONGEST_LIST):
            if entry.created_at is None:
                continue
            if entry.created_at < begin:
                break  # newest first
            if entry.created_at <= end and not _contradicts(job, entry):
                found.append(entry)
    except BackendError as error:
        if _keeps_no_list(error):
            return []
        raise ListUnavailable(str(error)) from error
    return found


def _keeps_no_list(error: BackendError) -> bool:
    return isinstance(error, NotFound) or error.status in (405, 501)


def _parameters(job: Job, entry: BackendJob) -> list[tuple[object, object]]:
    """What was asked for beside what is listed."""
    request = job.request
    asked = (request.prompt, request.width, request.height, request.seconds)
    pairs: list[tuple[object, object]] = list(
        zip(asked, (entry.prompt, entry.width, entry.height, entry.seconds), strict=True)
    )
    if job.backend.dialect == "azure-sora":
        pairs.append((request.variants, entry.variants))
    return pairs


def _contradicts(job: Job, entry: BackendJob) -> bool:
    listed = [*_parameters(job, entry), (job.backend.model, entry.model)]
    return any(theirs is not None and ours != theirs for ours, theirs in listed)


def _says_the_same(job: Job, entry: BackendJob) -> bool:
    same = not entry.from_image and all(ours == theirs for ours, theirs in _parameters(job, entry))
    return same and entry.state is not BackendState.CANCELLED
