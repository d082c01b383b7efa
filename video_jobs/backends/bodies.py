"""What all dialects do with answers about jobs: a new job, a polled job, and lists of jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from video_jobs.backends.answers import (
    ToldHeaders,
    error_in,
    identifier,
    message_in,
    names_a_state,
    state_in,
)
from video_jobs.backends.http import BackendHttp
from video_jobs.backends.job_list import read_list
from video_jobs.backends.paid_post import post_once
from video_jobs.backends.responses import Answer
from video_jobs.domain.backend_job import BackendJob, BackendState, unpacked_id
from video_jobs.domain.errors import Gone, NotFound, Rejected, Unavailable, UnknownOutcome
from video_jobs.domain.refusal_kinds import is_moderation
from video_jobs.ports import ListedJobs

Read = Callable[[dict[str, Any], ToldHeaders, str], BackendJob]
"""A dialect's function that reads a body and its headers as the job of the given id."""

_WRAPPERS = ("data", "video", "job", "task", "result", "response", "output")
_ERROR_WRAPPERS = ("detail", "error")
"""Where a server that wraps its answers puts the job."""

_DEEPEST = 2  # envelopes
_LONGEST_LIST = 100  # jobs, in an answer about one of them
_ID_NAMES = (
    *("id", "task_id", "video_id", "job_id", "generation_id"),
    *("taskId", "videoId", "jobId", "generationId"),
)
_TELLS_A_JOB = frozenset(
    ("created_at", "model", "prompt", "progress", "seconds", "n_seconds", "size", "generations")
) | frozenset(("completed_at", "finished_at", "expires_at"))
_UNDER_WAY = (BackendState.QUEUED, BackendState.RUNNING)
_SHORTEST_ALIKE = 6  # characters; a shorter id is not compared as a part of another id


def create_job(
    http: BackendHttp, path: str, deadline: float, read: Read, id_name: str = "id", **content: Any
) -> BackendJob:
    """The paid call, and the job that its answer describes. `id_name`: where the API puts its id; if the body has none, the
    address of the new job tells it. `content`: see `post_once`.

    Raises UnknownOutcome for a success without an id.
    """
    names = (id_name, *_ID_NAMES)

    def is_under_way(body: dict[str, Any]) -> bool:
        jobs = (each for each in _candidates(body, _WRAPPERS) if _id_in(each, names))
        return any(state_in(each) in _UNDER_WAY for each in jobs)

    answer = post_once(http, path, deadline, is_under_way=is_under_way, **content)
    candidates = _candidates(answer.body, _WRAPPERS)
    named = [(each, job_id) for each in candidates if (job_id := _id_in(each, names))]
    if not named and answer.new_id is not None:
        named = [(answer.body, answer.new_id)]
    if not named:
        said = message_in(answer.body).in_words
        raise UnknownOutcome(
            f"The video API answered the request as a success, but without a job's id{said}."
        )
    plainest = max(named, key=lambda pair: _plainness(pair[0], names))  # of equals, the outermost
    if not _plainness(plainest[0], names):
        # Of objects that say nothing, the outermost is an envelope with an id of its own.
        plainest = (named[1:] or named)[0]
    body, job_id = plainest
    return read(body, answer.told, job_id)


def job_asked_for(http: BackendHttp, path: str, job_id: str) -> Answer:
    """A server's answer about a job, even if it has an error's status.

    vLLM-Omni answers a failed job that way. Such a body is accepted only if it has the requested id. xAI answers a job whose
    video its moderation blocked with 400 and the reason alone, for good.
    """

    refused: dict[str, Any] = {}

    def is_it(body: dict[str, Any]) -> bool:
        refused.update(body)
        found = _within(body, job_id)
        return found is not None and state_in(found).is_final

    try:
        return http.get(path, even_if_refused=is_it)
    except Rejected as error:
        if not refused or not is_moderation(error.code, error.detail):
            raise
        return Answer({**refused, "id": job_id, "status": "failed"})


def read_job(answer: Answer, job_id: str, read: Read) -> BackendJob:
    """The job of that id, from an answer that may be an envelope, or about something else.

    If the answer may be about another job, a terminal state in it is not accepted. It only counts as a hint that the job
    may be done, which a download will show. Raises Unavailable for an error in place of a job.
    """
    found = _within(answer.body, job_id)
    body = found or _with_a_state(answer.body)
    job = read(body, answer.told, job_id)
    if job.state is BackendState.UNKNOWN and not job.seems_done and not names_a_state(body):
        failure = message_in(body) if _TELLS_A_JOB.isdisjoint(body) else error_in(answer.body)
        if failure.code or failure.text:
            raise Unavailable(f"The video API answered an error in place of the job{failure.in_words}.")
    if found is not None:
        return job
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


def job_in(body: dict[str, Any], job_id: str) -> dict[str, Any]:
    """The object that describes the job of that id, in an envelope or without one."""
    return _within(body, job_id) or _with_a_state(body)


def delete_job(http: BackendHttp, path: str, job_id: str) -> None:
    """Delete a job. Raises Rejected if the server says, or a poll shows, that the job is still there: many servers answer
    every request with success."""
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
        raise Rejected(f"The video API accepted the request to delete {job_id}, but still has the job.")


def listed_jobs(
    http: BackendHttp, path: str, query: dict[str, str], after: str | None, read: Read
) -> ListedJobs:
    """One page of the backend's list; entries without an id are skipped. Raises BackendError."""
    if after is not None:
        query = {**query, "after": after}
    with http.stream(path, **query) as (content, told, redactor):

        def job(entry: dict[str, Any]) -> BackendJob | None:
            entry = redactor.data(entry)
            job_id = _id_in(entry)
            return None if job_id is None else read(entry, ToldHeaders(), job_id)

        page = read_list(content, job)
    # If the answer does not say whether there is more, a page of the full requested length may be followed by another.
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


def _candidates(
    body: dict[str, Any], wrappers: tuple[str, ...], deepest: int = _DEEPEST, longest: int = 1
) -> Iterator[dict[str, Any]]:
    """The objects that may be the job: the body, and what it wraps. `longest`: of a list among whose entries it may be."""
    yield body
    for name in wrappers if deepest else ():
        inner = body.get(name)
        for each in inner if isinstance(inner, list) and len(inner) <= longest else (inner,):
            if isinstance(each, dict):
                yield from _candidates(each, wrappers, deepest - 1, longest)


def _id_in(body: dict[str, Any], names: tuple[str, ...] = _ID_NAMES) -> str | None:
    """A text before a number, which is a code or the number of a row beside it."""
    told = sorted((body.get(name) for name in names), key=lambda value: isinstance(value, int))
    return next((found for value in told if (found := identifier(value))), None)


def _plainness(body: dict[str, Any], names: tuple[str, ...]) -> int:
    """How plainly an object with an id is the new job. A word like `success` may be about the call, and `id` anything's."""
    if state_in(body) in _UNDER_WAY:
        return 3
    if any(identifier(body.get(name)) for name in names if name != "id"):
        return 2
    return int(state_in(body) is not BackendState.UNKNOWN or not _TELLS_A_JOB.isdisjoint(body))


def _within(body: dict[str, Any], job_id: str) -> dict[str, Any] | None:
    """The object that contains the id."""
    wanted = unpacked_id(job_id)
    for candidate in _candidates(body, _WRAPPERS + _ERROR_WRAPPERS, longest=_LONGEST_LIST):
        told = (identifier(candidate.get(name)) for name in _ID_NAMES)
        if any(each is not None and unpacked_id(each) == wanted for each in told):
            return candidate
    return None


def _with_a_state(body: dict[str, Any]) -> dict[str, Any]:
    """The first object in the envelope that names a job's state; else the body."""
    inner = (each for each in _candidates(body, _WRAPPERS) if each is not body and names_a_state(each))
    return next(inner, body)


def _alike(told: str | None, job_id: str) -> bool:
    """Whether one id is a part of the other: some servers add a prefix or suffix to their ids."""
    if told is None or min(len(told), len(job_id)) < _SHORTEST_ALIKE:
        return False
    return told in job_id or job_id in told


def _is_no_more(body: dict[str, Any]) -> bool:
    return state_in(body) in (BackendState.CANCELLED, BackendState.EXPIRED)
