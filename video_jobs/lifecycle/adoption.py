"""A backend's job that may be ours: found in its list when the paid call's answer never came.

Jobs whose prompt and parameters are equal are worth the same to everybody, so any that nobody has claimed will
do. Input images are not listed, nor are seeds, options and the like, and many people ask for "make it move": a job
with one is never adopted on a guess, since it may show another person's picture. It is named, for import.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from video_jobs.domain.backend_job import BackendJob, BackendState
from video_jobs.domain.job import EqualEntry, Job, ListSearch
from video_jobs.domain.logs import log_event
from video_jobs.lifecycle.list_reading import Entry, ListUnavailable, NoList, read_back
from video_jobs.ports import Claim
from video_jobs.services import Services

log = logging.getLogger("reelkeep.adoption")

_CLOCKS_APART = timedelta(seconds=30)  # at most, the backend's and ours, once its Date is reckoned with
_MOST_MODELS = 10  # by whose names entries are told apart
_MOST_NAMED = 5  # ids may be long, and have to fit into a row


@dataclass(frozen=True)
class Search:
    """What the list told: the job to take up, if there is one, and else those that it may be."""

    found: BackendJob | None = None
    candidates: tuple[str, ...] = ()
    read: int = 0  #: entries of the list
    rest: ListSearch | None = None  #: where the next poll goes on; None: the list was read whole


def search(services: Services, job: Job) -> Search:
    """Look for what the latest attempt of the job may have created, a part of a long list at each poll.

    Raises ListUnavailable and NoList.
    """
    for claim in services.claims.of_job(job.id, job.backend.base_url):
        # Its answer did arrive, or it was taken up from the list, before a crash.
        return Search(BackendJob(id=claim.backend_job_id, state=BackendState.UNKNOWN))
    since = job.submitting_since
    if since is None:
        return Search()
    begin = since - _CLOCKS_APART
    end = since + timedelta(seconds=services.create_deadline) + _CLOCKS_APART
    client, before = services.backends.client(job.backend), job.list_search
    reading = read_back(client, begin, services.clock(), before)

    def is_free(backend_job_id: str) -> bool:
        return services.claims.find(job.backend.base_url, backend_job_id) is None

    free = [entry for entry in reading.entries if _may_be(job, entry, begin, end) and is_free(entry.job.id)]
    named = (*(before.candidates if before is not None else ()), *(entry.job.id for entry in free))
    candidates = tuple(dict.fromkeys(named))[:_MOST_NAMED]
    equal = [entry for entry in free if entry.is_within(begin, end) and _says_the_same(job, entry.job)]
    equal_before = before.equal if before is not None else ()
    nearest = _nearest(tuple(entry for entry in equal_before if is_free(entry.id)), equal, since)
    found = _best(job, nearest, [entry.job for entry in equal], is_whole=reading.is_whole)
    if found is None and reading.problem is not None:
        raise ListUnavailable(reading.problem, candidates)
    rest = None if reading.rest is None else replace(reading.rest, candidates=candidates, equal=nearest)
    return Search(found, candidates, reading.read, rest)


def adopt(services: Services, job: Job, backend_job_id: str, from_job_id: str | None = None) -> bool:
    """Claim the backend's job for this one; False where it is another's."""
    claim = Claim(job.backend.base_url, backend_job_id, job.owner, job.id)
    if from_job_id is None:
        return services.claims.claim(claim).job_id == job.id
    return services.claims.hand_over(claim, from_job_id).job_id == job.id


def is_listed(services: Services, job: Job) -> tuple[bool | None, ListSearch | None]:
    """Whether the backend's own list still knows the job, and where the next poll goes on to read it.

    None where the list was not read whole, or is none: that proves nothing.
    """
    created = job.submitting_since  # None for one that was made elsewhere, whenever that was
    to = None if created is None else created - _CLOCKS_APART
    try:
        reading = read_back(services.backends.client(job.backend), to, services.clock(), job.list_search)
    except (ListUnavailable, NoList) as error:
        log_event(log, logging.WARNING, "adoption.list_unreadable", job_id=job.id, problem=error)
        return None, None
    if any(entry.job.id == job.backend_job_id for entry in reading.entries):
        return True, None
    if reading.problem is not None:
        log_event(log, logging.WARNING, "adoption.list_incomplete", job_id=job.id, problem=reading.problem)
    return (False if reading.is_whole else None), reading.rest


def _may_be(job: Job, entry: Entry, begin: datetime, end: datetime) -> bool:
    """Whether it was created while the call was made, and contradicts the job in nothing that is listed.

    Without a time, or with one that nobody knows how to read, it may be only what says the same.
    """
    if not entry.is_within(begin, end):
        return not (entry.moments and entry.is_clock_told) and _says_the_same(job, entry.job)
    pairs = _parameters(job, entry.job)
    return not any(theirs is not None and ours != theirs for ours, theirs in pairs)


def _parameters(job: Job, entry: BackendJob) -> list[tuple[object, object]]:
    """What was asked for beside what is listed. White space changes on its way: ends are trimmed, lines rewritten."""
    request = job.request
    asked = (_words(request.prompt), request.width, request.height, request.seconds)
    listed = (
        None if entry.prompt is None else _words(entry.prompt),
        entry.width,
        entry.height,
        entry.seconds,
    )
    pairs: list[tuple[object, object]] = list(zip(asked, listed, strict=True))
    if job.backend.dialect == "azure-sora":
        pairs.append((request.variants, entry.variants))
    return pairs


def _words(prompt: str) -> str:
    return " ".join(prompt.split())


def _says_the_same(job: Job, entry: BackendJob) -> bool:
    same = not entry.from_image and all(ours == theirs for ours, theirs in _parameters(job, entry))
    return same and entry.state is not BackendState.CANCELLED


def _nearest(before: tuple[EqualEntry, ...], equal: list[Entry], since: datetime) -> tuple[EqualEntry, ...]:
    """Of each model the entry that was created nearest to the call."""
    known = {entry.model: entry for entry in before}
    for entry in equal:
        apart = min(abs((moment - since).total_seconds()) for moment in entry.moments)
        held = known.get(entry.job.model)
        if held is None or apart < held.apart:
            known[entry.job.model] = EqualEntry(entry.job.id, entry.job.model, apart)
    return tuple(known.values())[:_MOST_MODELS]


def _best(
    job: Job, nearest: tuple[EqualEntry, ...], read: list[BackendJob], *, is_whole: bool
) -> BackendJob | None:
    """The one to adopt; None where there is none, or no telling which.

    A model's name may come back resolved ('sora-2' as 'sora-2-2025-10-06'), so another name ranks lower and rules
    nothing out; but between two different ones nobody can choose. Of those that rank alike, the nearest to the call
    is the likeliest, and who asked for the same a minute later finds its own.
    """
    if job.request.has_more_than_lists_tell or not nearest:
        return None
    highest = min(_rank(job.backend.model, entry.model) for entry in nearest)
    best = [entry for entry in nearest if _rank(job.backend.model, entry.model) == highest]
    if highest and (not is_whole or len(best) > 1):
        return None
    chosen = min(best, key=lambda entry: entry.apart)
    unread = BackendJob(id=chosen.id, state=BackendState.UNKNOWN)
    return next((seen for seen in read if seen.id == chosen.id), unread)


def _rank(ours: str, theirs: str | None) -> int:
    """0: the very name, or none is told; 1: one begins with the other; 2: another."""
    if theirs is None or theirs == ours:
        return 0
    a, b = ours.lower(), theirs.lower()
    return 1 if a.startswith(b) or b.startswith(a) or a in b else 2
