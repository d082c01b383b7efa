"""What the dialects do alike with answers that hold jobs: one that was just made, one that was asked for, and lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from video_jobs.backends.answers import ToldHeaders, identifier, state_of, text
from video_jobs.backends.http import Answer, BackendHttp
from video_jobs.backends.job_list import read_list
from video_jobs.domain.backend_job import BackendJob, BackendState
from video_jobs.domain.errors import Gone, NotFound, Rejected, UnknownOutcome
from video_jobs.ports import ListedJobs

Read = Callable[[dict[str, Any], ToldHeaders, str], BackendJob]
"""A dialect's reading of a body, with its headers, about the job of that id."""

_WRAPPERS = ("data", "video", "job", "task", "result", "response", "output")
_ERROR_WRAPPERS = ("detail", "error")
"""Where a server that wraps its answers puts the job."""

_ID_NAMES = ("id", "task_id", "video_id", "job_id", "generation_id")
_TELLS_A_JOB = frozenset(
    ("created_at", "model", "prompt", "progress", "seconds", "n_seconds", "size", "generations")
) | frozenset(("completed_at", "finished_at", "expires_at"))
_SHORTEST_ALIKE = 6  # characters of an id that is a part of another


def created_job(answer: Answer, read: Read) -> BackendJob:
    """Raises UnknownOutcome for a success that does not say what was made."""
    named = [(each, job_id) for each in _candidates(answer.body, _WRAPPERS) if (job_id := _id_in(each))]
    if not named:
        raise UnknownOutcome("The video API took the job, but its answer bears no id.")
    # An envelope may have an id of its own, but no state of a job.
    body, job_id = next((pair for pair in named if "status" in pair[0]), named[0])
    return read(body, answer.told, job_id)


def job_asked_for(http: BackendHttp, path: str, job_id: str) -> Answer:
    """What a server answers for a job: also where it answers one that has ended under the status of an error.

    vLLM-Omni answers a failed job so. Such a body is believed only where it bears the id that was asked for.
    """

    def is_it(body: dict[str, Any]) -> bool:
        found = _within(body, job_id)
        return found is not None and state_of(text(found.get("status"))).is_final

    return http.get(path, even_if_refused=is_it)


def read_job(answer: Answer, job_id: str, read: Read) -> BackendJob:
    """The job of that id, out of an answer that may be an envelope, or about something else.

    Where it is not plain that the answer is about this job, an end that it tells is not believed: only that the job may
    be done, which its bytes will show.
    """
    found = _within(answer.body, job_id)
    if found is not None:
        return read(found, answer.told, job_id)
    inner = (each for each in _candidates(answer.body, _WRAPPERS) if "status" in each)
    body = next((each for each in inner if each is not answer.body), answer.body)
    job = read(body, answer.told, job_id)
    told_id = _id_in(body)
    if _alike(told_id, job_id) or (told_id is None and not _TELLS_A_JOB.isdisjoint(body)):
        return job
    done = job.seems_done or job.state is BackendState.SUCCEEDED
    return BackendJob(
        id=job_id,
        state=BackendState.UNKNOWN if job.state.is_final else job.state,
        status=job.status,
        seems_done=done,
        poll_after=job.poll_after,
        request_id=job.request_id,
        told_at=job.told_at,
    )


def delete_job(http: BackendHttp, path: str, job_id: str) -> None:
    """Raises Rejected where the server says, or shows, that it has not deleted the job. Many answer a success to
    whatever they are asked."""
    said = http.delete(path)
    if said is not None and (not said or said.get("deleted") is True or _is_no_more(said)):
        return
    if said is not None and said.get("deleted") is False:
        raise Rejected(f"The video API answers that it has not deleted {job_id}.")
    try:
        body = job_asked_for(http, path, job_id).body
    except (NotFound, Gone):
        return
    if not _is_no_more(_within(body, job_id) or body):
        raise Rejected(f"The video API took the order to delete {job_id}, and still has it.")


def listed_jobs(
    http: BackendHttp, path: str, query: dict[str, str], after: str | None, read: Read
) -> ListedJobs:
    """One page of the backend's list; entries without an id are passed over. Raises BackendError."""
    if after is not None:
        query = {**query, "after": after}
    with http.stream(path, **query) as (content, told, redactor):

        def job(entry: dict[str, Any]) -> BackendJob | None:
            entry = redactor.data(entry)
            job_id = _id_in(entry)
            return None if job_id is None else read(entry, ToldHeaders(), job_id)

        page = read_list(content, job)
    # Where nothing says whether there is more, a page that is as long as was asked for may be followed by another.
    count, limit = len(page.entries) + page.passed_over, int(query["limit"])
    more = count >= limit if page.has_more is None else page.has_more
    last = page.entries[-1].id if page.entries else None
    return ListedJobs(
        jobs=tuple(page.entries),
        next_after=last if more else None,
        says_more=page.has_more is True,
        is_full=count == limit,
        passed_over=page.passed_over,
        told_at=told.date,
    )


def every_job(page: Callable[[str | None], ListedJobs]) -> Iterator[BackendJob]:
    """All that the list holds, in its order, page by page."""
    after: str | None = None
    seen: set[str] = set()
    while True:
        listed = page(after)
        new = [job for job in listed.jobs if job.id not in seen]
        yield from new
        if listed.next_after is None or not new:
            return
        seen.update(job.id for job in new)
        after = listed.next_after


def _candidates(body: dict[str, Any], wrappers: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """The objects that may be the job: the body, and what it wraps."""
    yield body
    for name in wrappers:
        inner = body.get(name)
        if isinstance(inner, list) and len(inner) == 1:
            inner = inner[0]
        if isinstance(inner, dict):
            yield inner


def _id_in(body: dict[str, Any]) -> str | None:
    return next((found for name in _ID_NAMES if (found := identifier(body.get(name)))), None)


def _within(body: dict[str, Any], job_id: str) -> dict[str, Any] | None:
    """The object in which the id stands."""
    for candidate in _candidates(body, _WRAPPERS + _ERROR_WRAPPERS):
        if any(identifier(candidate.get(name)) == job_id for name in _ID_NAMES):
            return candidate
    return None


def _alike(told: str | None, job_id: str) -> bool:
    """Whether one is a part of the other: some servers put something before or behind their ids."""
    if told is None or min(len(told), len(job_id)) < _SHORTEST_ALIKE:
        return False
    return told in job_id or job_id in told


def _is_no_more(body: dict[str, Any]) -> bool:
    return state_of(text(body.get("status"))) in (BackendState.CANCELLED, BackendState.EXPIRED)
