"""The job: one attempt to turn a prompt into videos that stay.

Everything here is plain immutable data. How a job moves from one status to the next stands in
`transitions.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self


class Status(StrEnum):
    """Where a job stands; the same word in code, table, API and documentation."""

    #: Accepted and stored; the video API has not been asked yet, or could not take it so far.
    WAITING = "waiting"
    #: The call that costs money is in flight, or its outcome is not known.
    SUBMITTING = "submitting"
    #: The video API has the job and has not begun.
    QUEUED = "queued"
    #: The video API is generating.
    RUNNING = "running"
    #: Generated; the videos are being copied into storage.
    FETCHING = "fetching"
    #: Generated, but the video API refuses the bytes so far; tried until it deletes them.
    PENDING_DOWNLOAD = "pending_download"
    #: Every video that was generated lies in storage, whole and checked.
    SUCCEEDED = "succeeded"
    #: It will not come; `error` says why.
    FAILED = "failed"
    #: The video API stopped it before anything was generated.
    CANCELLED = "cancelled"
    #: The video API deleted it before it could be fetched, or let it lie until then.
    EXPIRED = "expired"

    @property
    def is_terminal(self) -> bool:
        return self in _TERMINAL


_TERMINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.EXPIRED})


@dataclass(frozen=True)
class InputImage:
    """The still that the video starts from; its bytes lie in the `inputs` container."""

    content_type: str  #: image/png, image/jpeg or image/webp, as sniffed
    length: int  #: bytes
    sha256: str
    width: int  #: pixels
    height: int  #: pixels


@dataclass(frozen=True)
class VideoRequest:
    """What the client asked for, with the backend's defaults filled in."""

    prompt: str
    width: int  #: pixels
    height: int  #: pixels
    seconds: int
    variants: int = 1
    input_image: InputImage | None = None

    @property
    def size(self) -> str:
        return f"{self.width}x{self.height}"


@dataclass(frozen=True)
class BackendRef:
    """Which backend the job belongs to, frozen when the job was made. Never holds a secret."""

    name: str
    dialect: str
    base_url: str
    model: str


@dataclass(frozen=True)
class JobError:
    """Why a job ended without its videos."""

    code: str  #: ours, stable: docs/api.md lists them
    message: str
    backend_code: str | None = None  #: the video API's own code, as it came
    backend_message: str | None = None
    backend_request_id: str | None = None


@dataclass(frozen=True)
class StoredVideo:
    """A video that lies in Blob Storage, as it was measured while it went in."""

    length: int  #: bytes
    sha256: str
    verified: bool = True  #: False: complete, but not a well-formed MP4
    width: int | None = None  #: pixels, from the file's own track header
    height: int | None = None
    duration_ms: int | None = None


@dataclass(frozen=True)
class Output:
    """One generated video of a job, and how far its copy has come."""

    index: int
    generation_id: str
    turn: int = 0  #: of this output's own chain of fetch messages
    attempts: int = 0  #: downloads that failed
    due_at: datetime | None = None  #: when its current fetch message becomes visible
    stored: StoredVideo | None = None
    thumbnail: str | None = None  #: file ending of the stored still: jpg or webp
    suspect_sha256: str | None = None  #: of complete bytes that came once and are no well-formed MP4
    lost: bool = False  #: the backend deleted it first
    problem: str | None = None  #: why the last download failed

    @property
    def is_settled(self) -> bool:
        return self.stored is not None or self.lost


@dataclass(frozen=True, kw_only=True)
class Job:
    """One attempt. A retry is another job, so that terminal is final.

    Times are UTC and bear their time zone.
    """

    id: str
    owner: str
    status: Status = Status.WAITING
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None = None
    request: VideoRequest
    metadata: dict[str, str] = field(default_factory=dict)
    backend: BackendRef
    turn: int = 1  #: of the chain of poll messages; a message with a lower one is stale

    submit_after: datetime | None = None  #: while waiting: not before then
    attempt: str | None = None  #: a random name of the latest attempt at the paid call
    submitting_since: datetime | None = None
    submitted_at: datetime | None = None
    backend_job_id: str | None = None
    backend_status: str | None = None  #: the backend's own word, for people
    backend_request_id: str | None = None
    expires_at: datetime | None = None  #: when the backend deletes job and bytes
    not_found_since: datetime | None = None
    no_output_since: datetime | None = None
    progress: int | None = None  #: percent; None where the backend gives none
    outputs: tuple[Output, ...] = ()
    reason: str | None = None  #: why it is not further yet, in words
    notice: str | None = None  #: what a client should know of a job that did succeed
    error: JobError | None = None

    @property
    def is_terminal(self) -> bool:
        return self.status.is_terminal

    @property
    def live_key(self) -> str:
        """The row key in `livejobs`: arrival time, then id."""
        return f"{int(self.created_at.timestamp() * 1000):014d}_{self.id}"

    def evolve(self, now: datetime, **changes: Any) -> Self:
        return replace(self, updated_at=now, **changes)

    @property
    def was_refused(self) -> bool:
        """Whether the backend turned the job down when it was submitted, so that nothing was paid for."""
        known = self.error is not None and self.error.code != "submission_unconfirmed"
        return self.status is Status.FAILED and self.backend_job_id is None and known

    def output(self, index: int) -> Output | None:
        return next((output for output in self.outputs if output.index == index), None)

    def expired_by(self, now: datetime) -> bool:
        return self.expires_at is not None and now >= self.expires_at

    def time_left(self, now: datetime) -> timedelta | None:
        """Until the backend deletes the bytes; None where nothing is known of it yet."""
        return None if self.expires_at is None else max(self.expires_at - now, timedelta())
