"""Creates one video even if a client that got no answer sends its request again.

OpenAI's package repeats a POST without an idempotency key, and marks the repeat in `x-stainless-retry-count`. A request
without that mark is called a create here. There is one idempotency entry for each API key and body. It names the job that
was made last, and says whether a create belongs to that job or only a repeat so far. It is written in one transaction with
the job, on the condition that nobody has changed it in between; whoever loses reads it again. It outlives its job.

A repeat gets the job that was made within the last hour, whoever made it; if there is none, it makes the job. A create
gets a job of the last hour that only a repeat has asked for: this create is that repeat's first sending, which arrives late.
Any other create makes a job. Time matters only for that hour. What may happen:

| the first sending | its repeat | so |
|---|---|---|
| stored its job, the answer was lost | finds the entry | gets that job |
| never arrived | finds no recent entry | makes the only job |
| both read the entry before either has stored | loses the entry | gets the first one's job |
| loses the entry to its repeat | stored the job | takes the repeat's job |
| arrives, or reads the entry, only after the repeat has stored | stored the job | takes the repeat's job |
| loses the entry to another create of the same body | | makes its own job: two creates, two jobs |
| the process ends between two effects | finds the entry or does not | as in the first two rows; the sweeper repairs the job |

If a client sends two creates of the same body within the hour and repeats one of them, both may get the same job. Then one
video fewer is made than the client wanted; none is paid for twice. An `Idempotency-Key` avoids this.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta

from video_jobs.domain.errors import Conflict, StorageUnavailable
from video_jobs.domain.ids import made_at
from video_jobs.domain.job import Job
from video_jobs.domain.logs import log_unexpected
from video_jobs.lifecycle.accept import accept, begin
from video_jobs.lifecycle.idempotency import key_of
from video_jobs.lifecycle.submit import Submission, job_of, new_job, submit_job, with_all_images
from video_jobs.ports import IdempotencyEntry, StoredJob
from video_jobs.services import Services
from video_jobs.settings.api_keys import ApiKey

log = logging.getLogger("reelkeep.openai_api")

_RECENT = timedelta(hours=1)  # with its default time limits, the package gives up after twenty minutes
_MOST_TRIES = 100  # each lost race means that another request with this key and body has its job
# Whether a create belongs to the job; stored in the field in which a client's key has its request's hash.
_CREATE, _REPEAT = "create", "repeat"


def create_video(
    services: Services, key: ApiKey, submission: Submission, arrived_at: datetime, *, repeat: bool
) -> Job:
    """The new job, or the one that this request has made before.

    Raises InvalidRequest, IdempotencyKeyReused, and TooManyJobs or StorageUnavailable if no job was made.
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
    """Note that a create belongs to the job. False if another request was faster."""
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
