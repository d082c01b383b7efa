"""The video API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from video_jobs.job import VideoRequest


class BackendState(StrEnum):
    """What a backend's status word means to us."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"  #: a word that we don't know: go on looking


@dataclass(frozen=True, kw_only=True)
class BackendJob:
    """One look at a backend's job, in our words. Everything but the id may be missing."""

    id: str
    state: BackendState
    status: str | None = None  #: the backend's own word
    progress: int | None = None  #: percent
    created_at: datetime | None = None
    finished_at: datetime | None = None
    expires_at: datetime | None = None
    generation_ids: tuple[str, ...] = ()
    failure_code: str | None = None
    failure_message: str | None = None
    prompt: str | None = None
    width: int | None = None  #: pixels
    height: int | None = None
    seconds: int | None = None
    variants: int | None = None
    model: str | None = None
    from_image: bool = False  #: it says that it began with a picture; not all backends do
    poll_after: float | None = None  #: seconds that the backend wants us to wait
    request_id: str | None = None


class ContentStream(Protocol):
    """Bytes on their way from a backend."""

    @property
    def content_type(self) -> str:
        """Lower case, without parameters; empty where none was given."""

    @property
    def length(self) -> int | None:
        """As announced, in bytes."""

    @property
    def has_marked_end(self) -> bool:
        """Whether a body that was cut off could not be taken for a whole one."""

    def chunks(self, size: int) -> Iterator[bytes]:
        """Pieces of `size` bytes, the last one shorter. Raises Unavailable when cut off or out of time."""


class Backend(Protocol):
    """One dialect at one address. Every method raises from the BackendError family and nothing else."""

    def create(self, request: VideoRequest, image: bytes | None, deadline: float) -> BackendJob:
        """The paid call, made once.

        Raises NotSent, Busy, Rejected, Unauthorised, NotFound or Gone: nothing was created. UnknownOutcome:
        it may have been. `deadline` is in seconds, for the whole call.
        """

    def get(self, backend_job_id: str) -> BackendJob: ...

    def recent(self) -> Iterator[BackendJob]:
        """The backend's own list, newest first. NotFound where it keeps none."""

    def delete(self, backend_job_id: str) -> None:
        """Stop the job if it runs, and forget it and its bytes: the only stop that either dialect has.

        Raises NotFound where it is gone, Rejected where it will not.
        """

    def job_of(self, generation_id: str) -> str:
        """The id of the job that made this generation. Raises NotFound."""

    def open_video(
        self, backend_job_id: str, generation_id: str, deadline: float
    ) -> AbstractContextManager[ContentStream]:
        """`deadline` is in seconds, for the whole download."""

    def open_thumbnail(
        self, backend_job_id: str, generation_id: str, deadline: float
    ) -> AbstractContextManager[ContentStream]: ...
