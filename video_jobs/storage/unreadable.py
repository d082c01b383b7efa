"""Rows that somebody else wrote or broke: whatever is wrong with one, it is one kind of error."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any


@contextlib.contextmanager
def read_as(kind: str) -> Iterator[None]:
    """Raises ValueError where a row is no such `kind` of row."""
    try:
        yield
    except RecursionError:
        raise ValueError(f"The row is no {kind}: it is nested too deeply.") from None
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"The row is no {kind}: its {error} is missing or of the wrong kind.") from error


def text(row: Mapping[str, Any], column: str) -> str:
    """Raises KeyError and TypeError."""
    value = row[column]
    if not isinstance(value, str):
        raise TypeError(column)
    return value
