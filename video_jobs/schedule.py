"""How long to wait before looking, or trying, again."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from video_jobs.job import Job
from video_jobs.transitions import UNSTARTED_OVERDUE

FIRST_POLL = timedelta(seconds=3)

_GUARD_INTERVAL = timedelta(minutes=5)
_FIRST_GUARD = UNSTARTED_OVERDUE + timedelta(seconds=5)

# Seconds, all of them.
_GROWTH = 0.15  # for each second that has passed
_SLOWEST_POLL = 20.0
_SLOWEST_OFFER = 60.0
_JITTER = 0.2
_LONGEST_HINT = 300.0  # a backend that says "in a day" must not make us miss the end
_FIRST_FETCH_AGAIN = 5.0
_SLOWEST_FETCH = 300.0
_AFTER_EXPIRY = timedelta(seconds=2)


def poll_delay(job: Job, hint: float | None, now: datetime) -> timedelta:
    """Until the next look: what the backend asks for, else a few seconds growing to 20, with jitter.

    The jitter keeps jobs that were submitted together from looking together for ever.
    """
    delay = _hinted(hint) or _growing(now - (job.submitted_at or now), _SLOWEST_POLL)
    return _not_past_expiry(job, delay, now)


def submit_delay(job: Job, hint: float | None, now: datetime) -> timedelta:
    """Until a waiting job is offered to its backend again."""
    return _hinted(hint) or _growing(now - job.created_at, _SLOWEST_OFFER)


def guard_delay(job: Job, now: datetime) -> timedelta:
    """Until the slow guard looks again, once the videos are being fetched."""
    unstarted = any(output.turn == 0 and not output.is_settled for output in job.outputs)
    return _not_past_expiry(job, _FIRST_GUARD if unstarted else _GUARD_INTERVAL, now)


def fetch_delay(job: Job, attempts: int, hint: float | None, now: datetime) -> timedelta:
    """Until the next download after `attempts` failed ones; the last one comes just after the expiry."""
    backed_off = _jittered(min(_FIRST_FETCH_AGAIN * 2.0 ** min(attempts - 1, 10), _SLOWEST_FETCH))
    return _not_past_expiry(job, _hinted(hint) or backed_off, now)


def _hinted(hint: float | None) -> timedelta | None:
    return None if hint is None else timedelta(seconds=min(max(hint, 0.5), _LONGEST_HINT))


def _growing(passed: timedelta, slowest: float) -> timedelta:
    # Never negative, though another machine's clock may be ahead of ours.
    seconds = max(passed.total_seconds(), 0.0)
    return _jittered(min(FIRST_POLL.total_seconds() + _GROWTH * seconds, slowest))


def _jittered(seconds: float) -> timedelta:
    return timedelta(seconds=seconds * random.uniform(1 - _JITTER, 1 + _JITTER))


def _not_past_expiry(job: Job, delay: timedelta, now: datetime) -> timedelta:
    left = job.time_left(now)
    return delay if left is None else min(delay, left + _AFTER_EXPIRY)
