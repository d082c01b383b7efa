"""Describes an HTTP function beside its handler. The contract is built from these descriptions (`contract_api/openapi.py`).

    @blueprint.function_name("cancel_job")
    @blueprint.route("jobs/{id}/cancel", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
    @Operation(
        "Stop a job",
        tag="Jobs",
        parameters=[JOB_ID],
        answers={202: Answer("The job", JobWithHistory, headers=[LOCATION, RETRY_AFTER])},
        problems=JOB_PROBLEMS,
    )
    @answers_problems
    def cancel_job_function(req: func.HttpRequest) -> func.HttpResponse: ...

Path, methods and key come from the binding and are not repeated. A shape is any type that pydantic reads: the model
that validates a request, the TypedDict of an answer, or an Annotated type. Schemas are made at the first request for the
document, so that a cold start does not wait for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, TypeVar

from pydantic import Field, with_config
from typing_extensions import TypedDict

from video_jobs.domain.ids import JOB_ID_PATTERN
from video_jobs.views.job_schema import JobView

JSON = "application/json"
FORM = "multipart/form-data"
PROBLEM = "application/problem+json"

Shape = Any
"""A type that pydantic reads."""

Problems = Mapping[int, Sequence[str]]
"""For each HTTP status, the stable codes of its problems."""

Security = Literal["function_key", "master_key", "api_key", "anonymous"]
"""Which key a call needs. A binding gives the first two and the last; an API with its own keys sets it here."""

F = TypeVar("F", bound=Callable[..., Any])


class Header(NamedTuple):
    name: str
    description: str
    shape: Shape = str
    required: bool = True


class Parameter(NamedTuple):
    """`location`: path, query or header. A path parameter is always required."""

    name: str
    location: Literal["path", "query", "header"]
    description: str
    shape: Shape = str


class Body(NamedTuple):
    """A request's body in one media type. In a form, the fields in `files` are file parts, whatever the shape says."""

    shape: Shape
    media_type: str = JSON
    files: Sequence[str] = ()


class Answer(NamedTuple):
    """`shape` None: no body or, if `media_type` is set, bytes of that type."""

    description: str
    shape: Shape | None = None
    media_type: str | None = None  #: if it is not JSON
    headers: Sequence[Header] = ()


@dataclass(frozen=True)
class Operation:
    """Describes one HTTP function, except for what its binding says. Used as a decorator of the handler."""

    summary: str
    tag: str
    answers: Mapping[int, Answer]
    description: str = ""  #: Markdown
    parameters: Sequence[Parameter] = ()
    bodies: Sequence[Body] = ()
    problems: Problems = field(default_factory=dict)  #: besides `ALWAYS`
    retry_after_on: Sequence[int] = ()  #: statuses that may have Retry-After, besides 429 and 503
    security: Security | None = None  #: None: as in the binding
    answers_problems: bool = True  #: whether its errors are answered as problems, including those of `ALWAYS`
    listed: bool = True  #: False for a function that only answers 404

    def __call__(self, handler: F) -> F:
        handler.__operation__ = self  # type: ignore[attr-defined]
        return handler

    @staticmethod
    def of(handler: Callable[..., Any]) -> Operation | None:
        return getattr(handler, "__operation__", None)


# --- shared by many operations ---------------------------------------------------------------------

_documented = with_config(use_attribute_docstrings=True)


@_documented
class FieldProblemView(TypedDict):
    """One thing wrong with a request."""

    field: str
    message: str
    """How to mend it."""


@_documented
class Problem(TypedDict):
    """What went wrong: RFC 9457 problem details with a stable `code`."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: NotRequired[list[FieldProblemView]]
    """Each field that is wrong."""
    reasons: NotRequired[list[str]]
    """What the operator should mend."""
    backend_code: NotRequired[str | None]
    """The video API's own error code."""
    job: NotRequired[JobView]
    """The job that failed."""


JobId = Annotated[str, Field(pattern=f"^{JOB_ID_PATTERN}$")]

JOB_ID = Parameter("id", "path", "A job's id.", JobId)

LOCATION = Header(
    "Location", "The job's path.", Annotated[str, Field(json_schema_extra={"format": "uri-reference"})]
)
RETRY_AFTER = Header(
    "Retry-After",
    "Seconds until something may have changed. Absent if nothing will change again.",
    Annotated[int, Field(ge=1)],
    required=False,
)

ETAG = Header("ETag", "Changes when the answer does.")
IF_NONE_MATCH = Parameter("If-None-Match", "header", "ETags of answers that you have, or `*`.")

JOB_PROBLEMS: Problems = {400: ["invalid_job_id", "invalid_sign_in"], 404: ["job_not_found"]}
"""The problems of every operation with a job's id in its path."""

ALWAYS: Problems = {500: ["internal_error", "unreadable_row"], 503: ["misconfigured", "storage_unavailable"]}
"""The problems that every operation may answer."""
