"""The last rows of a long range are found without reading it."""

from __future__ import annotations

import bisect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.examples import moderately_many
from video_jobs.domain.ids import POSITIONS, position_of
from video_jobs.storage.oldest_first import last_rows


class Table:
    def __init__(self, rows: list[int]) -> None:
        self.rows = sorted(rows)
        self.probes = 0
        self.read = 0

    def probe(self, low: int, high: int, most: int) -> list[int]:
        first, end = bisect.bisect_right(self.rows, low), bisect.bisect_left(self.rows, high)
        self.probes += 1
        found = self.rows[first : min(end, first + most)]
        self.read += len(found)
        return found


@moderately_many
@given(
    st.sets(st.integers(0, POSITIONS - 1) | st.integers(10**6, 10**6 + 300), max_size=120),
    st.integers(1, 20),
    st.integers(0, 119),
)
def test_the_last_rows_are_found_however_they_are_spread(positions: set[int], wanted: int, which: int):
    rows = sorted(positions)
    end = rows[which] if which < len(rows) else POSITIONS
    expected = [row for row in rows if row < end][-wanted:]
    assert last_rows(Table(rows).probe, end, wanted) == expected


def test_the_search_ends_though_rows_are_deleted_meanwhile():
    table = Table(list(range(0, 4000, 100)))

    def probe(low: int, high: int, most: int) -> list[int]:
        found = table.probe(low, high, most)
        if low > 0:
            table.rows = table.rows[:1]  # what was just seen is gone at the next probe
        assert table.probes < 100
        return found

    assert last_rows(probe, 4000, 2) == [0]


YEAR = 365 * 24 * 3600 * 1000  # ms
NEWEST = position_of("job_zybqvapkg2nd1fw6g68hw5rqj9") >> 80


def spread(count: int, over: int) -> Table:
    """So many jobs made at even intervals in so many milliseconds until now."""
    return Table([(NEWEST + over * n // count) << 80 | n for n in range(count)])


@pytest.mark.parametrize("over", [10_000, YEAR // 365, 3 * YEAR])
@pytest.mark.parametrize("count", [10, 10_000, 200_000])
def test_the_first_page_costs_about_the_same_with_ten_jobs_and_with_many(count: int, over: int):
    table = spread(count, over)
    assert last_rows(table.probe, POSITIONS, 21) == table.rows[-21:]
    assert table.probes <= 45
    assert table.read <= 45 * 84
    if count == 10:
        assert table.probes == 1
