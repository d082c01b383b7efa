"""Read numbers, times and waits from a server's answer: bounded, and None if a value is invalid."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

LONGEST_HEADER = 200


_EARLIEST = datetime(2020, 1, 1, tzinfo=UTC).timestamp()  # before this there was no video API


_LATEST = 4e9


_MILLISECONDS = _EARLIEST * 1000  # a larger number counts milliseconds


_UNIT = re.compile(r" ?(?:s|sec|seconds?|px)$", re.IGNORECASE)


def header_date(headers: Mapping[str, str]) -> datetime | None:
    """The server's clock, from its `Date` header."""
    date = _date(headers.get("date", "")[:LONGEST_HEADER])
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
    text = headers.get("retry-after", "")[:LONGEST_HEADER]
    seconds = number(text)
    if seconds is not None:
        hints.append(seconds)
    elif text and (until := _date(text)) is not None:
        hints.append((until - (header_date(headers) or datetime.now(UTC))).total_seconds())
    return max(0.0, *hints) if hints else None


def number(value: Any, limit: float = 1e15) -> float | None:
    """A finite number from a number or a string, else None."""
    if isinstance(value, str):
        value = value[:LONGEST_HEADER]
    try:
        result = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return result if abs(result) < limit else None


def moment(value: Any) -> datetime | None:
    """A UTC datetime from Unix seconds, or their thousandths to thousand-millionths, from ISO 8601 or as HTTP writes it, else
    None. Zero, and a time long before any video API, mean 'not set'."""
    seconds = number(value, _LATEST * 1e9)
    if seconds is None and isinstance(value, str):
        seconds = _seconds_of(value[:LONGEST_HEADER].strip())
    while seconds is not None and seconds >= _MILLISECONDS:
        seconds /= 1000
    if seconds is None or not _EARLIEST <= seconds < _LATEST:
        return None
    return datetime.fromtimestamp(seconds, UTC)


def _seconds_of(text: str) -> float | None:
    """A time without an offset is UTC's."""
    try:
        told = datetime.fromisoformat(text)
        return (told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        told_by_http = _date(text)
        return None if told_by_http is None else told_by_http.timestamp()


def percent(value: Any) -> int | None:
    """Percent from 55, "55", "55%" or 0.55: a number between 0 and 1 is a share."""
    result = number(value.strip().removesuffix("%") if isinstance(value, str) else value)
    if result is None or isinstance(value, bool):
        return None
    if 0 < result < 1 and not (isinstance(value, str) and "%" in value):
        result *= 100
    return int(min(max(result, 0), 100))


def whole_number(value: Any) -> int | None:
    """A count of pixels or seconds from a number or a string such as "8.0" or "8s", else None. Zero means 'not
    set'."""
    result = number(_UNIT.sub("", value[:LONGEST_HEADER]) if isinstance(value, str) else value)
    return int(result) if result is not None and result == int(result) and 0 < result < 1e9 else None


_MOST_VALUES = 200  # of a list
_LONGEST_WORD = 40  # characters


def words_in(value: Any, pattern: str = r"[!-~]+") -> tuple[str, ...] | None:
    """The short words of a list that match the pattern. None if it is no list, or has no such word: then nothing is
    known."""
    if not isinstance(value, list):
        return None
    known = [each for each in value[:_MOST_VALUES] if isinstance(each, str) and len(each) <= _LONGEST_WORD]
    return tuple(dict.fromkeys(each for each in known if re.fullmatch(pattern, each))) or None


def numbers_in(value: Any) -> tuple[int, ...] | None:
    """The whole numbers of a list, or None as above."""
    if not isinstance(value, list):
        return None
    counts = [whole_number(each) for each in value[:_MOST_VALUES] if not isinstance(each, bool)]
    return tuple(sorted({count for count in counts if count is not None and count <= 3600})) or None
