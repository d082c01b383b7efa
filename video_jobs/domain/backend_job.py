"""What a video API says of one of its jobs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from video_jobs.domain.cost import Cost


class BackendState(StrEnum):
    """What a backend's status word means to us."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"  #: deleted after its time
    UNKNOWN = "unknown"  #: a word that we don't know: go on polling

    @property
    def is_final(self) -> bool:
        return self not in (BackendState.QUEUED, BackendState.RUNNING, BackendState.UNKNOWN)


@dataclass(frozen=True, kw_only=True)
class BackendJob:
    """What a backend told of one of its jobs, in our words. Everything but the id may be missing.

    Times are by the backend's clock, which may be wrong: `told_at` says what it showed.
    """

    id: str
    state: BackendState
    status: str | None = None  #: the backend's own word
    progress: int | None = None  #: percent
    created_at: datetime | None = None
    finished_at: datetime | None = None
    expires_at: datetime | None = None
    generation_ids: tuple[str, ...] = ()
    cost: Cost | None = None
    failure_code: str | None = None
    failure_message: str | None = None
    prompt: str | None = None
    width: int | None = None  #: pixels
    height: int | None = None
    seconds: int | None = None
    variants: int | None = None
    model: str | None = None
    from_image: bool = False  #: it says that it began with a picture; not all backends do
    seems_done: bool = False  #: it names a time of completion, all of its progress, or where the bytes are
    poll_after: float | None = None  #: seconds that the backend wants us to wait
    request_id: str | None = None
    told_at: datetime | None = field(
        default=None, compare=False
    )  #: the backend's own clock when it told this
