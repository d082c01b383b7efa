"""Rows that somebody else wrote or broke: whatever is wrong with one, it is an UnreadableRow."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from video_jobs.domain.errors import UnreadableRow

_QUOTED = re.compile(r"'.*'|\".*\"")  # as the standard library repeats what it can't read


@contextlib.contextmanager
def read_as(kind: str, row: Mapping[str, Any]) -> Iterator[None]:
    """Raises UnreadableRow if the row is not of this `kind`."""
    try:
        yield
    except RecursionError:
        raise _unreadable(kind, row, "it is nested too deeply") from None
    except (KeyError, TypeError, OverflowError) as error:
        raise _unreadable(kind, row, f"its {error} is missing or of the wrong kind") from error
    except ValueError as error:
        # The first line counts the problems, and the second names a column; the others would repeat values.
        said = ": ".join(str(error).splitlines()[:2])
        raise _unreadable(kind, row, _QUOTED.sub("a value", said)) from error


def text(row: Mapping[str, Any], column: str) -> str:
    """Raises KeyError and TypeError."""
    value = row[column]
    if not isinstance(value, str):
        raise TypeError(column)
    return value


def _unreadable(kind: str, row: Mapping[str, Any], why: str) -> UnreadableRow:
    return UnreadableRow(
        f"The row {row['PartitionKey']} / {row['RowKey']} is no {kind}: {why}. An operator has to mend or delete it."
    )
