"""A job that is stored as submitting: wait for the answer to its paid call, and search the backend's list if it is lost."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from functools import partial

from poll_job.step import Step
from video_jobs.domain import transitions
from video_jobs.domain.backend_job import BackendJob
from video_jobs.domain.errors import TransitionRefused
from video_jobs.domain.job import Job, ListSearch, Status
from video_jobs.domain.logs import log_event
from video_jobs.domain.schedule import AFTER_SUBMIT, SEARCH_ON, poll_delay, search_delay
from video_jobs.lifecycle import admission
from video_jobs.lifecycle.adoption import adopt, search
from video_jobs.lifecycle.list_reading import ListUnavailable, NoList
from video_jobs.lifecycle.paid_call import outcome_known_after
from video_jobs.lifecycle.refusals import unconfirmed
from video_jobs.services import Services

log = logging.getLogger("reelkeep.poll")

_LEAST_SEARCH = timedelta(hours=1)
"""How long an unreadable list is asked for again at the least, from the first time that it was unreadable. After 404 for this
long, the backend counts as one without a list."""
_UNREADABLE = "The video API did not answer, and its list can't be read right now: {} It is asked again."
_NOT_READ = {
    NoList: "It keeps no list in which the job could be looked for.",
    ListUnavailable: "Its list could not be read back to the time of the call.",
}


def await_outcome(step: Step) -> None:
    """Wait for the paid call's answer; if the answer is lost, search the backend's list for the job.

    A job in the list is adopted as soon as the caller has noted that the answer is lost. An empty search proves nothing
    until the call's time limit is over: before that, somebody may still hold an answer.
    """
    services, job, now = step.services, step.job, step.now()
    since = job.submission.submitting_since or now
    left = since + outcome_known_after(services) - now
    undecided = left > timedelta()
    if undecided and job.submission.outcome_lost_at is None:
        delay = min(poll_delay(job, None, now), left)
        step.advance(delay, partial(_still, status=Status.SUBMITTING))
        return
    try:
        listed = search(services, job)
    except (ListUnavailable, NoList) as error:
        if undecided or now < _search_until(services, job, error):
            log_event(log, logging.WARNING, "poll.list_unreadable", job_id=job.id, problem=error)
            reason = None if undecided else _UNREADABLE.format(error)
            _search_again(step, None, reason, unreadable=True)
            return
        candidates = job.list_search.candidates if job.list_search else ()
        if isinstance(error, ListUnavailable):
            candidates = tuple(dict.fromkeys((*candidates, *error.candidates)))
        _unconfirmed(step, candidates, _NOT_READ[type(error)])
        return
    if listed.found is not None:
        if not adopt(services, job, listed.found.id):
            raise TransitionRefused(f"another job has taken {listed.found.id} up")
        _adopted(step, listed.found)
    elif listed.rest is not None or undecided:
        _search_again(step, listed.rest, None)
    else:
        read = f"Its list was read back to the time of the call ({listed.read} jobs)"
        words = (
            "and this one can't be told from others in it."
            if listed.candidates
            else "and it was not among them."
        )
        _unconfirmed(step, listed.candidates, f"{read}, {words}")


def _search_until(services: Services, job: Job, error: ListUnavailable | NoList) -> datetime:
    """Until when an unreadable list is asked for again: for as long as the backend keeps the job, and at least for
    `_LEAST_SEARCH` from the first failure, since an outage of the app may have left no time before. A backend without a list
    is not asked again; but a 404 may come from a proxy before it, so a 404 is believed only after `_LEAST_SEARCH`."""
    since = job.submission.submitting_since or job.created_at
    if isinstance(error, NoList) and error.is_certain:
        return since
    least = (job.list_unreadable_since or services.clock()) + _LEAST_SEARCH
    if isinstance(error, NoList):
        return least
    return max(since + services.backends.retention(job.backend), least)


def _search_again(
    step: Step,
    rest: ListSearch | None,
    reason: str | None,
    *,
    unreadable: bool = False,
) -> None:
    """Go on with the search at the next poll. The search may take hours; the job holds no slot while its list is unreadable."""
    job, now = step.job, step.now()
    delay = SEARCH_ON if rest is not None else search_delay(job, now)
    change = partial(
        transitions.searched,
        now=now,
        attempt=job.submission.attempt or "",
        search=rest,
        reason=reason,
        unreadable=unreadable,
    )
    saved = step.advance(delay, change).job
    if reason is not None:
        admission.leave(step.services, saved)


def _unconfirmed(step: Step, candidates: tuple[str, ...], list_told: str) -> None:
    job = step.job
    if candidates and step.services.is_multi_tenant:
        # The candidates may be other owners' jobs, which this owner must not learn of: only the operator is told.
        log_event(
            log,
            logging.ERROR,
            "job.candidates",
            job_id=job.id,
            owner=job.owner,
            candidates=candidates,
            problem="The job's submission is not confirmed. Each of these jobs of the video API may be it.",
        )
        candidates = ()
    error = unconfirmed(job, candidates, list_told)
    attempt = job.submission.attempt or ""
    end = partial(transitions.submission_failed, now=step.now(), attempt=attempt, error=error)
    step.end(end)


def _adopted(step: Step, found: BackendJob) -> None:
    retention = step.services.backends.retention(step.job.backend)
    change = partial(
        transitions.submitted, now=step.now(), backend_job=found, retention=retention, what="adopted"
    )
    # The next poll comes soon: the backend has worked on the job for minutes already.
    step.advance(AFTER_SUBMIT, change)


def _still(job: Job, status: Status) -> Job:
    if job.status is not status:
        raise TransitionRefused(f"{job.id} is {job.status} by now")
    return job
