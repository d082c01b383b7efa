"""An owner's quota: who gets a place, who does not, and when to ask again."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.examples import moderately_many
from video_jobs.domain.errors import TooManyJobs, UnreadableRow
from video_jobs.domain.ids import new_job_id
from video_jobs.domain.quota import MOST_AT_ONCE, OwnerLimits, Quota, release, take
from video_jobs.storage.quota_rows import from_quota_row, to_quota_row

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
LARGEST_PROPERTY = 32_768  # UTF-16 units, in Table Storage


def test_as_many_jobs_as_the_limit_says_are_alive_at_once_and_one_more_when_one_has_ended():
    limits, quota = OwnerLimits(at_once=2), Quota()
    for job_id in ("job_1", "job_2"):
        quota = take(quota, limits, job_id, NOON)
    with pytest.raises(TooManyJobs, match="2 may be alive at once") as refused:
        take(quota, limits, "job_3", NOON)
    assert refused.value.retry_after is None
    quota = take(release(quota, "job_1"), limits, "job_3", NOON)
    assert quota.alive == ("job_2", "job_3")


def test_a_place_is_given_back_once_however_often_it_is_done():
    quota = Quota(alive=("job_1", "job_2"))
    once = release(quota, "job_1")
    assert release(once, "job_1") == once == Quota(alive=("job_2",))


def test_a_day_ends_at_midnight_utc_and_its_jobs_count_though_they_have_ended():
    limits = OwnerLimits(per_day=1)
    quota = release(take(Quota(), limits, "job_1", NOON), "job_1")
    for moment, left in [
        (NOON, 12 * 3600),
        (MIDNIGHT - timedelta(seconds=1.5), 2),
        (MIDNIGHT - timedelta(microseconds=1), 1),
    ]:
        with pytest.raises(TooManyJobs, match="midnight UTC") as refused:
            take(quota, limits, "job_2", moment)
        assert refused.value.retry_after == left
    assert take(quota, limits, "job_2", MIDNIGHT).accepted == 1


def test_an_instance_whose_clock_is_behind_at_midnight_begins_no_second_day():
    quota = take(Quota(), OwnerLimits(per_day=1), "job_1", MIDNIGHT)
    with pytest.raises(TooManyJobs):
        take(quota, OwnerLimits(per_day=1), "job_2", MIDNIGHT - timedelta(seconds=1))


@moderately_many
@given(
    steps=st.lists(st.tuples(st.booleans(), st.integers(0, 9), st.integers(0, 20)), max_size=60),
    at_once=st.none() | st.integers(1, 3),
    per_day=st.none() | st.integers(1, 5),
)
def test_whatever_comes_and_goes_no_limit_is_ever_exceeded(steps, at_once, per_day):
    limits, quota, now, accepted = OwnerLimits(at_once, per_day), Quota(), NOON, dict[date, int]()
    for number, (comes, which, hours) in enumerate(steps):
        now += timedelta(hours=hours)
        if comes:
            try:
                quota = take(quota, limits, f"job_{number}", now)
            except TooManyJobs:
                continue
            accepted[now.date()] = accepted.get(now.date(), 0) + 1
        elif which < len(quota.alive):
            quota = release(quota, quota.alive[which])
        assert at_once is None or len(quota.alive) <= at_once
        assert per_day is None or max(accepted.values(), default=0) <= per_day


def test_the_largest_quota_fits_into_its_row_and_comes_back():
    ids = tuple(new_job_id(NOON) for _ in range(MOST_AT_ONCE))
    quota = Quota(ids, NOON.date(), 1_000_000)
    row = to_quota_row("default", quota)
    assert max(len(value) for value in row.values() if isinstance(value, str)) < LARGEST_PROPERTY
    assert from_quota_row(row) == quota
    assert from_quota_row(to_quota_row("default", Quota())) == Quota()


@pytest.mark.parametrize(
    "broken", [{"alive": None}, {"accepted": None}, {"accepted": "many"}, {"day": "today"}]
)
def test_a_row_that_is_no_quota_is_told_as_one(broken: dict[str, object]):
    row = {**to_quota_row("default", Quota((), NOON.date(), 1)), **broken}
    with pytest.raises(UnreadableRow, match="is no quota"):
        from_quota_row({name: value for name, value in row.items() if value is not None})
