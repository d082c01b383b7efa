"""One delivery to a job's webhook and, if it fails, the next message of the chain.

After a failure, the next message is enqueued before the row is saved with its turn. After a crash, a delivery may be sent
again under the same id: a receiver is told of each end at least once.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta
from functools import partial
from urllib.parse import urlsplit

from video_jobs.domain import transitions
from video_jobs.domain.errors import JobNotFound, ReceiverBusy, TransitionRefused, Undelivered
from video_jobs.domain.job import Job
from video_jobs.domain.logs import log_event
from video_jobs.domain.queue_messages import NotifyMessage
from video_jobs.domain.schedule import busy_delay, notify_delay
from video_jobs.domain.webhook import Delivery, Webhook, WebhookStatus
from video_jobs.lifecycle.finalize import finish
from video_jobs.lifecycle.poll_chain import going_on_once_sent, send_on
from video_jobs.lifecycle.update import update
from video_jobs.ports import GivenUp, Hook, StoredJob
from video_jobs.services import Services
from video_jobs.views.job_view import event_id
from video_jobs.views.webhook_event import event_body
from video_jobs.webhooks.signature import signed_headers

log = logging.getLogger("reelkeep.notify")

_GONE = 410  # Standard Webhooks: the receiver wants no more deliveries


def notify_client(services: Services, message: NotifyMessage) -> None:
    try:
        stored = services.jobs.get(message.owner, message.job_id)
    except JobNotFound:
        log_event(log, logging.WARNING, "notify.job_missing", job_id=message.job_id)
        return
    job, hook = stored.job, stored.job.webhook
    if hook is None or not job.is_over:
        log_event(log, logging.INFO, "notify.nothing_to_send", job_id=job.id)
        return
    if hook.status is not WebhookStatus.PENDING:
        finish(services, job)  # again: a crash may have interrupted the first time
        return
    if hook.chain.is_stale(message.turn):
        log_event(log, logging.INFO, "notify.stale_message", job_id=job.id, turn=message.turn)
        return
    with going_on_once_sent(job.id):
        try:
            saved = _tell(services, message, stored, hook).job
        except TransitionRefused as refused:
            log_event(log, logging.INFO, "notify.job_changed", job_id=job.id, problem=refused)
            return
        finish(services, saved)


def _tell(services: Services, message: NotifyMessage, stored: StoredJob, hook: Webhook) -> StoredJob:
    job, now = stored.job, services.clock()
    target = _target(services, job, hook)
    if target is not None and not hook.manual and services.hooks.is_off(target):
        unwanted = partial(transitions.delivery_unwanted, now=now, delivery=None, which=hook)
        return update(services.jobs, stored, unwanted)
    began = time.monotonic()
    try:
        status = _send(services, job, target, now)
    except ReceiverBusy as busy:
        log_event(log, logging.INFO, "notify.receiver_busy", job_id=job.id, problem=busy)
        services.messages.send_notify(message, busy_delay(busy.retry_after))
        return stored
    except Undelivered as error:
        failed = Delivery(now, error.status, str(error), _seconds_since(began))
        log_event(log, logging.WARNING, "notify.failed", job_id=job.id, host=_host(target), problem=error)
        if error.status == _GONE and target is not None:
            services.hooks.turn_off(target, job.id)
            unwanted = partial(transitions.delivery_unwanted, now=now, delivery=failed, which=hook)
            return update(services.jobs, stored, unwanted)
        return _try_again(services, message, stored, hook, failed, error.retry_after)
    delivery = Delivery(now, status, None, _seconds_since(began))
    if hook.manual and target is not None:
        services.hooks.turn_on(target)  # the receiver accepts deliveries again
    told = partial(transitions.delivery_succeeded, now=now, delivery=delivery, turn=message.turn or 0)
    return update(services.jobs, stored, told)


def _send(services: Services, job: Job, target: Hook | None, now: datetime) -> int:
    """Raises Undelivered, also if a setting is missing: the operator may set it again before the last try."""
    if target is None:
        raise Undelivered("The setting WEBHOOK_URL is no longer set.")
    if not services.webhooks.secrets:
        raise Undelivered("The setting WEBHOOK_SECRETS is no longer set.")
    body = event_body(job)
    headers = signed_headers(services.webhooks.secrets, event_id(job), now, body)
    return services.webhook_sender.send(target.url, headers, body, job.owner)


def _try_again(
    services: Services,
    message: NotifyMessage,
    stored: StoredJob,
    hook: Webhook,
    failed: Delivery,
    retry_after: float | None,
) -> StoredJob:
    """Send the next message first, then save the row with its turn."""
    now = services.clock()
    if message.turn is None:
        refused = partial(transitions.delivery_refused, now=now, delivery=failed)
        return update(services.jobs, stored, refused)
    delay: timedelta | None = notify_delay(hook.chain.attempts + 1, retry_after)
    if delay is None:
        services.hooks.note_given_up(GivenUp(stored.job.owner, stored.job.id))
        given_up = partial(transitions.delivery_given_up, now=now, delivery=failed, which=hook)
        return update(services.jobs, stored, given_up)
    turn = send_on(services.messages.send_notify, message, delay)
    delayed = partial(transitions.delivery_delayed, now=now, delivery=failed, turn=turn, due_at=now + delay)
    return update(services.jobs, stored, delayed)


def _target(services: Services, job: Job, hook: Webhook) -> Hook | None:
    """Where to deliver. None if the job uses the app's webhook, and the app no longer has one."""
    if hook.url is not None:
        return Hook(job.owner, hook.url)
    return Hook(None, services.webhooks.url) if services.webhooks.url is not None else None


def _seconds_since(began: float) -> float:
    return round(time.monotonic() - began, 3)


def _host(target: Hook | None) -> str:
    """The only part of a URL that may be logged: for some receivers the path is a secret, too."""
    return (urlsplit(target.url).hostname if target else None) or "the app's webhook"
