"""Telling a client of a job's end. The end itself is final: only what its webhook knows changes here."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from video_jobs.domain.errors import NothingToSend, TransitionRefused
from video_jobs.domain.job import Job
from video_jobs.domain.webhook import Delivery, Webhook, WebhookStatus


def delivery_sent(job: Job, now: datetime, turn: int) -> Job:
    """The message `turn` is in the queue: the first one, or one in place of another that is overdue."""
    hook = _pending(job)
    if hook.turn >= turn:
        raise TransitionRefused(f"{job.id} is at turn {hook.turn} of its webhook already")
    repairs = hook.repairs + 1 if hook.turn else 0
    return job.evolve(now, webhook=replace(hook, turn=turn, due_at=now, repairs=repairs))


def delivery_succeeded(job: Job, now: datetime, delivery: Delivery, turn: int) -> Job:
    """Whichever message it was that told: told is told."""
    told = _settled(job, now, delivery, WebhookStatus.DELIVERED, turn)
    return told.noting(now, "webhook_delivered", f"It answered {delivery.status_code}.")


def delivery_delayed(job: Job, now: datetime, delivery: Delivery, turn: int, due_at: datetime) -> Job:
    """It could not be told; the message `turn`, visible from `due_at`, tries again."""
    hook = _pending(job)
    if hook.turn >= turn:
        raise TransitionRefused(f"{job.id} is at turn {hook.turn} of its webhook already")
    return _with(job, now, hook.after(delivery, turn=turn, due_at=due_at, attempts=hook.attempts + 1))


def delivery_refused(job: Job, now: datetime, delivery: Delivery) -> Job:
    """It could not be told by a message that belongs to no chain."""
    return _with(job, now, _pending(job).after(delivery))


def delivery_given_up(job: Job, now: datetime, delivery: Delivery, which: Webhook) -> Job:
    """`which`, here and below, is the webhook as it was read: of another round of tries, nothing is said."""
    _same_round(job, which)
    lost = _settled(job, now, delivery, WebhookStatus.FAILED, which.turn)
    return lost.noting(now, "webhook_failed", delivery.problem)


def delivery_unwanted(job: Job, now: datetime, delivery: Delivery | None, which: Webhook) -> Job:
    """The receiver wants no more: it has just said so, or (None) of another job before."""
    _same_round(job, which)
    off = _settled(job, now, delivery, WebhookStatus.DISABLED, which.turn)
    return off.noting(now, "webhook_disabled", delivery.problem if delivery else None)


def delivery_requested(job: Job, now: datetime) -> Job:
    """A new round, whatever came of the last one; its message is about to be sent.

    Raises NothingToSend where there is nobody to tell, or nothing yet.
    """
    hook = job.webhook
    if hook is None:
        raise NothingToSend(f"{job.id} has no webhook. Name one as webhook_url when you submit.")
    if not job.is_over:
        raise NothingToSend(f"{job.id} is {job.status}: its webhook is told by itself when it has ended.")
    again = replace(
        hook,
        status=WebhookStatus.PENDING,
        turn=hook.turn + 1,
        due_at=now,
        attempts=0,
        repairs=0,
        manual=True,
    )
    return job.evolve(now, webhook=again).noting(now, "webhook_again")


def delivery_poisoned(job: Job, now: datetime, problem: str) -> Job:
    """A message of its webhook failed too often and was taken out of its queue."""
    _pending(job)
    return job.evolve(now).noting(now, "poisoned", problem)


def _pending(job: Job) -> Webhook:
    hook = job.webhook
    if hook is None or not job.is_over or hook.status is not WebhookStatus.PENDING:
        raise TransitionRefused(f"{job.id} has nobody to tell, or has told")
    return hook


def _same_round(job: Job, which: Webhook) -> None:
    if _pending(job).turn != which.turn:
        raise TransitionRefused(f"{job.id} is at another turn of its webhook")


def _settled(job: Job, now: datetime, delivery: Delivery | None, status: WebhookStatus, turn: int) -> Job:
    hook = _pending(job)
    changes: dict[str, Any] = {
        "status": status,
        "turn": max(hook.turn, turn) + 1,
        "due_at": None,
        "manual": False,
    }
    return _with(job, now, hook.after(delivery, **changes) if delivery else replace(hook, **changes))


def _with(job: Job, now: datetime, hook: Webhook) -> Job:
    return job.evolve(now, webhook=hook)
