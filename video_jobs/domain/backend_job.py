"""A backend job, as the video API describes it."""

from __future__ import annotations

import base64
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from video_jobs.domain.cost import Cost


class BackendState(StrEnum):
    """The meaning of a backend's status word."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"  #: deleted after its time
    UNKNOWN = "unknown"  #: a word that the app does not know: continue to poll

    @property
    def is_final(self) -> bool:
        return self not in (BackendState.QUEUED, BackendState.RUNNING, BackendState.UNKNOWN)


def is_model_name(text: str) -> bool:
    """Whether this can name a model. A name is a part of the path at some APIs; steps like `..` would change the path."""
    return not {"", ".", ".."} & set(text.split("/"))


class BackendJob(NamedTuple):
    """A backend's answer about one of its jobs, in the app's terms. Everything but the id may be missing.

    Times are by the backend's clock, which may be wrong: `told_at` is the time that it showed.
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
    from_image: bool = False  #: the answer names an input image; not all backends do
    seems_done: bool = False  #: it has a completion time, a progress of 100, or the address of the bytes
    poll_after: float | None = None  #: seconds to wait, as the backend asks
    request_id: str | None = None
    told_at: datetime | None = None  #: the backend's own clock at this answer


def unpacked_id(job_id: str) -> str:
    """The id that shows which backend job it is. LiteLLM packs the id of the server behind it together with a model's name, and
    its create, polls and list differ in the name."""
    packed = job_id.removeprefix("video_")
    try:
        inside = base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True).decode()
    except ValueError:
        return job_id
    return inside.partition(";video_id:")[2] or job_id
