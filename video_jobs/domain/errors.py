"""All errors of the app. Adapters raise them; the HTTP functions turn them into answers.

No message here may carry a key, a token or a signed URL.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Self


class ReelkeepError(Exception):
    """Everything that this app raises on purpose."""


# --- what a client did ---------------------------------------------------------------------------


class FieldProblem(NamedTuple):
    """One thing wrong with a request: which field, and how to mend it."""

    field: str
    message: str


class InvalidRequest(ReelkeepError):
    """The request is refused; nothing was stored."""

    def __init__(self, problems: list[FieldProblem], code: str = "invalid_request") -> None:
        super().__init__("; ".join(f"{problem.field}: {problem.message}" for problem in problems))
        self.problems = problems
        self.code = code

    @classmethod
    def of(cls, field: str, message: str, code: str = "invalid_request") -> Self:
        return cls([FieldProblem(field, message)], code)

    def renamed(self, names: Mapping[str, str]) -> InvalidRequest:
        """The same problems, under the client's own names of the fields."""
        return InvalidRequest(
            [problem._replace(field=names.get(problem.field, problem.field)) for problem in self.problems],
            self.code,
        )


class RequestTooLarge(InvalidRequest):
    """The body has more bytes than the app accepts."""


class LengthRequired(InvalidRequest):
    """A body without a length, which the host does not pass on."""


class UnsupportedContentType(InvalidRequest):
    """The body is neither JSON nor a form."""


class NotFetched(ReelkeepError):
    """A file at a client's address could not be fetched. The message follows "could not be fetched:"."""


class TooManyFetched(ReelkeepError):
    """So many files at clients' addresses are being fetched that this one got no turn in time. It passes."""


class IdempotencyKeyReused(ReelkeepError):
    """An earlier request, which was different, had the same key."""


class TooManyJobs(ReelkeepError):
    """The owner has as many jobs as one may have. `retry_after` is in seconds; None: after one of them has ended."""

    def __init__(self, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class JobNotFound(ReelkeepError):
    """There is no such job, or it is somebody else's: a client must not be able to tell which."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"There is no job {job_id}.")
        self.job_id = job_id


class NotRetriable(ReelkeepError):
    """The job has not ended, or has its videos, or was retried already."""


class BackendJobNotFound(ReelkeepError):
    """The video API has no such job, or it is another owner's: a client must not be able to tell which."""

    def __init__(self, named: str) -> None:
        super().__init__(
            f"The video API has no job or generation {named} that can be imported. Ids belong to one resource, "
            f"fal finds them only under the model that made them, and jobs are deleted after a while."
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
    """The row was changed since it was read: reload it and decide again."""


class TransitionRefused(ReelkeepError):
    """The job has moved on, so the change does not apply to it any more."""


class NothingToSend(TransitionRefused):
    """The job has no webhook, or has not ended."""


class StorageUnavailable(ReelkeepError):
    """Azure Storage can't be reached or refuses the request. May pass."""


class StorageNotSetUp(StorageUnavailable):
    """A table of the app is missing: the app has never started with this storage account, or somebody deleted the table."""


class UnreadableRow(ReelkeepError):
    """Somebody else wrote or broke this row of the app's tables. The message names the row, and none of its values."""


class NewerVersion(StorageUnavailable, UnreadableRow):
    """A newer version of the app wrote this row or message, so this version must leave it alone. Passes with the end of
    the deployment."""


class InputMissing(ReelkeepError):
    """The input image is gone; a client or a rule of the storage account has deleted it."""


class ForeignBlob(ReelkeepError):
    """A blob that the app did not write has the name of a video."""


# --- what a backend answered ---------------------------------------------------------------------


class BackendError(ReelkeepError):
    """The video API did not do what it was asked.

    Attributes: `status` its HTTP status, `code` and `detail` its own words, `request_id` the id for its
    support, `retry_after` the seconds to wait; each is None if the answer does not give it.
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
    """400, 413, 415, 422: it will never accept this request."""


class PaymentRequired(BackendError):
    """402: the account has no money, or no quota, left."""


class Unauthorised(BackendError):
    """401, 403: it refuses the app's key or identity."""


class NotFound(BackendError):
    """404: it does not know the job, the video, the deployment, or the path."""


class Gone(BackendError):
    """410: the model is retired, or the video deleted."""


class Busy(BackendError):
    """429: it wants the request later."""


class Unavailable(BackendError):
    """Any 5xx, a timeout, a cut connection, an answer that can't be read. May pass."""


class NotSent(Unavailable):
    """There is proof that nothing reached the backend: there was no connection (DNS, refused, TLS), or the app
    did not begin the call."""


class UnknownOutcome(BackendError):
    """The paid call was sent, and no answer shows its outcome. It must never be repeated."""


class NotAVideo(BackendError):
    """The answer is a success, but its body is text, HTML, JSON, a picture or empty."""

    sha256: str | None = None  #: of the beginning of what is plainly a picture


class VideoTooLarge(BackendError):
    """The video has more bytes than VIDEO_MAX_BYTES allows."""


# --- what a receiver of webhooks answered --------------------------------------------------------


class Undelivered(ReelkeepError):
    """A webhook was not delivered. The message is in the app's words and names neither host nor path.

    Attributes: `status` the receiver's HTTP status, None without an answer; `retry_after` the seconds
    to wait, None if the answer does not give it.
    """

    def __init__(self, message: str, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class ReceiverBusy(Undelivered):
    """Nothing was sent: the app is busy with other deliveries to the receiver. This is not a failed try."""
