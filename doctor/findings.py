"""What a check found: a mark, a few words, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Mark(StrEnum):
    RIGHT = "right"
    #: It works, and may not for long, or not as it should.
    WARNING = "warning"
    WRONG = "wrong"
    #: Nobody can tell without paying, or before something else is mended.
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    mark: Mark
    subject: str  #: what was looked at, in a word or two
    words: str
    advice: str | None = None  #: what to do


def right(subject: str, words: str) -> Finding:
    return Finding(Mark.RIGHT, subject, words)


def warning(subject: str, words: str, advice: str | None = None) -> Finding:
    return Finding(Mark.WARNING, subject, words, advice)


def wrong(subject: str, words: str, advice: str | None = None) -> Finding:
    return Finding(Mark.WRONG, subject, words, advice)


def unknown(subject: str, words: str, advice: str | None = None) -> Finding:
    return Finding(Mark.UNKNOWN, subject, words, advice)
