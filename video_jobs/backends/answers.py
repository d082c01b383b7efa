"""Reads the answers of video APIs leniently: fields may be missing, types vary, errors have many shapes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from video_jobs.backends.redaction import NOTHING_SECRET, REMOVED, Redactor
from video_jobs.domain.backend_job import BackendState
from video_jobs.net.told import LONGEST_HEADER, header_date, wait_hint

_LONGEST_TEXT = 2000
# Patterns run over this much, and the result is cut again: a secret that crosses the first cut is still seen whole.
_LONGEST_CLEANED = 2 * _LONGEST_TEXT
_LONGEST_PROMPT = 32_500  # UTF-16 units: more than any that we send, less than a table property holds
# Our own key has been removed by its value before this. This pattern removes other text that looks like a secret: a long
# word with a digit after a word like "token", and OpenAI's keys anywhere. Every repeat has a bound, so that no text makes
# it slow.
_SECRET = re.compile(
    r"(?i)(?:(?:(?<![a-z])[a-z]{1,20}[-_ ]?)?key|token|secret|password|sig|signature|authorization|bearer|basic)\b"
    r"[\s\"'\\:=]{0,8}(?:(?:provided|bearer|basic)\b[\s\"'\\:=]{0,8}){0,3}"
    r"(?=[^\s\"'&,;]{0,500}\d)[A-Za-z0-9+/=_.~%*-]{8,4000}"
    r"|\bsk-[A-Za-z0-9_-]{8,4000}"
)
_WORDS = ("message", "detail", "msg", "error_message", "errmsg")
_REASONS = ("fail_reason", "failure_reason", "failureReason", "reason", "status_message", *_WORDS)
# Of HTML, or of storage's XML.
_TITLE = re.compile(r"<(?:title|message)[^>]{0,200}>([^<]{1,200})", re.IGNORECASE)

_STATUS_NAMES = ("task_status", "taskStatus", "job_status", "status", "state")  # the plainest first
_ABOUT_WHAT = frozenset(("task", "job", "video", "generation", "status", "state"))  # TASK_STATUS_FAILED

_STATES = {
    BackendState.QUEUED: (
        "queued",
        "pending",
        "waiting",
        "in queue",
        "not start",
        "not started",
        "submitted",
        "created",
        "accepted",
        "scheduled",
        "preprocessing",
        "starting",
        "throttled",
        *(
            "queueing",
            "queuing",
            "enqueued",
            "preparing",
            "initializing",
            "staged",
            "validating",
            "not ready",
        ),
        *("deferred", "delayed", "retry", "retrying"),
    ),
    BackendState.RUNNING: (
        "running",
        "in progress",
        "inprogress",
        "processing",
        "generating",
        "rendering",
        "started",
        *("active", "executing", "progress", "dreaming"),
        *("encoding", "upscaling", "post processing", "postprocessing", "finalizing", "uploading"),
    ),
    BackendState.SUCCEEDED: (
        "succeeded",
        "succeed",
        "success",
        "successful",
        "completed",
        "complete",
        "done",
        "finished",
        "finish",
        "ready",
    ),
    BackendState.FAILED: (
        "failed",
        "fail",
        "failure",
        "error",
        "errored",
        "rejected",
        "refused",
        "timed out",
        "timeout",
        "blocked",
        *("moderated", "content moderated", "request moderated", "moderation blocked", "content filtered"),
        *("exception", "crashed", "interrupted"),
    ),
    BackendState.CANCELLED: (
        *("cancelled", "canceled", "cancel", "aborted", "stopped", "terminated"),
        *("revoked", "user cancelled", "user canceled"),
    ),
    BackendState.EXPIRED: ("expired", "deleted"),
}
_STATE_OF = {word: state for state, words in _STATES.items() for word in words}


class BackendMessage(NamedTuple):
    """An error's code and message; None if missing."""

    code: str | None = None
    text: str | None = None

    @property
    def in_words(self) -> str:
        """The text that follows 'it answered 400'."""
        known = [part for part in (self.code, self.text) if part]
        return f" ({': '.join(known)})" if known else ""


class ToldHeaders(NamedTuple):
    """Values of an answer's headers; None if missing."""

    request_id: str | None = None  #: the server's support asks for it
    wait: float | None = None  #: seconds that it wants us to wait
    date: datetime | None = None  #: its clock

    @classmethod
    def read(cls, headers: Mapping[str, str], redactor: Redactor = NOTHING_SECRET) -> ToldHeaders:
        return cls(request_id(headers, redactor), wait_hint(headers), header_date(headers))


def state_of(word: str | None) -> BackendState:
    """What a status word means, in any case, with any separator, and with a prefix that says whose state it is; UNKNOWN
    for one that we don't know."""
    apart = re.sub(r"([a-z])([A-Z])", r"\1 \2", word or "")
    words = re.split(r"[\W_]+", apart.lower())
    plain = " ".join(each for each in words if each and each not in _ABOUT_WHAT)
    return _STATE_OF.get(plain, BackendState.UNKNOWN)


def status_in(body: Mapping[str, Any]) -> str | None:
    """The word for a job's state, under whatever name it stands, or within an object of that name. Of several, the first that
    we know: another may be about the call, like `"status": 200`."""
    told = [body.get(name) for name in _STATUS_NAMES]
    inner = [each.get(name) for each in told if isinstance(each, Mapping) for name in _STATUS_NAMES]
    words = list(filter(None, map(text, (*told, *inner))))
    known = (word for word in words if state_of(word) is not BackendState.UNKNOWN)
    return next(known, words[0] if words else None)


def state_in(body: Mapping[str, Any]) -> BackendState:
    return state_of(status_in(body))


def names_a_state(body: Mapping[str, Any]) -> bool:
    return any(name in body for name in _STATUS_NAMES)


def json_in(body: bytes) -> Any:
    """The JSON, also where some text in it is not UTF-8, as after a cut within a letter. Raises ValueError and RecursionError."""
    try:
        return json.loads(body)
    except UnicodeDecodeError:
        return json.loads(body.decode("utf-8", "replace"))


def error_message(body: bytes, redactor: Redactor = NOTHING_SECRET) -> BackendMessage:
    """Reads the flat, wrapped, gateway and FastAPI shapes, HTML and nothing at all; never raises."""
    try:
        parsed = json_in(body)
    except (ValueError, RecursionError):
        return _plain(body, redactor)
    return message_in(redactor.data(parsed))


def message_in(parsed: Any) -> BackendMessage:
    """The same for a body that is parsed and cleaned."""
    if not isinstance(parsed, dict):
        return BackendMessage(text=_clean(parsed))
    error = parsed.get("error") or _first(parsed.get("errors")) or parsed
    if not isinstance(error, dict):
        return BackendMessage(text=_clean(error))
    if isinstance(error.get("error"), dict):  # a server's own envelope around another server's error
        error = error["error"]
    inner = error.get("inner_error") or error.get("innererror")
    code = _clean(inner.get("code") if isinstance(inner, dict) else None) or _clean(error.get("code"))
    kind = _clean(error.get("type"))
    if code is None or (code.isdecimal() and kind is not None):
        code = kind  # a number repeats the status, or is a gateway's own
    said = (each.get(name) for each in (error, parsed) for name in _WORDS)
    return BackendMessage(code=code, text=_clean(next((words for words in said if words), None)))


def error_in(body: Mapping[str, Any]) -> BackendMessage:
    """The error in an answer about a job."""
    return message_in({name: body.get(name) for name in ("error", "errors")})


def reason_in(body: Mapping[str, Any]) -> BackendMessage:
    """Why a job failed: its error, or the text under another name."""
    told = error_in(body)
    if told.code or told.text:
        return told
    return BackendMessage(text=_clean(next((body[name] for name in _REASONS if body.get(name)), None)))


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else None


def _plain(body: bytes, redactor: Redactor = NOTHING_SECRET) -> BackendMessage:
    text = redactor.text(body.decode("utf-8", "replace")).lstrip()[:_LONGEST_CLEANED]
    if "<html" in text.lower() or text.startswith("<"):
        title = _TITLE.search(text)
        kind = "XML" if text.startswith("<?xml") and "<html" not in text.lower() else "an HTML page"
        text = f"{kind}: {title[1].strip()}" if title else kind
    return BackendMessage(text=_clean(text))


def _clean(value: Any) -> str | None:
    """Make a text printable and short, and remove what looks like a secret: it goes into rows, logs and answers."""
    if value is None or value == "":
        return None
    text = value if isinstance(value, str) else _as_json(value)
    text = _SECRET.sub(REMOVED, text.lstrip()[:_LONGEST_CLEANED])
    text = "".join(c if c.isprintable() else " " for c in text)
    return text.encode("utf-8", "replace").decode("utf-8").strip()[:_LONGEST_TEXT] or None


def _as_json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except RecursionError:
        return "something that is nested too deeply to be shown"


def request_id(headers: Mapping[str, str], redactor: Redactor = NOTHING_SECRET) -> str | None:
    """What the backend's support asks for."""
    for name in ("apim-request-id", "x-request-id", "x-ms-request-id"):
        if value := headers.get(name):
            return _clean(redactor.text(value[:LONGEST_HEADER])[:100])
    return None


def text(value: Any) -> str | None:
    """A clean string from a string or a number; else None."""
    return None if value is None or isinstance(value, bool) else _clean(value)


def words(value: Any) -> str | None:
    """A prompt, unchanged, to compare it with ours. Only text that a row could not hold is changed or cut off."""
    if not isinstance(value, str) or not value:
        return None
    said: str = value[:_LONGEST_PROMPT]
    return said.encode("utf-16-le", "replace")[: 2 * _LONGEST_PROMPT].decode("utf-16-le", "ignore")


def identifier(value: Any) -> str | None:
    """An opaque id: any string that fits into a URL and a row; else None."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < 10**40 else None
    is_step = value in (".", "..")  # which a URL's path takes for itself
    if (
        isinstance(value, str)
        and 0 < len(value) <= 1000
        and value.isprintable()
        and not is_step
        and REMOVED not in value
    ):
        return value
    return None
