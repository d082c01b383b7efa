"""`options`: a client's object that the provider gets unchanged, together with the app's own fields."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

LARGEST = 8192  # bytes as JSON
DEEPEST = 6  # objects and lists in each other
MOST_KEYS = 100  # of all its objects, and entries of its lists
_LONGEST_NAME = 60  # characters of a key that a message repeats


def checked_options(given: Mapping[str, Any]) -> str:
    """The options as the text that is stored. Raises ValueError, which says how to mend them."""
    _refuse_large(given)
    try:
        text = json.dumps(given, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        length = len(text.encode())
    except ValueError:  # an infinite number, or half of a surrogate pair
        raise ValueError("holds a value that JSON has no word for") from None
    if length > LARGEST:
        raise ValueError(f"has {length} bytes as JSON; at most {LARGEST} are taken")
    return text


def problem_of_options(options: str, bodies: Iterable[Mapping[str, Any]]) -> str | None:
    """Why the options do not fit those bodies, in words."""
    given = json.loads(options)
    for body in bodies:
        path = _met(given, body)
        if path is not None:
            return f"holds {_shown(path)}, which the app sets itself: use the request's own field, or leave it out"
    return None


def with_options(body: Mapping[str, Any], options: str | None) -> dict[str, Any]:
    """The body joined with the options. An object in both is joined too; for any other key in both the body wins."""
    return _joined(json.loads(options), body) if options is not None else dict(body)


def _joined(given: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    joined = {**given, **body}
    for key in given.keys() & body.keys():
        if isinstance(given[key], dict) and isinstance(body[key], dict):
            joined[key] = _joined(given[key], body[key])
    return joined


def _met(given: Mapping[str, Any], body: Mapping[str, Any], path: str = "") -> str | None:
    """The first key that both have; an object in both counts only if the two objects have a key in common."""
    for key in sorted(given.keys() & body.keys()):
        if not (isinstance(given[key], dict) and isinstance(body[key], dict)):
            return path + key
        found = _met(given[key], body[key], f"{path}{key}.")
        if found is not None:
            return found
    return None


def _refuse_large(given: Mapping[str, Any]) -> None:
    """Level by level, since recursion over very deep nesting would overflow Python's stack."""
    level: list[Any] = [given]
    count, depth = 0, 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise ValueError(f"is nested more than {DEEPEST} levels deep")
        inner: list[Any] = []
        for each in level:
            count += len(each)
            if count > MOST_KEYS:
                raise ValueError(f"has more than {MOST_KEYS} keys and entries")
            inner += each.values() if isinstance(each, dict) else each
        level = [each for each in inner if isinstance(each, dict | list)]


def _shown(path: str) -> str:
    return "'" + "".join(c if c.isprintable() else "?" for c in path[:_LONGEST_NAME]) + "'"
