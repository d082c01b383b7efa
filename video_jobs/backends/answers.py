"""Reading what video APIs answer, leniently: fields go missing, types vary, errors come in many shapes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

_LONGEST_TEXT = 2000
_LONGEST_PROMPT = 32_500  # UTF-16 units: more than any that we send, less than a table property holds
# Our own key is taken out by its value, before this. This is for whatever else may look like one: a long
# word with a digit in it behind a word that announces a secret, and OpenAI's keys wherever they stand.
_SECRET = re.compile(
    r"(?i)(?:(?:(?:[a-z]+[-_ ]?)?key|token|secret|password|sig|signature|authorization|bearer|basic)\b[\s\"'\\:=]*"
    r"(?:(?:provided|bearer|basic)\b[\s\"'\\:=]*)*)(?=[^\s\"'&,;]*\d)[A-Za-z0-9+/=_.~%*-]{8,}"
    r"|\bsk-[A-Za-z0-9_-]{8,}"
)


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


def error_message(body: bytes) -> BackendMessage:
    """Reads the flat, wrapped, gateway and FastAPI shapes, HTML and nothing at all; never raises."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return _plain(body)
    if not isinstance(parsed, dict):
        return BackendMessage(text=_clean(parsed))
    error = parsed.get("error", parsed)
    if not isinstance(error, dict):
        return BackendMessage(text=_clean(error))
    inner = error.get("inner_error") or error.get("innererror")
    code = (inner.get("code") if isinstance(inner, dict) else None) or error.get("code") or error.get("type")
    text = error.get("message") or error.get("detail") or parsed.get("message")
    return BackendMessage(code=_clean(code), text=_clean(text))


def _plain(body: bytes) -> BackendMessage:
    text = body.decode("utf-8", "replace")
    if "<html" in text.lower() or text.lstrip().startswith("<"):
        title = re.search(r"<title[^>]*>([^<]{1,200})", text, re.IGNORECASE)
        text = f"an HTML page: {title[1].strip()}" if title else "an HTML page"
    return BackendMessage(text=_clean(text))


def _clean(value: Any) -> str | None:
    """Printable, short, and without what looks like a credential: it goes into rows, logs and answers."""
    if value is None or value == "":
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = "".join(c if c.isprintable() else " " for c in _SECRET.sub("[removed]", text))
    return text.encode("utf-8", "replace").decode("utf-8").strip()[:_LONGEST_TEXT] or None


def request_id(headers: Mapping[str, str]) -> str | None:
    """What the backend's support asks for."""
    for name in ("apim-request-id", "x-request-id", "x-ms-request-id"):
        if value := headers.get(name):
            return _clean(value[:100])
    return None


def wait_hint(headers: Mapping[str, str]) -> float | None:
    """Seconds that the backend wants us to wait: its own header first, then the two common ones."""
    for name in ("openai-poll-after-ms", "retry-after-ms"):
        milliseconds = number(headers.get(name))
        if milliseconds is not None and milliseconds >= 0:
            return milliseconds / 1000
    text = headers.get("retry-after")
    seconds = number(text)
    if seconds is None and text:
        try:
            seconds = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return None
    return None if seconds is None else max(seconds, 0.0)


def number(value: Any) -> float | None:
    """A finite number out of a number or a string, or None."""
    try:
        result = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return result if abs(result) < 1e15 else None


def moment(value: Any) -> datetime | None:
    """A UTC datetime out of unix seconds, or None: zero and nonsense mean 'not set'."""
    seconds = number(value)
    if seconds is None or not 0 < seconds < 4e9:
        return None
    return datetime.fromtimestamp(seconds, UTC)


def percent(value: Any) -> int | None:
    result = number(value)
    return None if result is None else int(min(max(result, 0), 100))


def text(value: Any) -> str | None:
    """A clean string out of a string or a number, or None."""
    return None if value is None or isinstance(value, bool) else _clean(value)


def words(value: Any) -> str | None:
    """A prompt, as it came: it is compared with ours. Only what a row could not hold is changed or cut off."""
    if not isinstance(value, str) or not value:
        return None
    return value.encode("utf-16-le", "replace")[: 2 * _LONGEST_PROMPT].decode("utf-16-le", "ignore")


def whole_number(value: Any) -> int | None:
    """A count of pixels or seconds out of a number or a string, or None: zero means 'not set'."""
    result = number(value)
    return int(result) if result is not None and result == int(result) and result > 0 else None


def identifier(value: Any) -> str | None:
    """An id is opaque, but it has to be one: a string that can stand in a URL and a row."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str) and 0 < len(value) <= 1000 and value.isprintable():
        return value
    return None
