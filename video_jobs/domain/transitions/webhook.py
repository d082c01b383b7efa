"""Transitions of a job's webhook. The job's end is final: only the state of its webhook changes here."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from video_jobs.domain.chain import Chain
from video_jobs.domain.errors import NothingToSend, TransitionRefused
from video_jobs.domain.job import Job
from video_jobs.domain.webhook import Delivery, Webhook, WebhookStatus


def delivery_sent(job: Job, now: datetime, turn: int) -> Job:
    """The message `turn` is in the queue: the first one, or one in place of another that is overdue."""
    hook = _pending(job)
    repairs = hook.chain.repairs + 1 if hook.chain.turn else 0
    chain = hook.chain.next(turn, now, attempts=hook.chain.attempts, repairs=repairs)
    return _with(job, now, replace(hook, chain=chain))


def delivery_succeeded(job: Job, now: datetime, delivery: Delivery, turn: int) -> Job:
    """The webhook was delivered, by whichever message."""
    told = _settled(job, now, delivery, WebhookStatus.DELIVERED, turn)
    return told.noting(now, "webhook_delivered", f"It answered {delivery.status_code}.")


def delivery_delayed(job: Job, now: datetime, delivery: Delivery, turn: int, due_at: datetime) -> Job:
    """A delivery failed; the message `turn`, visible from `due_at`, tries again."""
    hook = _pending(job)
    chain = hook.chain.next(turn, due_at, attempts=hook.chain.attempts + 1)
    return _with(job, now, hook.after(delivery, chain=chain))


def delivery_refused(job: Job, now: datetime, delivery: Delivery) -> Job:
    """A delivery by a message that belongs to no chain failed."""
    hook = _pending(job)
    return _with(job, now, hook.after(delivery, chain=replace(hook.chain, repairs=0)))


def delivery_given_up(job: Job, now: datetime, delivery: Delivery, which: Webhook) -> Job:
    """Given up. `which`, here and below, is the webhook as it was read: another round of tries is not changed."""
    _same_round(job, which)
    lost = _settled(job, now, delivery, WebhookStatus.FAILED)
    return lost.noting(now, "webhook_failed", delivery.problem)


def delivery_unwanted(job: Job, now: datetime, delivery: Delivery | None, which: Webhook) -> Job:
    """The receiver wants no more: it answered so to `delivery`, or (None) to an earlier delivery of another job."""
    _same_round(job, which)
    off = _settled(job, now, delivery, WebhookStatus.DISABLED)
    return off.noting(now, "webhook_disabled", delivery.problem if delivery else None)


def delivery_requested(job: Job, now: datetime) -> Job:
    """Begin a new round, whatever the result of the last one; its message is about to be sent.

    Raises NothingToSend if the job has no webhook, or has not ended.
    """
    hook = job.webhook
    if hook is None:
        raise NothingToSend(f"{job.id} has no webhook. Name one as webhook_url when you submit.")
    if not job.is_over:
        raise NothingToSend(
            f"{job.id} is {job.status}. The app calls its webhook by itself when the job has ended."
        )
    chain = Chain(hook.chain.turn + 1, due_at=now)
    again = replace(hook, status=WebhookStatus.PENDING, chain=chain, manual=True)
    return _with(job, now, again).noting(now, "webhook_again")


def delivery_poisoned(job: Job, now: datetime, problem: str) -> Job:
    """A message of its webhook failed too often and was taken out of its queue."""
    _pending(job)
    return job.evolve(now).noting(now, "poisoned", problem)


def _pending(job: Job) -> Webhook:
    hook = job.webhook
    if hook is None or not job.is_over or hook.status is not WebhookStatus.PENDING:
        raise TransitionRefused(f"{job.id} has no webhook that is still to be delivered")
    return hook


def _same_round(job: Job, which: Webhook) -> None:
    if _pending(job).chain.turn != which.chain.turn:
        raise TransitionRefused(f"{job.id} is in another round of its webhook")


def _settled(job: Job, now: datetime, delivery: Delivery | None, status: WebhookStatus, turn: int = 0) -> Job:
    hook = _pending(job)
    over = hook.after(delivery, status=status, chain=hook.chain.over(turn), manual=False)
    return _with(job, now, over)


def _with(job: Job, now: datetime, hook: Webhook) -> Job:
    return job.evolve(now, webhook=hook)
