"""Find a job's backend job in the backend's list after a paid call without an answer.

If prompt and parameters are equal, one backend job is as good as another, so any that no job has claimed will do.
The list shows no input images, seeds, options and the like, and many people ask for "make it move". So a job with one
of these never adopts on a guess: the video may show another person's picture. The job names the candidate for import.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from video_jobs.domain.backend_job import BackendJob, BackendState, unpacked_id
from video_jobs.domain.job import EqualEntry, Job, ListSearch
from video_jobs.domain.logs import log_event
from video_jobs.lifecycle.list_reading import Entry, ListUnavailable, NoList, read_back
from video_jobs.ports import Claim
from video_jobs.services import Services

log = logging.getLogger("reelkeep.adoption")

# The most by which the backend's clock, corrected by its Date header, may differ from ours.
_CLOCKS_APART = timedelta(seconds=30)
_MOST_MODELS = 10  # for which the nearest entry is kept
_MOST_NAMED = 5  # ids may be long and must fit into a row


class Search(NamedTuple):
    """The result of a search: the backend job to adopt, or else the candidates."""

    found: BackendJob | None = None
    candidates: tuple[str, ...] = ()
    read: int = 0  #: entries of the list
    rest: ListSearch | None = None  #: where the next poll continues; None: the list was read whole


def search(services: Services, job: Job) -> Search:
    """Look for the backend job that the job's latest attempt may have created: each poll reads a part of a long list.

    Raises ListUnavailable and NoList.
    """
    for claim in services.claims.of_job(job.id, job.backend.base_url):
        # Before a crash, the answer arrived, or the backend job was adopted from the list.
        return Search(BackendJob(id=claim.backend_job_id, state=BackendState.UNKNOWN))
    since = job.submission.submitting_since
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
    """Claim the backend job for this job; False if another job owns it."""
    claim = Claim(job.backend.base_url, backend_job_id, job.owner, job.id)
    if from_job_id is None:
        return services.claims.claim(claim).job_id == job.id
    return services.claims.hand_over(claim, from_job_id).job_id == job.id


def is_listed(services: Services, job: Job) -> tuple[bool | None, ListSearch | None]:
    """Whether the backend's list still has the backend job, and where the next poll continues to read.

    None if the list was not read whole or does not exist: that proves nothing.
    """
    created = job.submission.submitting_since  # None for an imported job: its time is unknown
    to = None if created is None else created - _CLOCKS_APART
    try:
        reading = read_back(services.backends.client(job.backend), to, services.clock(), job.list_search)
    except (ListUnavailable, NoList) as error:
        log_event(log, logging.WARNING, "adoption.list_unreadable", job_id=job.id, problem=error)
        return None, None
    ours = unpacked_id(job.backend_job_id or "")
    if any(unpacked_id(entry.job.id) == ours for entry in reading.entries):
        return True, None
    if reading.problem is not None:
        log_event(log, logging.WARNING, "adoption.list_incomplete", job_id=job.id, problem=reading.problem)
    return (False if reading.is_whole else None), reading.rest


def _may_be(job: Job, entry: Entry, begin: datetime, end: datetime) -> bool:
    """Whether the entry was created during the call, and nothing listed contradicts the job.

    An entry without a time, with one of an unknown format, or with one that may be of another zone must be equal in
    everything instead.
    """
    if not entry.is_within(begin, end):
        is_another = entry.moments and entry.is_clock_told and not entry.is_within_elsewhere(begin, end)
        return not is_another and _says_the_same(job, entry.job)
    pairs = _parameters(job, entry.job)
    return not any(theirs is not None and ours != theirs for ours, theirs in pairs)


def _parameters(job: Job, entry: BackendJob) -> list[tuple[object, object]]:
    """Pairs of a requested value and the listed value. Backends change white space: prompts are compared by words."""
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
    """For each model, the entry that was created nearest to the call."""
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
    """The backend job to adopt; None if there is none, or if nothing decides between several.

    A backend may list a model under a longer name ('sora-2' as 'sora-2-2025-10-06'), so another name ranks lower but
    excludes nothing; between two different other names nothing decides. Among entries of one model, the nearest to
    the call is the likeliest; a job with the same request, sent a minute later, finds its own nearest.
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
    """0: the same name, or none is listed; 1: one name is a part of the other; 2: another name."""
    if theirs is None or theirs == ours:
        return 0
    a, b = ours.lower(), theirs.lower()
    return 1 if a.startswith(b) or b.startswith(a) or a in b else 2
