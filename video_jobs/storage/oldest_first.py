"""Finds the end of a long range of rows in a table that can only be read forwards."""

from __future__ import annotations

from collections.abc import Callable

Probe = Callable[[int, int, int], list[int]]
"""The first rows between two positions, both left out: at most so many, in ascending order."""

_ROOM = 4  # the search ends when a probe sees at most this many times the wanted rows


def last_rows(probe: Probe, end: int, wanted: int) -> list[int]:
    """The last `wanted` rows before `end`, in ascending order; all rows if there are fewer.

    A bisection. The number of probes depends on how the rows are spread, and hardly on their number: one if there are
    few rows; some thirty for rows that were made at even intervals over years.
    """
    room = _ROOM * wanted
    rows = probe(-1, end, room)
    if len(rows) < room:
        return rows[-wanted:]
    low, high = rows[0] - 1, end  # after `low` come too many to see at once, after `high` too few
    while high - low > 1:
        middle = (low + high) // 2
        rows = probe(middle, end, room)
        if len(rows) == room:
            low = middle
        elif len(rows) < wanted:
            high = middle
        else:
            return rows[-wanted:]
    return last_rows(probe, end, wanted)  # rows were deleted during the search
