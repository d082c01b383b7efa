"""Create a video once, though a client that got no answer sends its request again.

OpenAI's package repeats a POST without an idempotency key, and says so in `x-stainless-retry-count`. So there is one
idempotency entry for each key and body. It names the job that was made last, says whether that job has its first sending
(a create made it, or has taken it) or only a repeat so far, and is written in one transaction with the job, on the
condition that nobody has changed it meanwhile. Whoever loses reads it again. It outlives its job.

A repeat takes the job that was made within the hour, whoever made it; where there is none, it makes the job. A create
takes a job of the last hour that only a repeat has asked for: it is that repeat's first sending, come late, and the job has
its first sending then. Any other create makes a job. No clock decides, save for the hour. What may happen between the two:

| the first sending | its repeat | so |
|---|---|---|
| stored its job, the answer was lost | finds the entry | gets that job |
| never arrived | finds no recent entry | makes the only job |
| is on its way, both look before either has stored | loses the entry | gets the first one's job |
| loses the entry to its repeat | stored the job | takes the repeat's job |
| arrives, or looks, only after the repeat has stored | stored the job | takes the repeat's job |
| has another create of the same body beside it, and loses the entry | | makes its job all the same: two creates, two jobs |
| the process ends between two effects | finds the entry or doesn't | as in the first two rows; the sweeper sees to the job |

Two creates of the same body within the hour, of which one is repeated, can't be told apart: both may be given the same
job. Then one video fewer is made than was wanted, and none is paid for twice. An `Idempotency-Key` says what is meant.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta

from video_jobs.domain.errors import Conflict, StorageUnavailable
from video_jobs.domain.ids import made_at
from video_jobs.domain.job import Job
from video_jobs.lifecycle.accept import accept, begin
from video_jobs.lifecycle.idempotency import key_of
from video_jobs.lifecycle.submit import Submission, job_of, new_job, submit_job, with_all_images
from video_jobs.logs import log_unexpected
from video_jobs.ports import IdempotencyEntry, StoredJob
from video_jobs.services import Services
from video_jobs.settings.api_keys import ApiKey

log = logging.getLogger("reelkeep.openai_api")

_RECENT = timedelta(hours=1)  # the package gives up after twenty minutes, if its time limits are left alone
_MOST_TRIES = 100  # each lost race is another request with this key and body that has got its job
# Whether the job has its first sending; kept where a client's key has its request's hash.
_CREATE, _REPEAT = "create", "repeat"


def create_video(
    services: Services, key: ApiKey, submission: Submission, arrived_at: datetime, *, repeat: bool
) -> Job:
    """The new job, or the one that the request has made already.

    Raises InvalidRequest, IdempotencyKeyReused, and TooManyJobs or StorageUnavailable while there is no job yet.
    """
    if submission.idempotency_key is not None:
        return submit_job(services, key.owner, submission)
    job = new_job(services, key.owner, submission)
    key_hash = key_of("openai", key.digest, submission.fingerprint)
    mine = IdempotencyEntry(key.owner, key_hash, _REPEAT if repeat else _CREATE, job.id)
    for _ in range(_MOST_TRIES):
        entry = services.jobs.find_entry(key.owner, key_hash)
        if entry is not None and _may_be_its_own(entry, arrived_at, repeat=repeat):
            found = job_of(services, entry, job)
            if found is not None:
                if not repeat and not _taken(services, entry):
                    continue
                return found
        made = replace(mine, etag=entry.etag if entry is not None else None)
        submission, job = with_all_images(services, submission, job)
        stored = accept(services, job, made, submission.contents)
        if isinstance(stored, StoredJob):
            return _begun(services, stored)
    raise StorageUnavailable(
        f"Other requests with the same key and body came first {_MOST_TRIES} times in a row. Send it again."
    )


def _may_be_its_own(entry: IdempotencyEntry, arrived_at: datetime, *, repeat: bool) -> bool:
    """Whether this request, or a repeat of it, may have made the entry's job."""
    is_recent = arrived_at - made_at(entry.job_id) < _RECENT
    return is_recent and (repeat or entry.request_hash == _REPEAT)


def _taken(services: Services, entry: IdempotencyEntry) -> bool:
    """For a create: the job has its first sending from now on. False where another was faster."""
    try:
        services.jobs.save_entry(replace(entry, request_hash=_CREATE))
    except Conflict:
        return False
    return True


def _begun(services: Services, stored: StoredJob) -> Job:
    try:
        return begin(services, stored)
    except Exception:  # noqa: BLE001 - the job is accepted: an error would make the client send it again
        log_unexpected(log, "submit.unexpected_error", job_id=stored.job.id)
        return stored.job
