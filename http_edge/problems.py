"""Translates the app's errors into RFC 9457 problem details with a stable `code`."""

from __future__ import annotations

import functools
import inspect
import json
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, overload

import azure.functions as func

from video_jobs.domain.errors import (
    BackendError,
    BackendJobNotFound,
    BackendNotFound,
    IdempotencyKeyReused,
    InvalidRequest,
    InvalidSettings,
    JobNotFound,
    LengthRequired,
    NothingToSend,
    NotRetriable,
    ReelkeepError,
    RequestTooLarge,
    StorageUnavailable,
    TooManyFetched,
    TooManyJobs,
    UnreadableRow,
    UnsupportedContentType,
)
from video_jobs.domain.logs import log_event, log_unexpected

log = logging.getLogger("reelkeep.http")

JSON = "application/json"
_PROBLEM = "application/problem+json"

STATUSES: dict[type[InvalidRequest], int] = {
    LengthRequired: 411,
    RequestTooLarge: 413,
    UnsupportedContentType: 415,
}
"""The statuses of some kinds of InvalidRequest; all others are 400."""

_TITLES = {
    400: "The request is not valid",
    404: "Not found",
    409: "The request conflicts with an earlier request or with the job's state",
    411: "The request needs a Content-Length",
    413: "The request is too large",
    415: "The request's content type is not supported",
    422: "The video API refused the job",
    429: "Too many jobs at once",
    500: "Something went wrong here",
    503: "Not available right now",
}

Handler = Callable[[func.HttpRequest], func.HttpResponse]
AsyncHandler = Callable[[func.HttpRequest], Coroutine[Any, Any, func.HttpResponse]]


class HttpProblem(ReelkeepError):
    """An error about HTTP itself, or about what a path names."""

    def __init__(self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.headers = headers


def problem(
    status: int, code: str, detail: str, headers: Mapping[str, str] | None = None, **members: Any
) -> func.HttpResponse:
    body = {"type": "about:blank", "title": _TITLES[status], "status": status, "code": code, "detail": detail}
    return func.HttpResponse(
        dump({**body, **members}),
        status_code=status,
        mimetype=_PROBLEM,
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


@overload
def answers_problems(handler: Handler) -> Handler: ...
@overload
def answers_problems(handler: AsyncHandler) -> AsyncHandler: ...
def answers_problems(handler: Handler | AsyncHandler) -> Handler | AsyncHandler:
    """Answer every error as a problem. An unexpected error is logged with its traceback; the answer does not show it."""

    # The host passes the request as a keyword argument, named like its binding.
    if inspect.iscoroutinefunction(handler):

        @functools.wraps(handler)
        async def answering_later(req: func.HttpRequest) -> func.HttpResponse:
            try:
                return unsniffed(await handler(req))
            except Exception as error:  # noqa: BLE001 - only the host comes after this
                return unsniffed(_translate(error))

        return answering_later

    sync: Handler = handler  # type: ignore[assignment]

    @functools.wraps(sync)
    def answering(req: func.HttpRequest) -> func.HttpResponse:
        try:
            return unsniffed(sync(req))
        except Exception as error:  # noqa: BLE001 - only the host comes after this
            return unsniffed(_translate(error))

    return answering


def unsniffed(answer: func.HttpResponse) -> func.HttpResponse:
    """Add the header that stops a browser from guessing another content type."""
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer


def dump(body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def _translate(error: Exception) -> func.HttpResponse:
    match error:
        case HttpProblem():
            return problem(error.status, error.code, str(error), error.headers)
        case InvalidRequest():
            fields = [{"field": p.field, "message": p.message} for p in error.problems]
            status = STATUSES.get(type(error), 400)
            return problem(status, error.code, str(error), errors=fields)
        case TooManyJobs():
            return problem(429, "too_many_jobs", str(error), {"Retry-After": str(error.retry_after or 30)})
        case JobNotFound():
            return problem(404, "job_not_found", str(error))
        case BackendJobNotFound():
            return problem(404, "backend_job_not_found", str(error))
        case BackendNotFound():
            return problem(404, "backend_not_found", str(error))
        case NothingToSend():
            return problem(409, "nothing_to_send", str(error))
        case NotRetriable():
            return problem(409, "not_retriable", str(error))
        case TooManyFetched():
            return problem(503, "busy", str(error), {"Retry-After": "10"})
        case BackendError():
            log_event(log, logging.WARNING, "http.backend_unavailable", problem=error)
            return problem(503, "backend_unavailable", str(error), {"Retry-After": "10"})
        case IdempotencyKeyReused():
            return problem(409, "idempotency_key_reused", str(error))
        case InvalidSettings():
            log_event(log, logging.ERROR, "http.settings_unusable", problem=error)
            return problem(503, "misconfigured", "The app's settings need mending.", reasons=error.problems)
        case StorageUnavailable():
            log_event(log, logging.ERROR, "http.storage_unavailable", problem=error)
            return problem(503, "storage_unavailable", str(error), {"Retry-After": "10"})
        case UnreadableRow():
            log_event(log, logging.ERROR, "http.row_unreadable", problem=error)
            return problem(500, "unreadable_row", str(error))
        case _:
            log_unexpected(log, "http.unexpected_error")
            return problem(500, "internal_error", "An unexpected error; the app's log has the details.")
