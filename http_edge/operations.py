"""What an HTTP function says of itself, beside its handler: the contract is built from it (`contract.py`).

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

Path, methods and key come from the binding, so they are said once. A shape is whatever pydantic reads: the
model that validates a request, the TypedDict that an answer is made of, or an Annotated type. Schemas are made
when the document is first asked for: a cold start does not wait for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NotRequired, TypeVar

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
"""The stable codes of the problems that a status may come with."""

Security = Literal["function_key", "master_key", "api_key", "anonymous"]
"""Who is let in. The first two and the last follow from a binding; an API with keys of its own says so."""

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Header:
    name: str
    description: str
    shape: Shape = str
    required: bool = True


@dataclass(frozen=True)
class Parameter:
    """`location` is where it stands; what stands in the path is always required."""

    name: str
    location: Literal["path", "query", "header"]
    description: str
    shape: Shape = str


@dataclass(frozen=True)
class Body:
    """A request's body in one media type. In a form, `files` are file parts whatever the shape says of them."""

    shape: Shape
    media_type: str = JSON
    files: Sequence[str] = ()


@dataclass(frozen=True)
class Answer:
    """`shape` None: no body, or, where a media type is named, bytes of it."""

    description: str
    shape: Shape | None = None
    media_type: str | None = None  #: where it isn't JSON
    headers: Sequence[Header] = ()


@dataclass(frozen=True)
class Operation:
    """One HTTP function, but for what its binding says. As a decorator it marks the function's handler."""

    summary: str
    tag: str
    answers: Mapping[int, Answer]
    description: str = ""  #: Markdown
    parameters: Sequence[Parameter] = ()
    bodies: Sequence[Body] = ()
    problems: Problems = field(default_factory=dict)  #: besides `ALWAYS`
    retry_after_on: Sequence[int] = ()  #: problems that may bear Retry-After, besides 429 and 503
    security: Security | None = None  #: None: as the binding says
    answers_problems: bool = True  #: whether its errors leave as problems, and `ALWAYS` holds of it
    listed: bool = True  #: False for what only says that there is nothing

    def __call__(self, handler: F) -> F:
        handler.__operation__ = self  # type: ignore[attr-defined]
        return handler

    @staticmethod
    def of(handler: Callable[..., Any]) -> Operation | None:
        return getattr(handler, "__operation__", None)


# --- what many of them share ---------------------------------------------------------------------

_documented = with_config(use_attribute_docstrings=True)


@_documented
class FieldProblemView(TypedDict):
    """One thing wrong with a request."""

    field: str
    message: str
    """How to mend it."""


@_documented
class Problem(TypedDict):
    """What went wrong, as RFC 9457 has it, with a stable `code`."""

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
    """The video API's own word."""
    job: NotRequired[JobView]
    """The job that failed."""


JobId = Annotated[str, Field(pattern=f"^{JOB_ID_PATTERN}$")]

JOB_ID = Parameter("id", "path", "A job's id.", JobId)

LOCATION = Header(
    "Location", "Where the job is.", Annotated[str, Field(json_schema_extra={"format": "uri-reference"})]
)
RETRY_AFTER = Header(
    "Retry-After",
    "Seconds after which something can have changed; not there when nothing will change any more.",
    Annotated[int, Field(ge=1)],
    required=False,
)

ETAG = Header("ETag", "Changes when the answer does.")
IF_NONE_MATCH = Parameter("If-None-Match", "header", "ETags that you have already, or `*`.")

JOB_PROBLEMS: Problems = {400: ["invalid_job_id", "invalid_sign_in"], 404: ["job_not_found"]}
"""Of everything whose path names a job."""

ALWAYS: Problems = {500: ["internal_error"], 503: ["misconfigured", "storage_unavailable"]}
"""Of everything whose errors leave as problems."""
