"""Reading what video APIs answer, leniently: fields go missing, types vary, errors come in many shapes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from video_jobs.backends.redaction import NOTHING_SECRET, REMOVED, Redactor
from video_jobs.ports import BackendState

_LONGEST_TEXT = 2000
# Patterns run over this much, and the result is cut again: a secret that crosses the first cut is still seen whole.
_LONGEST_CLEANED = 2 * _LONGEST_TEXT
_LONGEST_HEADER = 200
_LONGEST_PROMPT = 32_500  # UTF-16 units: more than any that we send, less than a table property holds
_EARLIEST = datetime(2020, 1, 1, tzinfo=UTC).timestamp()  # before this there was no video API
_LATEST = 4e9
_MILLISECONDS = _EARLIEST * 1000  # what is larger counts these
# Our own key is taken out by its value, before this. This is for whatever else may look like one: a long
# word with a digit in it behind a word that announces a secret, and OpenAI's keys wherever they stand. Every repeat
# has a bound, so that no text makes it slow.
_SECRET = re.compile(
    r"(?i)(?:(?:(?<![a-z])[a-z]{1,20}[-_ ]?)?key|token|secret|password|sig|signature|authorization|bearer|basic)\b"
    r"[\s\"'\\:=]{0,8}(?:(?:provided|bearer|basic)\b[\s\"'\\:=]{0,8}){0,3}"
    r"(?=[^\s\"'&,;]{0,500}\d)[A-Za-z0-9+/=_.~%*-]{8,4000}"
    r"|\bsk-[A-Za-z0-9_-]{8,4000}"
)
_WORDS = ("message", "detail", "msg", "error_message", "errmsg")
_UNIT = re.compile(r" ?(?:s|sec|seconds?|px)$", re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]{0,200}>([^<]{1,200})", re.IGNORECASE)

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
    ),
    BackendState.RUNNING: (
        "running",
        "in progress",
        "inprogress",
        "processing",
        "generating",
        "rendering",
        "started",
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
    ),
    BackendState.CANCELLED: ("cancelled", "canceled", "cancel", "aborted", "stopped", "terminated"),
    BackendState.EXPIRED: ("expired", "deleted"),
}
_STATE_OF = {word: state for state, words in _STATES.items() for word in words}


@dataclass(frozen=True)
class BackendMessage:
    """An error's code and words, each None where there were none."""

    code: str | None = None
    text: str | None = None

    @property
    def in_words(self) -> str:
        """To stand behind 'it answered 400'."""
        known = [part for part in (self.code, self.text) if part]
        return f" ({': '.join(known)})" if known else ""


@dataclass(frozen=True)
class ToldHeaders:
    """What an answer's headers tell, each None where they don't."""

    request_id: str | None = None  #: what the server's support asks for
    wait: float | None = None  #: seconds that it wants us to wait
    date: datetime | None = None  #: its clock

    @classmethod
    def read(cls, headers: Mapping[str, str], redactor: Redactor = NOTHING_SECRET) -> ToldHeaders:
        return cls(request_id(headers, redactor), wait_hint(headers), header_date(headers))


def state_of(word: str | None) -> BackendState:
    """What a status word means, in any case and with any separator; UNKNOWN for one that we don't know."""
    apart = re.sub(r"([a-z])([A-Z])", r"\1 \2", word or "")
    plain = " ".join(re.split(r"[\s_-]+", apart.lower().strip()))
    return _STATE_OF.get(plain, BackendState.UNKNOWN)


def error_message(body: bytes, redactor: Redactor = NOTHING_SECRET) -> BackendMessage:
    """Reads the flat, wrapped, gateway and FastAPI shapes, HTML and nothing at all; never raises."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return _plain(body, redactor)
    return message_in(redactor.data(parsed))


def message_in(parsed: Any) -> BackendMessage:
    """The same of a body that is parsed and cleaned."""
    if not isinstance(parsed, dict):
        return BackendMessage(text=_clean(parsed))
    error = parsed.get("error") or _first(parsed.get("errors")) or parsed
    if not isinstance(error, dict):
        return BackendMessage(text=_clean(error))
    inner = error.get("inner_error") or error.get("innererror")
    code = _clean(inner.get("code") if isinstance(inner, dict) else None) or _clean(error.get("code"))
    kind = _clean(error.get("type"))
    if code is None or (code.isdecimal() and kind is not None):
        code = kind  # a number is the status once more, or some gateway's own
    said = (each.get(name) for each in (error, parsed) for name in _WORDS)
    return BackendMessage(code=code, text=_clean(next((words for words in said if words), None)))


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else None


def _plain(body: bytes, redactor: Redactor = NOTHING_SECRET) -> BackendMessage:
    text = redactor.text(body.decode("utf-8", "replace")).lstrip()[:_LONGEST_CLEANED]
    if "<html" in text.lower() or text.startswith("<"):
        title = _TITLE.search(text)
        text = f"an HTML page: {title[1].strip()}" if title else "an HTML page"
    return BackendMessage(text=_clean(text))


def _clean(value: Any) -> str | None:
    """Printable, short, and without what looks like a credential: it goes into rows, logs and answers."""
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
            return _clean(redactor.text(value[:_LONGEST_HEADER])[:100])
    return None


def header_date(headers: Mapping[str, str]) -> datetime | None:
    """The server's clock, as its `Date` tells it."""
    date = _date(headers.get("date", "")[:_LONGEST_HEADER])
    return date if date is not None and date.timestamp() >= _EARLIEST else None


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
        return date.astimezone(UTC) if date.tzinfo else None
    except (ValueError, TypeError, OverflowError):
        return None


def wait_hint(headers: Mapping[str, str]) -> float | None:
    """Seconds that the backend wants us to wait, never negative: the longest of what its headers say."""
    hints = [
        milliseconds / 1000
        for name in ("openai-poll-after-ms", "retry-after-ms")
        if (milliseconds := number(headers.get(name))) is not None
    ]
    text = headers.get("retry-after", "")[:_LONGEST_HEADER]
    seconds = number(text)
    if seconds is not None:
        hints.append(seconds)
    elif text and (until := _date(text)) is not None:
        hints.append((until - (header_date(headers) or datetime.now(UTC))).total_seconds())
    return max(0.0, *hints) if hints else None


def number(value: Any) -> float | None:
    """A finite number out of a number or a string, or None."""
    if isinstance(value, str):
        value = value[:_LONGEST_HEADER]
    try:
        result = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return result if abs(result) < 1e15 else None


def moment(value: Any) -> datetime | None:
    """A UTC datetime out of unix seconds or milliseconds or a time as ISO 8601 writes it, or None: zero, and what is
    long before any video API, mean 'not set'."""
    seconds = number(value)
    if seconds is None and isinstance(value, str):
        seconds = _iso_seconds(value)
    if seconds is not None and seconds >= _MILLISECONDS:
        seconds /= 1000
    if seconds is None or not _EARLIEST <= seconds < _LATEST:
        return None
    return datetime.fromtimestamp(seconds, UTC)


def _iso_seconds(text: str) -> float | None:
    """A time without an offset is UTC's."""
    try:
        told = datetime.fromisoformat(text[:_LONGEST_HEADER].strip())
        return (told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def percent(value: Any) -> int | None:
    """Out of 55, "55", "55%" or 0.55: what lies between 0 and 1 is a share."""
    result = number(value.strip().removesuffix("%") if isinstance(value, str) else value)
    if result is None or isinstance(value, bool):
        return None
    if 0 < result < 1 and not (isinstance(value, str) and "%" in value):
        result *= 100
    return int(min(max(result, 0), 100))


def text(value: Any) -> str | None:
    """A clean string out of a string or a number, or None."""
    return None if value is None or isinstance(value, bool) else _clean(value)


def words(value: Any) -> str | None:
    """A prompt, as it came: it is compared with ours. Only what a row could not hold is changed or cut off."""
    if not isinstance(value, str) or not value:
        return None
    said: str = value[:_LONGEST_PROMPT]
    return said.encode("utf-16-le", "replace")[: 2 * _LONGEST_PROMPT].decode("utf-16-le", "ignore")


def whole_number(value: Any) -> int | None:
    """A count of pixels or seconds out of a number or a string such as "8.0" or "8s", or None: zero means 'not set'."""
    result = number(_UNIT.sub("", value[:_LONGEST_HEADER]) if isinstance(value, str) else value)
    return int(result) if result is not None and result == int(result) and 0 < result < 1e9 else None


def identifier(value: Any) -> str | None:
    """An id is opaque, but it has to be one: a string that can stand in a URL and a row."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < 10**40 else None
    if isinstance(value, str) and 0 < len(value) <= 1000 and value.isprintable() and REMOVED not in value:
        return value
    return None
