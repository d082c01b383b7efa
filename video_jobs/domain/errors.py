"""The one error vocabulary. Adapters translate into it, the HTTP edge translates out of it.

No message here may carry a key, a token or a signed URL.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self


class ReelkeepError(Exception):
    """Everything that this app raises on purpose."""


# --- what a client did ---------------------------------------------------------------------------


@dataclass(frozen=True)
class FieldProblem:
    """One thing wrong with a request: which field, and how to mend it."""

    field: str
    message: str


class InvalidRequest(ReelkeepError):
    """The request can't be taken; nothing was written."""

    def __init__(self, problems: list[FieldProblem], code: str = "invalid_request") -> None:
        super().__init__("; ".join(f"{problem.field}: {problem.message}" for problem in problems))
        self.problems = problems
        self.code = code

    @classmethod
    def of(cls, field: str, message: str, code: str = "invalid_request") -> Self:
        return cls([FieldProblem(field, message)], code)


class RequestTooLarge(InvalidRequest):
    """More bytes than are taken."""


class LengthRequired(InvalidRequest):
    """A body without a length, which does not arrive."""


class UnsupportedContentType(InvalidRequest):
    """Neither JSON nor a form."""


class NotFetched(ReelkeepError):
    """A file at an address that a client names could not be had. The message stands behind "could not be fetched:"."""


class IdempotencyKeyReused(ReelkeepError):
    """The key came before with another request."""


class TooManyJobs(ReelkeepError):
    """The owner has as many jobs as one may have. `retry_after` is in seconds; None: when one of them has ended."""

    def __init__(self, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class JobNotFound(ReelkeepError):
    """There is no such job, or it is somebody else's: a client must not be able to tell which."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"There is no job {job_id}.")
        self.job_id = job_id


class NotRetriable(ReelkeepError):
    """The job has not ended, or has its videos, or was tried again already."""


class BackendJobNotFound(ReelkeepError):
    """The video API has no such job, or it is another owner's: a client must not be able to tell which."""

    def __init__(self, named: str) -> None:
        super().__init__(
            f"The video API has no job or generation {named} that can be imported. Ids belong to one resource, and "
            f"it deletes jobs after a while."
        )


class BackendNotFound(ReelkeepError):
    """There is no backend of this name in the settings."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no backend '{name}' in the settings.")


class MalformedMessage(ReelkeepError):
    """A queue message that does not follow its schema; it ends in the poison queue."""


# --- settings and storage ------------------------------------------------------------------------


class InvalidSettings(ReelkeepError):
    """The app's settings don't allow it to work; every problem says which setting and how to mend it."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(" ".join(problems))
        self.problems = problems


class Conflict(ReelkeepError):
    """Somebody else has changed the row since it was read: reload and decide anew."""


class TransitionRefused(ReelkeepError):
    """The job has moved on; what was to be done no longer applies to it."""


class NothingToSend(TransitionRefused):
    """The job has no webhook, or has not ended."""


class StorageUnavailable(ReelkeepError):
    """Azure Storage can't be reached or refuses us. May pass."""


class NewerVersion(StorageUnavailable, ValueError):
    """A newer version of the app wrote this row or message, and this one must leave it alone. It passes when the deployment
    is through."""


class InputMissing(ReelkeepError):
    """The input image is not where it was put; a client or a rule of the storage account has deleted it."""


class ForeignBlob(ReelkeepError):
    """Something that we did not write lies where a video belongs."""


# --- what a backend answered ---------------------------------------------------------------------


class BackendError(ReelkeepError):
    """The video API did not do what it was asked.

    Attributes: `status` its HTTP status, `code` and `detail` its own words, `request_id` what its support
    asks for, `retry_after` seconds that it wants us to wait; each None where it said nothing.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        detail: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.detail = detail
        self.request_id = request_id
        self.retry_after = retry_after


class Rejected(BackendError):
    """400, 413, 415, 422: it will never take this request."""


class PaymentRequired(BackendError):
    """402: the account has no money, or no quota, left."""


class Unauthorised(BackendError):
    """401, 403: it does not take our key or identity."""


class NotFound(BackendError):
    """404: it does not know the job, the video, the deployment, or the path."""


class Gone(BackendError):
    """410: the model is retired, or the video deleted."""


class Busy(BackendError):
    """429: later."""


class Unavailable(BackendError):
    """Any 5xx, a timeout, a cut connection, an answer that can't be read. May pass."""


class NotSent(Unavailable):
    """Nothing reached the backend, and there is proof: no connection came about (DNS, refused, TLS), or we
    did not get as far as calling it."""


class UnknownOutcome(BackendError):
    """The paid call was sent and no answer proves what became of it. Never to be repeated."""


class NotAVideo(BackendError):
    """The answer is a success, but its body is text, HTML, JSON or empty."""


class VideoTooLarge(BackendError):
    """The video has more bytes than VIDEO_MAX_BYTES allows."""


# --- what a receiver of webhooks answered --------------------------------------------------------


class Undelivered(ReelkeepError):
    """A webhook was not delivered. The message is in our words and names neither host nor path.

    Attributes: `status` the receiver's HTTP status, None where no answer came; `retry_after` seconds that it
    wants us to wait, None where it said nothing.
    """

    def __init__(self, message: str, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class ReceiverBusy(Undelivered):
    """Nothing was sent: others are being told, or waited for. It is no failed try."""
