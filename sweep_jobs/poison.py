"""A message that failed too often: say so in its job, and set the job going again with a new one."""

from __future__ import annotations

import logging
from functools import partial

from video_jobs import transitions
from video_jobs.errors import JobNotFound, MalformedMessage, TransitionRefused
from video_jobs.messages import FetchMessage, NotifyMessage, PollMessage
from video_jobs.repair import hurry
from video_jobs.services import Services
from video_jobs.update import update

log = logging.getLogger("reelkeep.sweep")


def note_poison(services: Services, message: PollMessage | FetchMessage) -> None:
    """The message is gone after this; the sweeper sends another, later each time."""
    kind = "download" if isinstance(message, FetchMessage) else "look"
    try:
        stored = services.jobs.get(message.owner, message.job_id)
        why = stored.job.trouble or "the function's log says why"
        problem = f"A {kind} at the job failed again and again ({why}). It is set going again by itself."
        stored = update(
            services.jobs, stored, partial(transitions.poisoned, now=services.clock(), problem=problem)
        )
        if isinstance(message, FetchMessage):
            hurry(services, stored)  # nobody else would send it again for ten minutes
    except JobNotFound:
        log.error("A poisoned message is for %s, which is not there; dropped", message.job_id)
    except TransitionRefused as refused:
        log.info("A poisoned message of a job that is over; dropped (%s)", refused)


def note_poisoned_notice(services: Services, message: NotifyMessage) -> None:
    """The message is gone after this; the sweeper sends another, later each time."""
    problem = (
        "A notification of the job's end failed again and again: the function's log says why. It is sent "
        "again by itself."
    )
    try:
        stored = services.jobs.get(message.owner, message.job_id)
        note = partial(transitions.notice_poisoned, now=services.clock(), problem=problem)
        update(services.jobs, stored, note)
    except JobNotFound:
        log.error("A poisoned message is for %s, which is not there; dropped", message.job_id)
    except TransitionRefused as refused:
        log.info("A poisoned message of a webhook that needs it no more; dropped (%s)", refused)


def note_malformed(error: MalformedMessage) -> None:
    log.error("A message that is none of ours was poisoned and is dropped now: %s", error)
