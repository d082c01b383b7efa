"""One step of a job's chain: a message, the row that it found, and the two ways in which the step ends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from video_jobs.domain.errors import TransitionRefused
from video_jobs.domain.job import Job
from video_jobs.domain.queue_messages import PollMessage
from video_jobs.lifecycle.finalize import finish
from video_jobs.lifecycle.poll_chain import Turn, fetch_now, send_next
from video_jobs.lifecycle.update import update
from video_jobs.ports import StoredJob
from video_jobs.services import Services

Change = Callable[[Job], Job]


class Step(NamedTuple):
    services: Services
    message: PollMessage
    stored: StoredJob

    @property
    def job(self) -> Job:
        return self.stored.job

    def now(self) -> datetime:
        return self.services.clock()

    def send_next(self, delay: timedelta) -> Turn:
        """Enqueue the next message. The change that it gives writes the turn into the row."""
        return send_next(self.services, self.message, delay)

    def advance(self, delay: timedelta, change: Change) -> StoredJob:
        """Enqueue the next turn, then save the change with that turn."""
        turn = self.send_next(delay)
        return update(self.services.jobs, self.stored, lambda job: change(turn(job)))

    def end(self, change: Change) -> None:
        """Save a terminal status, then finish the job. No next message is sent: after a crash this one is delivered
        again."""
        saved = update(self.services.jobs, self.stored, change).job
        if not saved.is_over:
            if saved.backend_job_gone and saved.deleted_at is None:
                # Another poll saw the job generated, and then the backend deleted it: the downloads end the job at once.
                fetch_now(self.services, saved)
            raise TransitionRefused(f"{saved.id} is {saved.status}, which is not terminal")
        finish(self.services, saved)
