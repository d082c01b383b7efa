"""Faults that can be turned on: what goes wrong, in which calls, how often.

A fault has a choice (`operation`, `skip`, `times`) and one or more effects, which may be combined:

=================== ============================================================================================
status              answer with this status instead of the operation; with `body`, `content_type`, `headers`
replace_body        the same with status 200: another body in place of a video
garbage_bytes       the same with so many bytes that claim to be an MP4 and are none
redirect            the same with 302 (or `status`) to this URL
carried_out         with one of those four: carry the operation out anyway, although the answer does not show it
delay               real seconds before anything happens
drop                close the connection at once
lost_answer         carry the operation out, then close the connection without an answer
cut_after           close the connection after that many bytes of the body
no_content_length   don't say how long the body is; its end is the connection's
announce_length     say that the body has this length, whatever the real one
relabel             say that the body has this content type, whatever the real one
drip                bytes a second
=================== ============================================================================================
"""

import json
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from .answers import Answer, Body

OPERATIONS = (
    "create",
    "remix",
    "list",
    "get",
    "result",
    "delete",
    "get_generation",
    "video",
    "video_head",
    "thumbnail",
    "spritesheet",
    "signed",
    "deployments",
    "models",
)
ANY = "*"

_JSON = "application/json"


class InvalidFaultError(ValueError):
    """A fault that makes no sense. The message says what would make sense."""


def _count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _seconds(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0


def _text(value: object) -> bool:
    return isinstance(value, str)


def _part(default: Any, check: Callable[[Any], bool], expected: str) -> Any:
    return field(default=default, metadata={"check": check, "expected": expected})


def _effect(check: Callable[[Any], bool], expected: str) -> Any:
    return _part(None, lambda value: value is None or check(value), expected)


def _flag() -> Any:
    return _part(False, lambda value: isinstance(value, bool), "true or false")


@dataclass(frozen=True)
class Fault:
    """One fault; the module says what each effect does. `times` of -1 is always; `skip` calls pass first."""

    operation: str = _part(
        ANY, lambda value: value in (ANY, *OPERATIONS), f"* or one of {', '.join(OPERATIONS)}"
    )
    times: int = _part(1, lambda value: _count(value) or value == -1, "a count, or -1 for always")
    skip: int = _part(0, _count, "a count")
    status: int | None = _effect(lambda value: _count(value) and 200 <= value <= 599, "200 to 599")
    body: object = _part(None, lambda value: True, "a string or JSON")
    content_type: str | None = _effect(_text, "a string")
    headers: Mapping[str, str] | None = _effect(
        lambda value: isinstance(value, dict) and all(map(_text, value.values())), "an object of strings"
    )
    replace_body: object = _part(None, lambda value: True, "a string or JSON")
    garbage_bytes: int | None = _effect(_count, "bytes")
    redirect: str | None = _effect(_text, "a URL")
    carried_out: bool = _flag()
    delay: float | None = _effect(_seconds, "seconds")
    drop: bool = _flag()
    lost_answer: bool = _flag()
    cut_after: int | None = _effect(_count, "bytes")
    no_content_length: bool = _flag()
    announce_length: int | None = _effect(_count, "bytes")
    relabel: str | None = _effect(_text, "a content type")
    drip: float | None = _effect(lambda value: _seconds(value) and value > 0, "bytes a second, more than 0")

    @classmethod
    def read(cls, given: object) -> "Fault":
        """The fault in a JSON object. Raises InvalidFaultError."""
        known = {item.name: item for item in fields(cls)}
        if not isinstance(given, dict):
            raise InvalidFaultError("A fault is a JSON object.")
        for name, value in given.items():
            if name not in known:
                raise InvalidFaultError(f"{name!r} is no part of a fault. Known: {', '.join(known)}.")
            if not known[name].metadata["check"](value):
                raise InvalidFaultError(
                    f"{name} can't be {value!r}: give {known[name].metadata['expected']}."
                )
        fault = cls(**given)
        if not fault._has_effect:
            raise InvalidFaultError(f"The fault has no effect. Give one of {', '.join(sorted(_EFFECTS))}.")
        if fault.carried_out and fault.replacement() is None:
            raise InvalidFaultError(
                "carried_out needs status, replace_body, garbage_bytes or redirect beside it."
            )
        return fault

    @property
    def _has_effect(self) -> bool:
        # An empty string is also a body, and a zero cuts at once.
        return any(getattr(self, name) is not None and getattr(self, name) is not False for name in _EFFECTS)

    def replacement(self) -> Answer | None:
        """The answer that replaces the operation's own, if any."""
        headers = dict(self.headers or {})
        if self.redirect is not None:
            return Answer(self.status or 302, headers={"location": self.redirect, **headers})
        if self.garbage_bytes is not None:
            noise = random.Random(self.garbage_bytes).randbytes(self.garbage_bytes)
            return Answer(
                self.status or 200, Body(noise), {"content-type": self.content_type or "video/mp4", **headers}
            )
        content = self.body if self.replace_body is None else self.replace_body
        if self.status is None and self.replace_body is None:
            return None
        data, kind = _encoded(content)
        return Answer(self.status or 200, Body(data), {"content-type": self.content_type or kind, **headers})

    def as_dict(self) -> dict[str, object]:
        """What was set, ready for JSON."""
        always = {"operation", "times", "skip"}
        return {k: v for k, v in asdict(self).items() if k in always or (v is not None and v is not False)}


_EFFECTS = {
    "status",
    "replace_body",
    "garbage_bytes",
    "redirect",
    "delay",
    "drop",
    "lost_answer",
    "cut_after",
    "no_content_length",
    "announce_length",
    "relabel",
    "drip",
}


def _encoded(content: object) -> tuple[bytes, str]:
    """A body and its likely content type: strings go as they are, all else as JSON."""
    if content is None:
        return b"", "text/plain"
    if isinstance(content, str):
        return content.encode(), "text/html" if content.lstrip().startswith("<") else "text/plain"
    return json.dumps(content).encode(), _JSON


class Faults:
    """The faults that are on, in the order in which they came. Thread-safe.

    The first fault that matches a call takes it. A fault counts as skipped only calls that reach it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active: list[Fault] = []

    def add(self, faults: list[Fault]) -> None:
        """Turn these on, after the ones that are on already."""
        with self._lock:
            self._active.extend(fault for fault in faults if fault.times != 0)

    def clear(self) -> None:
        """Turn all off."""
        with self._lock:
            self._active.clear()

    def active(self) -> list[Fault]:
        """Those that still wait for a call."""
        with self._lock:
            return list(self._active)

    def take(self, operation: str) -> Fault | None:
        """The fault for this call; it then holds for one call fewer."""
        with self._lock:
            for index, fault in enumerate(self._active):
                if fault.operation not in (ANY, operation):
                    continue
                if fault.skip:
                    self._active[index] = replace(fault, skip=fault.skip - 1)
                    continue
                if fault.times == 1:
                    del self._active[index]
                elif fault.times > 1:
                    self._active[index] = replace(fault, times=fault.times - 1)
                return fault
        return None
