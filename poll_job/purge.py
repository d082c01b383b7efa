"""Deletes a job that is marked deleted: the backend's job, the blobs, the blobs again after the longest fetch, the rows.

Each poll does every step that is possible by then. Each step may run twice; the last poll removes the rows.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from video_jobs.domain import transitions
from video_jobs.domain.backend_job import BackendState
from video_jobs.domain.errors import BackendError, Gone, JobNotFound, NotFound
from video_jobs.domain.job import Job, Status
from video_jobs.domain.logs import log_event
from video_jobs.domain.schedule import stopping_delay
from video_jobs.domain.webhook import WebhookStatus
from video_jobs.lifecycle import admission, owner_quota
from video_jobs.lifecycle.idempotency import import_key, retry_key
from video_jobs.lifecycle.poll_chain import SendNext
from video_jobs.lifecycle.update import update
from video_jobs.ports import GivenUp, LiveJob, StoredJob
from video_jobs.services import Services

log = logging.getLogger("reelkeep.poll")

LONGEST_FETCH = timedelta(minutes=11)
"""A function may run for ten minutes (host.json); after that, nobody writes a blob of the job."""


def purge(services: Services, stored: StoredJob, send_next: SendNext) -> None:
    """Raises TransitionRefused when somebody else has changed the job meanwhile."""
    job, now = stored.job, services.clock()
    deleted_at = job.deleted_at or now
    # Another function may have seen the job end just before it was marked deleted, and removed its live row since.
    services.live_jobs.add(LiveJob.of(job))
    if not (job.backend_job_gone or _is_wanted(services, job)) and _forget_at_backend(services, job):
        stored = update(services.jobs, stored, lambda job: transitions.backend_job_gone(job, now))
        job = stored.job
    if job.status not in (Status.QUEUED, Status.RUNNING):
        admission.leave(services, job)
    if job.backend_job_gone or job.status not in (Status.QUEUED, Status.RUNNING):
        owner_quota.release(services, job)  # nothing of it runs now
    services.blobs.delete_job(job.owner, job.id)
    left = deleted_at + LONGEST_FETCH - now
    if job.backend_job_gone and left <= timedelta():
        _remove_rows(services, stored)
        return
    turn = send_next(left if job.backend_job_gone else stopping_delay(job, now))
    update(services.jobs, stored, turn)


def _is_wanted(services: Services, job: Job) -> bool:
    """Whether a retry may still reuse the backend's copy, for which it needs this job's row."""
    entry = services.jobs.find_entry(job.owner, retry_key(job.id))
    if entry is None:
        return False
    try:
        retry = services.jobs.get(job.owner, entry.job_id).job
    except JobNotFound:
        return False
    if retry.status is Status.WAITING:
        return True
    # The retry ended without an answer; a retry of that retry may still reuse the copy.
    return retry.is_terminal and retry.backend_job_id is None and _is_wanted(services, retry)


def _forget_at_backend(services: Services, job: Job) -> bool:
    """Ask the backend to delete its copy. Gives whether nothing of this job is left there."""
    if job.backend_job_id is None or job.expired_by(services.clock()):
        return True
    claim = services.claims.find(job.backend.base_url, job.backend_job_id)
    if claim is not None and claim.job_id != job.id:
        return True  # handed over to a retry
    try:
        services.backends.client(job.backend).delete(job.backend_job_id)
    except (NotFound, Gone):
        return True
    except BackendError as error:
        log_event(
            log,
            logging.WARNING,
            "poll.delete_failed",
            job_id=job.id,
            backend_job_id=job.backend_job_id,
            problem=error,
        )
        _free_slot_if_ended(services, job)
        return False
    return True


def _free_slot_if_ended(services: Services, job: Job) -> None:
    try:
        seen = services.backends.client(job.backend).get(job.backend_job_id or "")
    except BackendError:
        return
    if seen.state in (BackendState.SUCCEEDED, BackendState.FAILED, BackendState.CANCELLED):
        admission.leave(services, job)


def _remove_rows(services: Services, stored: StoredJob) -> None:
    """Remove the claims, the job's row, and last the live row: with that, the sweeper finds the job after a crash."""
    job = stored.job
    for claim in services.claims.of_job(job.id, job.backend.base_url):
        services.claims.release(claim)
    if job.webhook is not None and job.webhook.status is WebhookStatus.FAILED:
        services.hooks.forget_given_up(GivenUp(job.owner, job.id))
    if job.adopts is not None and job.backend_job_id is None:
        # Nothing was deleted at the video API: it may be imported again.
        entry = services.jobs.find_entry(job.owner, import_key(job.backend.base_url, job.adopts))
        if entry is not None and entry.job_id == job.id:
            services.jobs.delete_entry(entry)
    services.jobs.delete(stored)
    services.live_jobs.remove(LiveJob.of(job))
    log_event(log, logging.INFO, "poll.job_deleted", job_id=job.id)
