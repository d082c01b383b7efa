"""The video API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import BinaryIO, Literal, NamedTuple, Protocol

from video_jobs.domain.backend_job import BackendJob
from video_jobs.domain.capabilities import Limits
from video_jobs.domain.gate import GateLimits
from video_jobs.domain.job import BackendRef, VideoRequest

Image = bytes | BinaryIO
"""An input image; a file is read from its beginning."""


class ListedJobs(NamedTuple):
    """One page of a backend's list."""

    jobs: tuple[BackendJob, ...]
    #: Names the next page: the id after which it begins, or a cursor. None: the list ends here.
    next_after: str | None
    says_more: bool = False  #: True: the server says that there is another page; False: there may be one
    is_full: bool = False  #: it has as many entries as the request allowed
    passed_over: int = 0  #: entries that can't be read as jobs
    told_at: datetime | None = None  #: the backend's own clock at this answer


class ContentStream(Protocol):
    """Bytes on their way from a backend."""

    @property
    def content_type(self) -> str:
        """Lower case, without parameters; empty if the answer has none."""

    @property
    def length(self) -> int | None:
        """As announced, in bytes."""

    @property
    def has_marked_end(self) -> bool:
        """Whether the transfer shows that a body was cut off."""

    def chunks(self, size: int) -> Iterator[bytes]:
        """Pieces of `size` bytes, the last one shorter. Raises Unavailable if the body is cut off or the time is
        over, and VideoTooLarge."""

    def quotation(self, beginning: bytes) -> str:
        """A description, for use in a sentence, of a body that is not a video."""


class Backend(Protocol):
    """One dialect at one address. Every method raises from the BackendError family and nothing else."""

    def create(self, request: VideoRequest, images: Mapping[int, Image], deadline: float) -> BackendJob:
        """The paid call, made once. `images`: by the numbers that `VideoRequest.images` has.

        Raises NotSent, Busy, Rejected, PaymentRequired, Unauthorised, NotFound or Gone: nothing was created.
        UnknownOutcome: it may have been. `deadline` is in seconds, for the whole call.
        """

    def get(self, backend_job_id: str) -> BackendJob: ...

    def list_jobs(self, after: str | None) -> ListedJobs:
        """A page of the backend's own list, usually newest first. NotFound if it has no list."""

    def recent(self) -> Iterator[BackendJob]:
        """All that the list holds, in its order, page by page."""

    def delete(self, backend_job_id: str) -> None:
        """Stop the job if it runs, and delete it and its bytes: no dialect has another way to stop a job.

        Raises NotFound if the job is gone, Rejected if the backend refuses.
        """

    def job_of(self, generation_id: str) -> str:
        """The id of the job that made this generation. Raises NotFound."""

    def unnamed_outputs(self, backend_job_id: str) -> tuple[str, ...]:
        """The ids under which bytes may be requested of a job that has never named an output."""

    def open_video(
        self, backend_job_id: str, generation_id: str, deadline: float, attempt: int = 0
    ) -> AbstractContextManager[ContentStream]:
        """`deadline` is in seconds, for the whole download. `attempt`: how many downloads have failed before, so that
        several addresses are tried in turn."""

    def open_thumbnail(
        self, backend_job_id: str, generation_id: str, deadline: float
    ) -> AbstractContextManager[ContentStream]: ...


class Backends(Protocol):
    """The configured backends by name."""

    def choose(self, name: str | None, model: str | None = None) -> tuple[BackendRef, Limits]:
        """The named backend, or the default one, with the named model, or the backend's own. If only a model is
        named: the first backend that has it. Raises InvalidRequest for an unknown name, and lists the known ones."""

    def default_ref(self, name: str | None, model: str | None = None) -> BackendRef:
        """The backend with its own model, or with this one; no provider is called. Raises InvalidRequest for an
        unknown backend."""

    def models(self, name: str) -> tuple[str, ...]:
        """The models of a backend that a request may name, its own first."""

    def client(self, ref: BackendRef) -> Backend:
        """Speaks to the address that is frozen in the job. Raises NotSent when the settings no longer name the backend."""

    def current(self, ref: BackendRef, model: str | None = None) -> BackendRef:
        """The backend of that name as the settings have it now, for a job that was never submitted; with the
        requested `model`, if there is one."""

    def names(self) -> list[str]: ...

    def gate_limits(self, name: str) -> GateLimits: ...

    def signs_in_with(self, ref: BackendRef) -> Literal["key", "identity", "nothing"]: ...

    def retention(self, ref: BackendRef) -> timedelta:
        """How long the backend keeps a job if its answers don't say it."""
