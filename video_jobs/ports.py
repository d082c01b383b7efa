"""What the use cases need of the outside world, as Protocols, and the values that cross the border.

Each port has one real adapter (`storage/`, `backends/`); those of storage have an in-memory twin as well
(`storage/memory.py`), held to the same tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Protocol

from video_jobs.estimate import Estimate, Kind
from video_jobs.gate import Gate
from video_jobs.job import InputImage, Job, Status, VideoRequest
from video_jobs.messages import FetchMessage, NotifyMessage, PollMessage
from video_jobs.quota import Quota

Clock = Callable[[], datetime]
"""Gives the present as a UTC datetime with its time zone."""


# --- the jobs table ------------------------------------------------------------------------------


@dataclass(frozen=True)
class StoredJob:
    """A job as it was read, with the ETag that the next write is conditional on."""

    job: Job
    etag: str


@dataclass(frozen=True)
class IdempotencyEntry:
    """Which job a client's key stands for, and of which request."""

    owner: str
    key_hash: str
    request_hash: str
    job_id: str


@dataclass(frozen=True)
class JobPage:
    jobs: list[Job]
    after: str | None  #: the job id to go on after; None on the last page


@dataclass(frozen=True)
class StoredQuota:
    """An owner's quota as it was read; `etag` is None where there is no row yet."""

    owner: str
    quota: Quota
    etag: str | None


@dataclass(frozen=True)
class Allowance:
    """The owner's quota as it was read, and as it is with one more job."""

    read: StoredQuota
    quota: Quota


class JobStore(Protocol):
    def insert(
        self, job: Job, entry: IdempotencyEntry | None, allowance: Allowance | None = None
    ) -> StoredJob | IdempotencyEntry:
        """Store a new job, with its idempotency entry and its owner's quota in the same transaction.

        Gives the winner's entry, and stores nothing, where the key is taken. Raises Conflict, and stores nothing,
        when the quota has changed since it was read.
        """

    def get(self, owner: str, job_id: str) -> StoredJob:
        """Raises JobNotFound."""

    def save(self, stored: StoredJob, job: Job) -> StoredJob:
        """Raises Conflict when the row has changed since `stored` was read, JobNotFound when it is gone."""

    def delete(self, stored: StoredJob) -> None:
        """Raises Conflict when the row has changed since `stored` was read; no error where it is gone."""

    def find_entry(self, owner: str, key_hash: str) -> IdempotencyEntry | None: ...

    def quota(self, owner: str) -> StoredQuota:
        """An unused one where there is none yet."""

    def save_quota(self, stored: StoredQuota, quota: Quota) -> None:
        """Raises Conflict when the row has changed since `stored` was read."""

    def page(self, owner: str, *, limit: int, after: str | None, statuses: frozenset[Status]) -> JobPage:
        """The owner's jobs, newest first, without those being deleted; an empty `statuses` means all."""

    def page_oldest_first(self, owner: str, *, limit: int, after: str | None) -> JobPage:
        """The same from the other end; `after` names a job, and newer ones follow."""

    def ended_before(self, moment: datetime, limit: int) -> list[StoredJob]:
        """Up to `limit` jobs of any owner that ended before then and are not being deleted."""

    def ping(self) -> None:
        """Raises StorageUnavailable where it can't be used."""


@dataclass(frozen=True)
class LiveJob:
    """A job that has not ended, as the sweeper and the line before a gate know it."""

    backend: str
    key: str  #: arrival time in milliseconds, then the id: in order of arrival
    owner: str
    job_id: str
    waiting: bool = False  #: for a slot at the gate

    @classmethod
    def of(cls, job: Job, *, waiting: bool = False) -> LiveJob:
        return cls(job.backend.name, job.live_key, job.owner, job.id, waiting)

    @property
    def arrived_at(self) -> datetime:
        return datetime.fromtimestamp(int(self.key.partition("_")[0]) / 1000, UTC)


class LiveJobs(Protocol):
    """One row for each job that has not ended: what a sweeper has to look at. Every call may be repeated."""

    def add(self, live: LiveJob) -> None:
        """Insert or replace."""

    def remove(self, live: LiveJob) -> None:
        """No error where it is gone."""

    def all(self) -> Iterator[LiveJob]:
        """Of every backend, in order of arrival within each."""

    def line(self, backend: str, most: int) -> list[LiveJob]:
        """The first of those that wait before this backend, in order of arrival."""

    def ahead_of(self, live: LiveJob, most: int) -> int:
        """How many wait before the same backend and came earlier; counts no further than `most`."""


@dataclass(frozen=True)
class Claim:
    """Whose a backend's job is, however we came by it. Ids belong to one address."""

    base_url: str
    backend_job_id: str
    owner: str
    job_id: str


class Claims(Protocol):
    def claim(self, claim: Claim) -> Claim:
        """Take it where nobody has it. Gives the claim that holds: this one, or the other's who was first."""

    def find(self, base_url: str, backend_job_id: str) -> Claim | None: ...

    def of_job(self, job_id: str) -> list[Claim]:
        """What this job has claimed: an id that a crash kept from its row is still known."""

    def hand_over(self, claim: Claim, from_job_id: str) -> Claim:
        """Take it from another job of the same owner, or where nobody has it. Gives the claim that holds."""

    def release(self, claim: Claim) -> None:
        """Give it up where it is this job's; no error where it is not."""


@dataclass(frozen=True)
class StoredGate:
    """A gate as it was read; `etag` is None where there is no row yet."""

    gate: Gate
    etag: str | None


class Gates(Protocol):
    def get(self, backend: str) -> StoredGate:
        """An open gate where there is none yet."""

    def save(self, stored: StoredGate, gate: Gate) -> StoredGate:
        """Raises Conflict when the row has changed since `stored` was read."""

    def all(self) -> list[Gate]: ...


@dataclass(frozen=True)
class StoredEstimate:
    """An estimate as it was read; `etag` is None where there is no row yet."""

    estimate: Estimate
    etag: str | None


class Estimates(Protocol):
    """How long jobs of each kind took."""

    def get(self, kind: Kind) -> StoredEstimate:
        """One without durations where nothing is known yet."""

    def save(self, stored: StoredEstimate, estimate: Estimate) -> StoredEstimate:
        """Raises Conflict when the row has changed since `stored` was read."""

    def of_backend(self, backend: str, most: int) -> list[Estimate]:
        """Up to so many of those that there are."""


@dataclass(frozen=True)
class Hook:
    """Where webhooks go, as that which may be turned off."""

    owner: str | None  #: who named it; None: the app's settings
    url: str


class Hooks(Protocol):
    """Which hooks have been turned off by their receiver. Every call may be repeated."""

    def is_off(self, hook: Hook) -> bool: ...

    def turn_off(self, hook: Hook, job_id: str) -> None:
        """`job_id`: the job whose end the receiver did not want to know."""

    def turn_on(self, hook: Hook) -> None:
        """No error where it is on."""


# --- queues --------------------------------------------------------------------------------------


class Messages(Protocol):
    def send_poll(self, message: PollMessage, delay: timedelta) -> None: ...

    def send_fetch(self, message: FetchMessage, delay: timedelta) -> None: ...

    def send_notify(self, message: NotifyMessage, delay: timedelta) -> None: ...

    def ping(self) -> None:
        """Raises StorageUnavailable where it can't be used."""


# --- blobs ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class VideoPlace:
    """Where one output of a job lies: `{owner}/{job_id}/{index}.mp4`."""

    owner: str
    job_id: str
    index: int


@dataclass(frozen=True)
class BlobFacts:
    """What a committed video blob says of itself."""

    length: int  #: bytes
    metadata: dict[str, str]


@dataclass(frozen=True)
class SignedUrl:
    """A read-only URL and when it ends. The URL is a secret: it may stand in an answer, nowhere else."""

    url: str
    expires_at: datetime


class Blobs(Protocol):
    def put_video(
        self, place: VideoPlace, chunks: Iterator[bytes], metadata: Callable[[], Mapping[str, str]]
    ) -> bool:
        """Stage the chunks and commit them under `metadata()`, unless there is a blob already: then False.

        Nothing is committed when `chunks` raises, and `metadata` is asked after the last chunk.
        """

    def find_video(self, place: VideoPlace) -> BlobFacts | None: ...

    def put_thumbnail(self, place: VideoPlace, ending: str, content_type: str, content: bytes) -> None: ...

    def put_summary(self, owner: str, job_id: str, content: bytes) -> None:
        """Write `job.json` beside the videos."""

    def put_input(self, owner: str, job_id: str, image: InputImage, content: bytes) -> None: ...

    def get_input(self, owner: str, job_id: str) -> bytes:
        """Raises InputMissing."""

    def delete_input(self, owner: str, job_id: str) -> None:
        """No error where there is none."""

    def delete_job(self, owner: str, job_id: str) -> None:
        """All that lies there of a job: videos, stills, summary, input image. May be repeated."""

    def sign_video(self, place: VideoPlace) -> SignedUrl: ...

    def sign_download(self, place: VideoPlace) -> SignedUrl:
        """The video again; a browser saves what lies at this URL, and shows what lies at the other one."""

    def sign_thumbnail(self, place: VideoPlace, ending: str) -> SignedUrl: ...

    def ping(self) -> None:
        """Raises StorageUnavailable where it can't be used."""


# --- receivers of webhooks -----------------------------------------------------------------------


class WebhookSender(Protocol):
    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """One POST, to an address that is checked now; gives the HTTP status of a success.

        Raises Undelivered for everything else.
        """


# --- the video API -------------------------------------------------------------------------------


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
