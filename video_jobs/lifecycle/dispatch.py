"""A waiting job goes ahead: it reuses what the backend already has, or waits in line, or is submitted."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial

from video_jobs.domain import transitions
from video_jobs.domain.errors import InputMissing, JobNotFound, StorageUnavailable, TransitionRefused
from video_jobs.domain.job import Job, JobError
from video_jobs.domain.schedule import AFTER_SUBMIT, SEARCH_ON, UNDECIDED_AGAIN, after_submit
from video_jobs.lifecycle import admission
from video_jobs.lifecycle.adoption import adopt
from video_jobs.lifecycle.finalize import finish
from video_jobs.lifecycle.learning import forecast
from video_jobs.lifecycle.paid_call import make_paid_call, new_attempt, save_attempt
from video_jobs.lifecycle.poll_chain import SendNext
from video_jobs.lifecycle.reuse import Existing, NothingToAdopt, Undecided, reuse_existing
from video_jobs.lifecycle.update import update
from video_jobs.ports import Claim, Image, StoredJob
from video_jobs.services import Services

_IN_LINE = "It waits for a free slot at the video API."
_AFTER_OTHERS = "It waits for other jobs with images: the app submits them only a few at a time."
_IMAGES_AGAIN = timedelta(seconds=3)

MOST_IMAGES = 2
"""How many jobs with images one process submits at once: the images of each are on its disk during that time."""

_images = threading.BoundedSemaphore(MOST_IMAGES)


def start(services: Services, stored: StoredJob, send_next: SendNext) -> Job:
    """One poll of a waiting job. After a crash at any point, the next poll continues the job.

    Raises TransitionRefused when the job has moved on.
    """
    job, now = stored.job, services.clock()
    _link_retry(services, job)
    try:
        existing = reuse_existing(services, job)
    except Undecided as undecided:
        admission.leave(services, job)  # it may have a slot from before a crash
        turn = send_next(UNDECIDED_AGAIN if undecided.rest is None else SEARCH_ON)
        reason, rest = str(undecided), undecided.rest
        return update(services.jobs, stored, lambda job: transitions.waits(turn(job), now, reason, rest)).job
    except NothingToAdopt as nothing:
        return _refuse(services, stored, "backend_job_not_found", str(nothing))
    if existing is not None:
        return _take_up(services, stored, existing, send_next)
    if not job.request.images:
        return _go_ahead(services, stored, send_next)
    if not _images.acquire(blocking=False):
        turn = send_next(_IMAGES_AGAIN)
        return update(services.jobs, stored, lambda job: transitions.waits(turn(job), now, _AFTER_OTHERS)).job
    try:
        return _go_ahead(services, stored, send_next)
    finally:
        _images.release()


def _go_ahead(services: Services, stored: StoredJob, send_next: SendNext) -> Job:
    job = stored.job
    # Read the images before a slot is taken or a row saved: a job whose image can't be read must neither hold a
    # slot nor look as if its paid call was made.
    with contextlib.ExitStack() as files:
        try:
            images = {
                number: files.enter_context(services.blobs.get_input(job.owner, job.id, number))
                for number in job.request.images
            }
        except InputMissing as missing:
            return _refuse(services, stored, "input_image_missing", str(missing))
        return _enter(services, stored, images, send_next)


def _enter(services: Services, stored: StoredJob, images: Mapping[int, Image], send_next: SendNext) -> Job:
    job, now = stored.job, services.clock()
    if (gate := admission.enter(services, job)) is not None:
        reason = admission.why_closed(services, gate, job) or _IN_LINE
        stands = partial(transitions.stands_in_line, now=now, reason=reason, turn=job.chain.turn)
        return update(services.jobs, stored, stands).job
    if job.chain.turn > 0:  # it may have been in line; from here on the sweeper repairs its chain
        admission.entered(services, job)
    return _submit(services, stored, images, send_next)


def _submit(services: Services, stored: StoredJob, images: Mapping[int, Image], send_next: SendNext) -> Job:
    job, now, attempt = stored.job, services.clock(), new_attempt()
    backend = services.backends.current(job.backend, job.request.model)
    known = forecast(services, replace(job, backend=backend))
    turn = send_next(after_submit(known))

    def begin(job: Job) -> Job:
        if job.submission.attempt != attempt:
            job = turn(job)
        return transitions.begin_submit(job, now, attempt, backend, known)

    try:
        stored = save_attempt(services, stored, attempt, begin)
    except TransitionRefused:
        admission.leave_unless_running(services, services.jobs.get(job.owner, job.id).job)
        raise
    return make_paid_call(services, stored, images)


def _take_up(services: Services, stored: StoredJob, existing: Existing, send_next: SendNext) -> Job:
    """Claim the existing backend job, then save its id: no paid call is made."""
    job, now, backend = stored.job, services.clock(), existing.backend
    claimant = replace(job, backend=backend)
    if not adopt(services, claimant, existing.backend_job.id, existing.held_by):
        if job.adopts is not None:
            why = f"The video API has no job {job.adopts}, or has deleted it."
            return _refuse(services, stored, "backend_job_not_found", why)
        raise TransitionRefused(f"Another job has taken {existing.backend_job.id} up")
    turn, retention = send_next(AFTER_SUBMIT), services.backends.retention(backend)

    def taken(job: Job) -> Job:
        if job.backend_job_id == existing.backend_job.id:
            return job
        return transitions.adopted(turn(job), now, backend, existing.backend_job, retention)

    try:
        saved = update(services.jobs, stored, taken).job
    except TransitionRefused:
        current = services.jobs.get(job.owner, job.id).job
        if current.backend_job_id != existing.backend_job.id and not current.is_terminal:
            # Another poll has submitted the job: release the claim, so that the backend job can be adopted or imported.
            services.claims.release(Claim(backend.base_url, existing.backend_job.id, job.owner, job.id))
        raise
    with contextlib.suppress(StorageUnavailable):
        admission.entered(services, saved)
        admission.leave(services, saved)
    return saved


def _refuse(services: Services, stored: StoredJob, code: str, why: str) -> Job:
    error = JobError(code=code, message=why)
    refused = partial(transitions.nothing_to_adopt, now=services.clock(), error=error)
    job = update(services.jobs, stored, refused).job
    finish(services, job)
    return job


def _link_retry(services: Services, job: Job) -> None:
    """Name a retry in the job that it retries, in case a crash prevented that."""
    if job.retry_of is None:
        return
    with contextlib.suppress(JobNotFound):
        before = services.jobs.get(job.owner, job.retry_of)
        update(services.jobs, before, partial(transitions.retried, now=services.clock(), retry=job.id))
