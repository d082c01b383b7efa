"""The job: one attempt to turn a prompt into videos that stay.

Everything here is plain immutable data. The package `transitions` moves a job from one
status to the next.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from video_jobs.domain.chain import Chain
from video_jobs.domain.cost import Cost
from video_jobs.domain.estimate import Forecast
from video_jobs.domain.job_parts import Cancellation, Polls, Submission
from video_jobs.domain.video_request import InputImage as InputImage
from video_jobs.domain.video_request import VideoRequest as VideoRequest
from video_jobs.domain.webhook import Webhook

DEFAULT_OWNER = "default"
"""The owner of all jobs whose client is not known by name."""


class Status(StrEnum):
    """The status of a job; the same word in code, table, API and documentation."""

    #: Accepted and stored; the video API has not been called yet, or could not accept it so far.
    WAITING = "waiting"
    #: The paid call is being made, or its outcome is unknown.
    SUBMITTING = "submitting"
    #: The video API has the job and has not begun.
    QUEUED = "queued"
    #: The video API is generating.
    RUNNING = "running"
    #: Generated; the videos are being copied into storage.
    FETCHING = "fetching"
    #: Generated, but the video API refuses the bytes so far; tried until it deletes them.
    PENDING_DOWNLOAD = "pending_download"
    #: Every video that was generated is in storage, whole and checked.
    SUCCEEDED = "succeeded"
    #: There will be no video; `error` says why.
    FAILED = "failed"
    #: The video API stopped it before anything was generated.
    CANCELLED = "cancelled"
    #: The video API deleted it before it was fetched, or did not work on it until its time was over.
    EXPIRED = "expired"

    @property
    def is_terminal(self) -> bool:
        return self in _TERMINAL


MOST_EVENTS = 50
"""How many events of a job's history are kept."""

LOST_JOB_GRACE = timedelta(minutes=5)
"""How long a backend may answer that it does not know a job before the job gives its slot back and is polled rarely."""

LONGEST_PAST_GUESS = timedelta(days=7)
"""How long after a guessed expiry a backend is still polled if it says nothing about the job."""

MISSING_PAST_GUESS = timedelta(days=1)
"""The same for one that answers 404 to everything, as a gateway without its server does."""

_LONGEST_DETAIL = 300  # characters
_LARGEST_HISTORY = 24_000  # UTF-16 units; a table property holds 32K
_NO_REFUSALS = ("submission_unconfirmed", "backend_job_not_found", "input_image_missing")

_TERMINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.EXPIRED})


@dataclass(frozen=True)
class BackendRef:
    """Which backend the job belongs to, frozen when the job was made. Never holds a secret."""

    name: str
    dialect: str
    base_url: str
    model: str


@dataclass(frozen=True)
class JobError:
    """The reason for which a job ended without its videos."""

    code: str  #: the app's own, stable: docs/reference/errors.md lists them
    message: str
    backend_code: str | None = None  #: the video API's own code, as it came
    backend_message: str | None = None
    backend_request_id: str | None = None
    candidates: tuple[str, ...] = ()  #: backend jobs that may be this one, for import


@dataclass(frozen=True)
class StoredVideo:
    """A video in Blob Storage, as it was measured during the upload."""

    length: int  #: bytes
    sha256: str
    verified: bool = True  #: False: complete, but not a well-formed MP4 file
    width: int | None = None  #: pixels, from the file's own track header
    height: int | None = None
    duration_ms: int | None = None
    trailing_bytes: int = 0  #: after the MP4's last box; players ignore them


@dataclass(frozen=True)
class Event:
    """Something that happened to a job; repetitions are counted, not listed."""

    at: datetime
    what: str  #: a stable name: docs/reference/events.md lists them
    detail: str | None = None
    request_id: str | None = None  #: what the backend's support asks for
    times: int = 1
    first_at: datetime | None = None  #: if it happened more than once


@dataclass(frozen=True)
class Suspect:
    """Bytes that may or may not be a whole video."""

    sha256: str
    times: int = 1  #: how often they came
    is_other: bool = False  #: plainly a picture, or sound alone


@dataclass(frozen=True)
class Output:
    """One generated video of a job, and how far its copy has come."""

    index: int
    generation_id: str
    chain: Chain = field(default_factory=Chain)  #: of its fetch messages
    stored: StoredVideo | None = None
    thumbnail: str | None = None  #: file ending of the stored thumbnail: jpg or webp
    suspects: tuple[Suspect, ...] = ()  #: the bytes that came, the latest last
    lost: bool = False  #: the backend deleted it first
    problem: str | None = None  #: why the last download failed
    missing_since: datetime | None = None  #: since when each download was answered 404 or 410
    began_at: datetime | None = None  #: when its last download began
    progress_at: datetime | None = None  #: when bytes of a download came last; noted once a minute

    @property
    def is_settled(self) -> bool:
        return self.stored is not None or self.lost


@dataclass(frozen=True)
class EqualEntry:
    """An entry of a backend's list that is equal to the job."""

    id: str
    model: str | None
    apart: float  #: seconds between its creation and the call


@dataclass(frozen=True)
class ListSearch:
    """How far a backend's list has been read, usually newest first; the next poll continues there."""

    after: str | None  #: the id after which to continue
    read: int  #: entries so far
    is_newest_first: bool | None = None  #: None until two entries show it
    more_was_said: bool = False  #: by the backend
    has_unreadable: bool = False  #: entries
    candidates: tuple[str, ...] = ()  #: ids seen so far that may be the job
    equal: tuple[EqualEntry, ...] = ()  #: of each model the nearest so far


@dataclass(frozen=True, kw_only=True)
class Job:
    """One attempt. A retry is another job, so that terminal is final.

    Times are UTC with their time zone.
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
    chain: Chain = field(default=Chain(turn=1))  #: of its poll messages
    status_since: datetime | None = None
    history: tuple[Event, ...] = ()  #: the last `MOST_EVENTS`

    counts_toward_quota: bool = False  #: counts toward its owner's limit of jobs at once
    retry_of: str | None = None  #: the job that this one tries again
    retried_as: str | None = None
    adopts: str | None = None  #: a backend job to reuse in place of a paid call
    cancellation: Cancellation = field(default=Cancellation())
    deleted_at: datetime | None = None  #: then the row is a tombstone: readers don't see the job
    backend_job_gone: bool = False  #: the app has deleted it at the backend
    alarm: str | None = None  #: what will be lost unless somebody acts
    last_error: str | None = None  #: why the last poll or download failed

    submission: Submission = field(default=Submission())
    list_search: ListSearch | None = None  #: how far the backend's list has been read for it
    list_unreadable_since: datetime | None = None  #: since when that list was not read to its end
    backend_job_id: str | None = None
    backend_status: str | None = None  #: the backend's own word, for people
    backend_request_id: str | None = None
    expires_at: datetime | None = None  #: when the backend deletes job and bytes, by our clock
    told_expires_at: datetime | None = None  #: the same as the backend gave it; None: `expires_at` is a guess
    polls: Polls = field(default=Polls())
    progress: int | None = None  #: percent; None if unknown
    expected_at: datetime | None = None  #: when its videos are likely to be generated
    forecast: Forecast | None = None  #: the forecast for its kind when it was submitted
    outputs: tuple[Output, ...] = ()
    cost: Cost | None = None  #: as the backend gave it; None if it gave none
    reason: str | None = None  #: why it does not go on, in words
    warning: str | None = None  #: what a client should know about a job that succeeded
    error: JobError | None = None
    webhook: Webhook | None = None  #: the URL that is told of its end, and the deliveries

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
        """The changed job. `updated_at` never goes back, even if clocks differ: readers order by it."""
        if changes.get("status", self.status) is not self.status:
            changes["status_since"] = now
        return replace(self, updated_at=max(now, self.updated_at), **changes)

    def noting(
        self, now: datetime, what: str, detail: str | None = None, request_id: str | None = None
    ) -> Self:
        """The job with one more event; the oldest events are dropped if there are too many or they are too long."""
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
        """Whether the backend refused the job at submission, so that nothing was paid for."""
        return (
            self.status is Status.FAILED
            and self.backend_job_id is None
            and self.error is not None
            and self.error.code not in _NO_REFUSALS
        )

    def output(self, index: int) -> Output | None:
        return next((output for output in self.outputs if output.index == index), None)

    def expired_by(self, now: datetime) -> bool:
        """Whether the backend has surely deleted it: its own expiry is over, or a guessed one is long over."""
        if self.expires_at is None:
            return False
        margin = timedelta() if self.told_expires_at is not None else LONGEST_PAST_GUESS
        return now >= self.expires_at + margin

    def is_past_guess(self, now: datetime, by: timedelta = timedelta()) -> bool:
        """Whether a guessed expiry has been over for that long: a guess alone proves nothing."""
        return self.told_expires_at is None and self.expires_at is not None and now >= self.expires_at + by

    def is_in_doubt(self, now: datetime) -> bool:
        """Whether the backend may not have the job any more: its answers say too little about it.

        Such a job holds no slot and is polled rarely.
        """
        if self.is_missing_too_long(now):
            return True
        told_at = self.polls.last_polled_at
        silent = told_at is None or now - told_at >= LOST_JOB_GRACE
        return self.is_past_guess(now) and (silent or self.polls.unknown_since is not None)

    def is_missing_too_long(self, now: datetime) -> bool:
        """Whether the backend has not known it for so long that its list is worth a call."""
        since = self.polls.not_found_since
        return since is not None and now - since >= LOST_JOB_GRACE

    def time_left(self, now: datetime) -> timedelta | None:
        """The time until the backend deletes the bytes; None as long as it is unknown."""
        return None if self.expires_at is None else max(self.expires_at - now, timedelta())


def _size(event: Event) -> int:
    """UTF-16 units of an event as JSON, in which a letter may take six."""
    said = json.dumps([event.detail, event.request_id], ensure_ascii=False)
    return 150 + len(said.encode("utf-16-le")) // 2
