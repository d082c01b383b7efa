"""Create a video once, though a client that got no answer sends its request again.

OpenAI's package repeats a POST without an idempotency key, and says so in `x-stainless-retry-count`. So each
create leaves an idempotency entry, stored in one transaction with its job, under the key that it came with, the
fingerprint of its body, and a number: the first with this body has 1, the next 2, without a gap. An entry says
whether a create or a repeat made it, and outlives its job. Only one request can store a number.

A repeat is given the job of the last number, if that was made within the hour; otherwise it is a create whose
first sending never arrived. A create that finds a job which a repeat made within the hour, and which no create has taken for
its own yet, is that repeat's first sending, come late: it takes the job, whatever the clocks say. Any other takes the next
number. What may happen between the two:

| the first sending | its repeat | so |
|---|---|---|
| stored its job, the answer was lost | finds the number | gets that job |
| never arrived | finds no recent number | stores the next one, and makes the only job |
| is on its way, both look before either has stored | loses the number | gets the first one's job |
| loses the number to its repeat | stored the job | gets the repeat's job |
| arrives, or looks, only after the repeat has stored | stored the job | finds a repeat's job without a create: gets that |
| has another create of the same body beside it, and loses the number | | goes on to the next: two creates, two jobs |
| the process ends between two effects | finds the number or doesn't | as in the first two rows; the sweeper sees to the job |

Two creates of the same body within the hour, of which one is repeated, can't be told apart: both may be given the same
job. Then one video fewer is made than was wanted, and none is paid for twice. An `Idempotency-Key` says what is meant.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from video_jobs.accept import accept, begin, key_of
from video_jobs.door_keys import DoorKey
from video_jobs.ids import made_at
from video_jobs.job import Job
from video_jobs.ports import IdempotencyEntry, StoredJob
from video_jobs.services import Services
from video_jobs.submit import Submission, job_of, new_job, submit_job

log = logging.getLogger("reelkeep.door")

_RECENT = timedelta(hours=1)  # the package gives up after twenty minutes, if its time limits are left alone
_MOST_BACK = 20  # numbers that a create looks back
_CREATE, _REPEAT = "create", "repeat"  # who made an entry; kept where a client's key has its request's hash

Find = Callable[[int], IdempotencyEntry | None]


def create_video(
    services: Services, key: DoorKey, submission: Submission, arrived_at: datetime, *, repeat: bool
) -> Job:
    """The new job, or the one that the request has made already.

    Raises InvalidRequest, IdempotencyKeyReused, and TooManyJobs or StorageUnavailable while there is no job yet.
    """
    if submission.idempotency_key is not None:
        return submit_job(services, key.owner, submission)
    job = new_job(services, key.owner, submission)

    def numbered(number: int) -> str:
        return key_of("door", key.digest, submission.fingerprint, str(number))

    def find(number: int) -> IdempotencyEntry | None:
        return services.jobs.find_entry(key.owner, numbered(number))

    def is_first_of(number: int) -> bool:
        """Whether this create is the first sending that the repeat with this number has lacked."""
        partner = key_of("door", key.digest, submission.fingerprint, str(number), "partner")
        mine = IdempotencyEntry(key.owner, partner, _CREATE, job.id)
        return services.jobs.add_entry(mine) == mine

    last, entry = last_number(find)
    for earlier in _perhaps_its_own(find, is_first_of, last, entry, arrived_at, repeat=repeat):
        found = job_of(services, earlier, job)
        if found is not None:
            return found
    while True:
        last += 1
        mine = IdempotencyEntry(key.owner, numbered(last), _REPEAT if repeat else _CREATE, job.id)
        stored = accept(services, job, mine, submission.image_bytes)
        if not isinstance(stored, IdempotencyEntry):
            return _begun(services, stored)
        if repeat or (stored.request_hash == _REPEAT and is_first_of(last)):
            found = job_of(services, stored, job)
            if found is not None:
                return found


def _begun(services: Services, stored: StoredJob) -> Job:
    try:
        return begin(services, stored)
    except Exception:
        log.exception("%s is accepted, and then came an error that nobody expected", stored.job.id)
        return stored.job


def last_number(find: Find) -> tuple[int, IdempotencyEntry | None]:
    """The last of the numbers, which have no gap, and its entry; 0 where there is none."""
    last, entry, free = 0, None, 1
    while (found := find(free)) is not None:
        last, entry, free = free, found, free * 2
    while free - last > 1:
        middle = (last + free) // 2
        found = find(middle)
        if found is None:
            free = middle
        else:
            last, entry = middle, found
    return last, entry


def _perhaps_its_own(
    find: Find,
    is_first_of: Callable[[int], bool],
    last: int,
    entry: IdempotencyEntry | None,
    arrived_at: datetime,
    *,
    repeat: bool,
) -> Iterator[IdempotencyEntry]:
    """For a repeat, the last entry if it is recent. For a create, the recent ones of repeats that lack a create."""
    for _ in range(_MOST_BACK):
        if entry is None or arrived_at - made_at(entry.job_id) >= _RECENT:
            return
        if repeat or (entry.request_hash == _REPEAT and is_first_of(last)):
            yield entry
        if repeat:
            return
        last -= 1
        entry = find(last) if last else None
