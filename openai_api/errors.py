"""Errors as OpenAI's clients expect them: `{"error": {"message", "type", "param", "code"}}`."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from http import HTTPStatus

import azure.functions as func
from typing_extensions import TypedDict

from http_edge.answers import json_answer
from http_edge.operations import RETRY_AFTER, Answer, Header
from http_edge.problems import STATUSES, Handler, unsniffed
from video_jobs.domain.errors import (
    IdempotencyKeyReused,
    InvalidRequest,
    InvalidSettings,
    JobNotFound,
    ReelkeepError,
    StorageUnavailable,
    TooManyFetched,
    TooManyJobs,
    UnreadableRow,
)
from video_jobs.domain.logs import log_event, log_unexpected

log = logging.getLogger("reelkeep.openai_api")

_BAD_REQUEST = "invalid_request_error"
_SERVER = "server_error"

# OpenAI's package repeats 409 and 429 by itself. A repeated 409 stays a 409. After a 429 no job was made, but a repeat
# would find the video that the same body made earlier.
_NO_RETRY = {"x-should-retry": "false"}


class OpenAIError(TypedDict):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(TypedDict):
    """What went wrong, as OpenAI's clients expect it."""

    error: OpenAIError


_NOT_AGAIN = Header("x-should-retry", "false: OpenAI's package does not repeat the request.")
_HEADERS = {
    401: [Header("WWW-Authenticate", "Bearer.")],
    409: [_NOT_AGAIN],
    429: [RETRY_AFTER, _NOT_AGAIN],
    503: [RETRY_AFTER],
}


def error_answers(*statuses: int) -> dict[int, Answer]:
    """For the contract: these statuses, and those that every call of this API may answer."""
    return {
        status: Answer(HTTPStatus(status).phrase, ErrorBody, headers=_HEADERS.get(status, []))
        for status in (*statuses, 401, 500, 503)
    }


class OpenAiError(ReelkeepError):
    """An error of this API alone."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param
        self.headers = headers


def answers_openai(handler: Handler) -> Handler:
    """Answer every error in OpenAI's shape. An unexpected error is logged with its traceback; the answer does not show it."""

    # The host passes the request as a keyword argument, named like its binding.
    @functools.wraps(handler)
    def answering(req: func.HttpRequest) -> func.HttpResponse:
        try:
            return unsniffed(handler(req))
        except Exception as error:  # noqa: BLE001 - only the host comes after this
            return unsniffed(_translate(error))

    return answering


def error_answer(
    status: int,
    code: str | None,
    message: str,
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> func.HttpResponse:
    kind = _SERVER if status >= 500 else _BAD_REQUEST
    body: ErrorBody = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    return json_answer(body, status, headers)


def _translate(error: Exception) -> func.HttpResponse:
    match error:
        case OpenAiError():
            return error_answer(error.status, error.code, str(error), error.param, error.headers)
        case InvalidRequest():
            status = STATUSES.get(type(error), 400)
            return error_answer(status, error.code, str(error), error.problems[0].field)
        case JobNotFound():
            return error_answer(404, "not_found", f"Video with id '{error.job_id}' not found.", "video_id")
        case IdempotencyKeyReused():
            return error_answer(
                409, "idempotency_key_reused", str(error), "Idempotency-Key", headers=_NO_RETRY
            )
        case TooManyJobs():
            headers = {"Retry-After": str(error.retry_after or 30), **_NO_RETRY}
            return error_answer(429, "rate_limit_exceeded", str(error), headers=headers)
        case InvalidSettings():  # the caller has shown no key yet, so the answer does not name the settings
            log_event(log, logging.ERROR, "http.settings_unusable", problem=error)
            return error_answer(
                503, "misconfigured", "The app's settings need mending; /api/health says which."
            )
        case TooManyFetched():
            return error_answer(503, "busy", str(error), headers={"Retry-After": "10"})
        case StorageUnavailable():
            log_event(log, logging.ERROR, "http.storage_unavailable", problem=error)
            message = "The storage can't be reached right now; try again in a moment."
            return error_answer(503, "storage_unavailable", message, headers={"Retry-After": "10"})
        case UnreadableRow():
            log_event(log, logging.ERROR, "http.row_unreadable", problem=error)
            return error_answer(500, "unreadable_row", str(error), headers=_NO_RETRY)
        case _:
            log_unexpected(log, "http.unexpected_error")
            message = "An unexpected error; the app's log has the details."
            return error_answer(500, "internal_error", message)
