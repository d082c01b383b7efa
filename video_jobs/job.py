"""The job: one attempt to turn a prompt into videos that stay.

Everything here is plain immutable data. How a job moves from one status to the next stands in
`transitions.py`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from video_jobs.estimate import Forecast
from video_jobs.webhooks.webhook import Webhook

DEFAULT_OWNER = "default"
"""Whose jobs those of everybody are who is nobody in particular."""


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


MOST_EVENTS = 50
"""Of a job's history that are kept."""

_LONGEST_DETAIL = 300  # characters
_LARGEST_HISTORY = 24_000  # UTF-16 units; a table property holds 32K
_NO_REFUSALS = ("submission_unconfirmed", "backend_job_not_found", "input_image_missing")

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
    candidates: tuple[str, ...] = ()  #: backend jobs that may be this one, for import


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
class Event:
    """Something that happened to a job; the same again is counted, not repeated."""

    at: datetime
    what: str  #: a stable name: docs/api.md lists them
    detail: str | None = None
    request_id: str | None = None  #: what the backend's support asks for
    times: int = 1
    first_at: datetime | None = None  #: where it happened more than once


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
    due_at: datetime | None = None  #: when the chain's next message becomes visible
    repairs: int = 0  #: how often the sweeper has set the chain going since it last moved by itself
    status_since: datetime | None = None
    history: tuple[Event, ...] = ()  #: the last `MOST_EVENTS`

    holds_place: bool = False  #: among the jobs that its owner may have alive at once
    retry_of: str | None = None  #: the job that this one tries again
    retried_as: str | None = None
    adopts: str | None = None  #: a backend's job to take up, in place of having one made
    cancel_requested_at: datetime | None = None
    cancel_refused: str | None = None  #: why the backend goes on all the same
    deleted_at: datetime | None = None  #: a tombstone: readers don't see the job any more
    backend_job_gone: bool = False  #: while deleting: the backend has forgotten it too
    alarm: str | None = None  #: what will be lost unless somebody acts
    trouble: str | None = None  #: why the last look or download broke down

    attempt: str | None = None  #: a random name of the latest attempt at the paid call
    refused_at: datetime | None = None  #: when the backend refused our key, or knew no deployment, over it
    submitting_since: datetime | None = None
    submitted_at: datetime | None = None
    backend_job_id: str | None = None
    backend_status: str | None = None  #: the backend's own word, for people
    backend_request_id: str | None = None
    expires_at: datetime | None = None  #: when the backend deletes job and bytes
    looked_at: datetime | None = None  #: when the video API last told how far it is
    not_found_since: datetime | None = None
    no_output_since: datetime | None = None
    progress: int | None = None  #: percent; None where nothing tells
    expected_at: datetime | None = None  #: when its videos are likely to be generated
    forecast: Forecast | None = None  #: what was known of its kind when it was submitted
    outputs: tuple[Output, ...] = ()
    reason: str | None = None  #: why it is not further yet, in words
    notice: str | None = None  #: what a client should know of a job that did succeed
    error: JobError | None = None
    webhook: Webhook | None = None  #: who is told of its end

    @property
    def is_terminal(self) -> bool:
        return self.status.is_terminal

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do for it."""
        return self.is_terminal and self.deleted_at is None

    @property
    def live_key(self) -> str:
        """The row key in `livejobs`: arrival time, then id."""
        return f"{int(self.created_at.timestamp() * 1000):014d}_{self.id}"

    def evolve(self, now: datetime, **changes: Any) -> Self:
        if changes.get("status", self.status) is not self.status:
            changes["status_since"] = now
        return replace(self, updated_at=now, **changes)

    def noting(
        self, now: datetime, what: str, detail: str | None = None, request_id: str | None = None
    ) -> Self:
        """The job with one more event; the oldest go when there are too many or they grow too long."""
        event = Event(now, what, detail[:_LONGEST_DETAIL] if detail else None, request_id)
        events = self.history
        last = events[-1] if events else None
        if last is not None and (last.what, last.detail) == (event.what, event.detail):
            event = replace(event, times=last.times + 1, first_at=last.first_at or last.at)
            events = events[:-1]
        events = (*events, event)[-MOST_EVENTS:]
        while sum(map(_size, events)) > _LARGEST_HISTORY:
            events = events[1:]
        return replace(self, history=events)

    @property
    def was_refused(self) -> bool:
        """Whether the backend turned the job down when it was submitted, so that nothing was paid for."""
        return (
            self.status is Status.FAILED
            and self.backend_job_id is None
            and self.error is not None
            and self.error.code not in _NO_REFUSALS
        )

    def output(self, index: int) -> Output | None:
        return next((output for output in self.outputs if output.index == index), None)

    def expired_by(self, now: datetime) -> bool:
        return self.expires_at is not None and now >= self.expires_at

    def time_left(self, now: datetime) -> timedelta | None:
        """Until the backend deletes the bytes; None where nothing is known of it yet."""
        return None if self.expires_at is None else max(self.expires_at - now, timedelta())


def _size(event: Event) -> int:
    """UTF-16 units of an event as JSON, in which a letter may take six."""
    said = json.dumps([event.detail, event.request_id], ensure_ascii=False)
    return 150 + len(said.encode("utf-16-le")) // 2
