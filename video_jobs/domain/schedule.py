"""How long to wait before the next poll, or try."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from video_jobs.domain.estimate import Forecast
from video_jobs.domain.job import Job
from video_jobs.domain.transitions import overdue_from

FIRST_POLL = timedelta(seconds=3)
AFTER_SUBMIT = FIRST_POLL
UNDECIDED_AGAIN = timedelta(seconds=30)
"""The wait before the next request to a backend that could not say which jobs it has."""

SEARCH_ON = timedelta(seconds=2)
"""The wait before the next part of a long list is read."""

_GUARD_MARGIN = timedelta(seconds=5)
BACKLOG_AGAIN = timedelta(seconds=30)
"""The wait before an overdue download is checked again, as long as earlier messages wait in its queue."""

# Seconds, all of them.
_OF_ITS_AGE = 0.01  # of a job's age: polling may make a job seem longer by this part only
_CLOSEST, _SLOWEST_POLL = 1.5, 20.0  # the first comes to 2 s, whatever the jitter: queues count whole seconds
_BEFORE_TYPICAL = 0.7  # of the median time of its kind; hardly a job is generated earlier
_SLOWEST_BEFORE = 60.0
_QUICK_FAILURE = 10.0  # until the poll that finds one
_RARELY, _MOST_RARELY = 300.0, 1800.0  # a job that its backend may not have any more
_SEARCH_AGAIN, _SEARCH_RARELY = 30.0, 900.0  # a list that could not be read
_SEARCH_SOON = 10.0  # after a paid call without an answer: its backend job may be listed by then
_JITTER = 0.2
_LONGEST_HINT = 300.0  # a backend that says "in a day" must not make us miss the end
_FIRST_FETCH_AGAIN = 5.0
_SLOWEST_FETCH = 300.0
_LONGEST_STOP = 1800.0
_SUSPECT_AGAIN = timedelta(seconds=30)
_AFTER_EXPIRY = timedelta(seconds=2)
# The example of Standard Webhooks: each after the attempt before, three days and four hours in all.
_NOTIFY_AGAIN = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
_BUSY = 5.0
_NOTIFY_JITTER = 0.1  # never earlier: receivers that go by the standard count on the pauses
_LONGEST_NOTIFY_HINT = 86_400


def poll_delay(job: Job, hint: float | None, now: datetime) -> timedelta:
    """Until the next poll: a hundredth of the job's age, from 2 to 20 seconds, and no sooner than the backend asks for.

    If the median time of such jobs is known, the job is polled once a minute until seven tenths of it are over. The
    jitter keeps jobs that were submitted together from being polled together for ever.
    """
    submission = job.submission
    if job.is_in_doubt(now) or job.is_past_guess(now):
        since = job.polls.not_found_since or job.expires_at or now
        rarely = min(max((now - since).total_seconds() / 4, _RARELY), _MOST_RARELY)
        return _not_past_expiry(job, _no_sooner_than(hint, _jittered(rarely)), now)
    # Never negative, though another machine's clock may be ahead of ours.
    passed = max((now - (submission.submitted_at or submission.submitting_since or now)).total_seconds(), 0.0)
    seconds = min(max(_OF_ITS_AGE * passed, _CLOSEST), _SLOWEST_POLL)
    is_known = job.polls.not_found_since is None  # else another poll, soon, may reach a replica that knows it
    if is_known and job.forecast is not None and submission.submitted_at is not None:
        left = _BEFORE_TYPICAL * job.forecast.typical - passed
        seconds = max(seconds, min(left, _SLOWEST_BEFORE))
    return _not_past_expiry(job, _no_sooner_than(hint, _jittered(seconds)), now)


def search_delay(job: Job, now: datetime) -> timedelta:
    """Until the backend's list is asked again for a job whose submission got no answer: less and less often."""
    submission = job.submission
    waited = (now - (submission.outcome_lost_at or submission.submitting_since or now)).total_seconds()
    if waited < _SEARCH_SOON:
        return timedelta(seconds=_SEARCH_SOON - waited)
    return timedelta(seconds=min(max(waited / 6, _SEARCH_AGAIN), _SEARCH_RARELY))


def after_submit(forecast: Forecast | None) -> timedelta:
    """Until the first poll of a job that is about to be submitted: early, in case the job fails at once."""
    if forecast is None:
        return AFTER_SUBMIT
    return max(timedelta(seconds=min(forecast.quantiles[0] / 2, _QUICK_FAILURE)), AFTER_SUBMIT)


def stopping_delay(job: Job, now: datetime) -> timedelta:
    """Until the deletion of a job is tried again at a backend that refuses it."""
    waited = now - (job.deleted_at or now)
    return timedelta(seconds=min(max(waited.total_seconds() / 2, 5.0), _LONGEST_STOP))


def guard_delay(job: Job, now: datetime) -> timedelta:
    """Until the next poll during the downloads: when the first download may count as lost."""
    overdue = [overdue_from(output) or now for output in job.outputs if not output.is_settled]
    first = min(overdue, default=now)
    return _not_past_expiry(job, max(first - now, timedelta()) + _GUARD_MARGIN, now)


def too_large_delay(job: Job, now: datetime) -> timedelta:
    """Until the next download of a video that is larger than VIDEO_MAX_BYTES: the operator may raise that."""
    return _not_past_expiry(job, _jittered(_MOST_RARELY), now)


def fetch_delay(job: Job, attempts: int, hint: float | None, now: datetime) -> timedelta:
    """Until the next download after `attempts` failed ones; the last one comes just after the expiry."""
    slowest = _MOST_RARELY if job.is_past_guess(now) else _SLOWEST_FETCH
    backed_off = _jittered(min(_FIRST_FETCH_AGAIN * 2.0 ** min(attempts - 1, 10), slowest))
    return _not_past_expiry(job, _no_sooner_than(hint, backed_off), now)


def suspect_delay(job: Job, now: datetime) -> timedelta:
    """Until the next download after complete bytes that are not a video: soon, since it must be before the expiry, and
    not at once, since the file may still be growing."""
    left = job.time_left(now)
    return _SUSPECT_AGAIN if left is None else min(_SUSPECT_AGAIN, left / 2)


def notify_delay(attempts: int, hint: float | None) -> timedelta | None:
    """Until a webhook is tried again after `attempts` failed tries; None: it is given up."""
    if attempts > len(_NOTIFY_AGAIN):
        return None
    pause = _NOTIFY_AGAIN[attempts - 1] * random.uniform(1, 1 + _NOTIFY_JITTER)
    return timedelta(seconds=max(pause, min(hint or 0, _LONGEST_NOTIFY_HINT)))


def busy_delay(turn: float | None) -> timedelta:
    """Until a delivery is tried that waits for other deliveries; `turn`: seconds until it may be made."""
    return _jittered(max(_BUSY, turn or 0.0))


def _no_sooner_than(hint: float | None, delay: timedelta) -> timedelta:
    """The delay, and at least the server's hint: a hint may lengthen the delay but never shortens it."""
    return max(delay, timedelta(seconds=min(hint or 0.0, _LONGEST_HINT)))


def _jittered(seconds: float) -> timedelta:
    return timedelta(seconds=seconds * random.uniform(1 - _JITTER, 1 + _JITTER))


def _not_past_expiry(job: Job, delay: timedelta, now: datetime) -> timedelta:
    left = job.time_left(now)
    return min(delay, left + _AFTER_EXPIRY) if left else delay
