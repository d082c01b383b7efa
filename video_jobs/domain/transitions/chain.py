"""Transitions of the chain of poll messages, and of its repair."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from video_jobs.domain.errors import TransitionRefused
from video_jobs.domain.job import Job


def next_turn(job: Job, now: datetime, turn: int, due_at: datetime) -> Job:
    """The chain continues with the message `turn`, which is already in the queue."""
    _refuse_over(job)
    return job.evolve(now, chain=job.chain.next(turn, due_at), last_error=None)


def repaired(job: Job, now: datetime) -> Job:
    """The chain seemed broken: a message with the row's turn is about to be sent."""
    _refuse_over(job)
    chain = replace(job.chain, due_at=now, repairs=job.chain.repairs + 1)
    return job.evolve(now, chain=chain).noting(now, "repaired")


def poisoned(job: Job, now: datetime, problem: str) -> Job:
    """A message of the job failed too often and was taken out of its queue."""
    _refuse_over(job)
    return job.evolve(now, reason=problem).noting(now, "poisoned", problem)


def attempt_failed(job: Job, now: datetime, last_error: str) -> Job:
    """A function failed at the job; its message comes again."""
    _refuse_over(job)
    return job.evolve(now, last_error=last_error)


def alarmed(job: Job, now: datetime, alarm: str) -> Job:
    """Raise the alarm, once, that a video is about to be lost."""
    if job.is_terminal or job.alarm is not None:
        raise TransitionRefused(f"{job.id} needs no alarm")
    return job.evolve(now, alarm=alarm).noting(now, "alarm", alarm)


def _refuse_over(job: Job) -> None:
    if job.is_over:
        raise TransitionRefused(f"{job.id} is {job.status}, and that is final")
