"""Everything that exists in the simulated services: jobs, outputs, limits, time. Knows nothing of HTTP."""

import base64
import logging
import math
import random
import secrets
import threading
import uuid
from collections.abc import Mapping
from concurrent.futures import Future

from .clock import Clock
from .job import (
    AZURE_SORA,
    BYTEPLUS,
    FAL,
    GEMINI,
    OPENAI_VIDEOS,
    OPENROUTER,
    REPLICATE,
    RUNWAY,
    XAI,
    Job,
    Order,
    Phase,
    RenderedOutput,
    Snapshot,
)
from .ledger import Ledger
from .prompts import Ending, ending_of
from .render import GivenUpError, Renderer, Rendering
from .settings import Settings

logger = logging.getLogger(__name__)

_SEED = 1  # any; the same for every start


class LimitReachedError(Exception):
    """A create that was refused for now.

    retry_after: int | None, real seconds until it is worth another try
    """

    def __init__(self, message: str, retry_after: int | None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class PromptRejectedError(Exception):
    """A prompt that the content filter refused before there was a job."""


class StillRunningError(Exception):
    """A delete that was refused because the job has not ended."""


class World:
    """All jobs that were ever created, and their rules. Thread-safe."""

    def __init__(self, settings: Settings | None = None) -> None:
        self._initial = settings or Settings()
        self._lock = threading.RLock()
        self._renderer = Renderer()
        self.clock = Clock(self._initial.speed)
        self.ledger = Ledger()
        self.settings = self._initial
        self.resets = 0
        self._jobs: dict[str, Job] = {}
        self._job_of_output: dict[str, Job] = {}
        self._unfinished: dict[str, list[Job]] = {AZURE_SORA: [], OPENAI_VIDEOS: []}
        self._most_unfinished = dict.fromkeys(self._unfinished, 0)
        self._spread = random.Random(_SEED)

    # Control

    def change(self, changes: Mapping[str, object]) -> Settings:
        """Take over `changes` and give all settings back. Raises UnknownSettingError."""
        with self._lock:
            self.settings = self.settings.evolve(changes)
            if "speed" in changes:
                self.clock.set_speed(self.settings.speed)
            return self.settings

    def reset(self) -> None:
        """The state at the start: no jobs, no calls, the first settings, the real time."""
        with self._lock:
            self.resets += 1
            self.settings = self._initial
            self.clock.restart(self.settings.speed)
            self._jobs.clear()
            self._job_of_output.clear()
            self._unfinished = {dialect: [] for dialect in self._unfinished}
            self._most_unfinished = dict.fromkeys(self._unfinished, 0)
            self._spread = random.Random(_SEED)
            self.ledger.clear()

    def close(self) -> None:
        """Give up what is being rendered. Nothing can be created afterwards."""
        self._renderer.close()

    # Jobs

    def create(self, dialect: str, order: Order) -> Job:
        """A new job. Raises PromptRejectedError or LimitReachedError, and then there is none."""
        ending = ending_of(order.prompt)
        if ending is Ending.REJECTED:
            raise PromptRejectedError
        with self._lock:
            now = self.clock.now()
            unfinished = self._unfinished[dialect] = self._still_unfinished(dialect, now)
            self._refuse_beyond_limits(dialect, now)
            settings = self.settings
            spread = self._spread.uniform(-settings.run_spread_seconds, settings.run_spread_seconds)
            job = Job(
                id=self._new_job_id(dialect),
                dialect=dialect,
                order=order,
                ending=ending,
                created_at=now,
                queue_seconds=settings.queue_seconds,
                run_seconds=max(0.0, settings.run_seconds + spread),
                expires_at=now + settings.retention_seconds,
                pad_to_bytes=settings.pad_to_bytes,
            )
            for variant in range(1, self._outputs_of(order, ending) + 1):
                self._begin_output(job, variant)
            self._jobs[job.id] = job
            unfinished.append(job)
            self._most_unfinished[dialect] = max(self._most_unfinished.get(dialect, 0), len(unfinished))
            return job

    def snapshot(self, job: Job) -> Snapshot:
        """The job as it is now."""
        return job.snapshot(self.clock.now())

    def job(self, job_id: str, dialect: str) -> Job | None:
        """The job, unless its service never had it or no longer has it."""
        with self._lock:
            job = self._jobs.get(job_id)
            return job if job is not None and job.dialect == dialect and self.keeps(job) else None

    def output(self, output_id: str, dialect: str) -> tuple[Job, RenderedOutput] | None:
        """An output that can be downloaded now, with its job: made, not deleted, not expired."""
        with self._lock:
            job = self._job_of_output.get(output_id)
            if job is None or job.dialect != dialect or not self.keeps(job) or self.expired(job):
                return None
            if self.snapshot(job).phase is not Phase.SUCCEEDED:
                return None
            return job, next(output for output in job.outputs if output.id == output_id)

    def jobs(self, dialect: str) -> list[Job]:
        """The jobs that this service still has, newest first."""
        with self._lock:
            return [
                job for job in reversed(self._jobs.values()) if job.dialect == dialect and self.keeps(job)
            ]

    def delete(self, job: Job) -> None:
        """Stop the job if it runs, and delete it with its outputs. Raises StillRunningError."""
        with self._lock:
            now = self.clock.now()
            if self.settings.refuse_delete_running and not job.snapshot(now).phase.over:
                raise StillRunningError
            job.deleted_at = now

    def cancel(self, job: Job) -> bool:
        """Stop the job and go on showing it; False where it has ended already."""
        with self._lock:
            now = self.clock.now()
            if job.snapshot(now).phase.over:
                return False
            job.cancelled_at = now
            return True

    def expired(self, job: Job) -> bool:
        """Whether the retention is over."""
        return self.clock.now() >= job.expires_at

    def keeps(self, job: Job) -> bool:
        """Whether the service can still show the job. azure-sora deletes the record along with the bytes, the
        other keeps the record of a video whose bytes it has deleted."""
        return job.deleted_at is None and not (job.dialect == AZURE_SORA and self.expired(job))

    def everything(self) -> list[Job]:
        """Every job since the start, deleted and expired ones too, oldest first."""
        with self._lock:
            return list(self._jobs.values())

    def most_unfinished(self) -> dict[str, int]:
        """The highest number of unfinished jobs that each dialect ever had at once."""
        with self._lock:
            return dict(self._most_unfinished)

    def owner_of(self, some_id: str) -> str | None:
        """The id of the job that has this id, or an output with it."""
        with self._lock:
            if some_id in self._jobs:
                return some_id
            job = self._job_of_output.get(some_id)
            return job.id if job else None

    def _refuse_beyond_limits(self, dialect: str, now: float) -> None:
        settings = self.settings
        limit = settings.running_limit if dialect == AZURE_SORA else settings.videos_running_limit
        if limit is not None and len(self._unfinished[dialect]) >= limit:
            raise LimitReachedError("Too many running tasks", settings.running_retry_after)
        if settings.creates_per_minute is not None:
            recent = [
                j.created_at for j in self._jobs.values() if j.dialect == dialect and j.created_at > now - 60
            ]
            if len(recent) >= settings.creates_per_minute:
                # The header counts real seconds, not simulated ones.
                wait = (min(recent, default=now) + 60 - now) / settings.speed
                raise LimitReachedError(
                    "Rate limit reached for video creation requests", max(1, math.ceil(wait))
                )

    def _still_unfinished(self, dialect: str, now: float) -> list[Job]:
        """The unfinished jobs among those that were unfinished at the last create: an end is final, so there are no others."""
        return [
            job
            for job in self._unfinished.get(dialect, [])
            if self.keeps(job) and not job.snapshot(now).phase.over
        ]

    @staticmethod
    def _outputs_of(order: Order, ending: Ending) -> int:
        if ending is Ending.SUCCESS:
            return order.variants
        return order.variants - 1 if ending is Ending.FEWER else 0

    def _begin_output(self, job: Job, variant: int) -> None:
        shot = job.order.shot(variant)
        # In the other dialect a video is its own only output.
        output_id = f"gen_{secrets.token_hex(13)}" if job.dialect == AZURE_SORA else job.id
        output = RenderedOutput(output_id, shot, self._renderer.begin(shot))
        job.outputs.append(output)
        self._job_of_output[output_id] = job

        def note_end(future: "Future[Rendering]") -> None:
            output.done_at = self.clock.now()
            error = None if future.cancelled() else future.exception()
            if error is not None and not isinstance(error, GivenUpError):
                logger.error("The video of %s could not be rendered.", job.id, exc_info=error)

        output.rendering.add_done_callback(note_end)

    def _new_job_id(self, dialect: str) -> str:
        if dialect == AZURE_SORA:
            return f"task_{secrets.token_hex(13)}"
        if dialect in (RUNWAY, FAL, XAI):
            return str(uuid.uuid4())
        if dialect == REPLICATE:
            return secrets.token_hex(13)
        if dialect == GEMINI:
            return f"v1_{secrets.token_urlsafe(30)}"
        if dialect == BYTEPLUS:
            return f"cgt-{int(self.clock.now())}-{secrets.token_hex(3)[:5]}"
        if dialect == OPENROUTER:
            return f"gen-vid-{int(self.clock.now())}-{secrets.token_hex(10)}"
        unique = secrets.token_hex(16)
        if self.settings.id_style == "base64":
            # The two leading bytes become "+/" and the length needs "=", so the id has each unusual character.
            return "video_" + base64.b64encode(b"\xfb\xff" + unique.encode()).decode()
        return f"video_{unique}:upstream" if self.settings.id_style == "colon" else f"video_{unique}"
