"""The chain of a job's webhook messages: the first message, one in place of a lost one, a new round."""

from __future__ import annotations

import contextlib
from datetime import datetime, timedelta
from functools import partial

from video_jobs.domain import transitions
from video_jobs.domain.errors import JobNotFound, TransitionRefused
from video_jobs.domain.job import Job
from video_jobs.domain.queue_messages import NotifyMessage
from video_jobs.domain.webhook import WebhookStatus
from video_jobs.lifecycle.poll_chain import done_later_at_worst
from video_jobs.lifecycle.update import update
from video_jobs.ports import GivenUp, LiveJob, StoredJob
from video_jobs.services import Services

_AT_ONCE = timedelta()


def is_untold(job: Job) -> bool:
    """Whether the webhook is still to be delivered: until then the job keeps its live row."""
    return job.is_over and job.webhook is not None and job.webhook.status is WebhookStatus.PENDING


def keep_telling(services: Services, job: Job) -> None:
    """Send the first message, or one in place of one that is overdue. May be repeated; mostly does nothing.

    The message is sent first, then the row is saved with its turn: a crash between the two leaves one message too many.
    """
    if not _needs_message(job, services.clock()):
        return
    with contextlib.suppress(JobNotFound, TransitionRefused):
        stored = services.jobs.get(job.owner, job.id)
        job, now = stored.job, services.clock()
        if job.webhook is None or not _needs_message(job, now):
            return
        turn = job.webhook.chain.turn + 1
        services.messages.send_notify(NotifyMessage(owner=job.owner, job_id=job.id, turn=turn), _AT_ONCE)
        update(services.jobs, stored, partial(transitions.delivery_sent, now=now, turn=turn))


def tell_again(services: Services, stored: StoredJob) -> Job:
    """Begin a new round at once. The live row is written first, so that the sweeper finds what a crash leaves.

    Raises NothingToSend.
    """
    now = services.clock()
    transitions.delivery_requested(stored.job, now)
    services.live_jobs.add(LiveJob.of(stored.job))
    job = update(services.jobs, stored, partial(transitions.delivery_requested, now=now)).job
    services.live_jobs.add(LiveJob.of(job))  # the end of the last round may have removed it
    if stored.job.webhook is not None and stored.job.webhook.status is WebhookStatus.FAILED:
        services.hooks.forget_given_up(GivenUp(job.owner, job.id))
    assert job.webhook is not None
    message = NotifyMessage(owner=job.owner, job_id=job.id, turn=job.webhook.chain.turn)
    with done_later_at_worst(job):
        services.messages.send_notify(message, _AT_ONCE)
    return job


def _needs_message(job: Job, now: datetime) -> bool:
    hook = job.webhook
    if hook is None or not is_untold(job):
        return False
    return hook.chain.turn == 0 or hook.chain.is_overdue(job.updated_at, now)
