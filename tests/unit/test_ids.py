"""Job ids: newest first by key, and nobody guesses one."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.examples import moderately_many
from tests.unit.jobs import NOW
from video_jobs.domain import ids
from video_jobs.domain.ids import id_at, is_job_id, lowest_id_at, made_at, new_job_id, position_of

moments = st.datetimes(datetime(2020, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
MILLISECOND = timedelta(milliseconds=1)


@moderately_many
@given(moments, st.integers(1, 10**10) | st.integers(1, 5))
def test_ids_sort_newest_first(earlier: datetime, milliseconds: int):
    assert new_job_id(earlier + milliseconds * MILLISECOND) < new_job_id(earlier)


@moderately_many
@given(moments)
def test_every_new_id_is_a_job_id_and_may_be_a_table_key_and_a_path(now: datetime):
    job_id = new_job_id(now)
    assert is_job_id(job_id)
    assert re.fullmatch(r"job_[0-9a-z]{26}", job_id)


@moderately_many
@given(moments)
def test_an_id_tells_its_moment_and_its_position(now: datetime):
    job_id = new_job_id(now)
    assert abs(made_at(job_id) - now) <= MILLISECOND
    assert id_at(position_of(job_id)) == job_id


def test_ids_of_one_moment_differ():
    assert len({new_job_id(NOW) for _ in range(1000)}) == 1000


def test_80_bits_of_an_id_are_random_and_none_of_them_disturbs_the_order(monkeypatch: pytest.MonkeyPatch):
    drawn: list[int] = []
    for number in (0, 2**80 - 1):
        monkeypatch.setattr(ids.secrets, "randbits", lambda bits, n=number: (drawn.append(bits), n)[1])
        assert new_job_id(NOW).startswith(new_job_id(NOW)[: len("job_") + 10])
        assert new_job_id(NOW)[-16:] == ("0" if number == 0 else "z") * 16
        assert new_job_id(NOW + MILLISECOND) < new_job_id(NOW)
    assert set(drawn) == {80}


@moderately_many
@given(moments, st.integers(1, 10**10) | st.integers(1, 5))
def test_what_was_made_before_a_moment_is_a_range_of_ids(moment: datetime, milliseconds: int):
    assert new_job_id(moment - milliseconds * MILLISECOND) > lowest_id_at(moment)
    assert new_job_id(moment) >= lowest_id_at(moment)
    assert new_job_id(moment + milliseconds * MILLISECOND) < lowest_id_at(moment)


@pytest.mark.parametrize("moment", [datetime(1, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)])
def test_nothing_was_made_before_ids_began(moment: datetime):
    assert is_job_id(lowest_id_at(moment))
    assert new_job_id(NOW) < lowest_id_at(moment)


def test_an_id_tells_its_millisecond():
    digits = "0123456789abcdefghjkmnpqrstvwxyz"
    inverted = 0
    for digit in new_job_id(NOW).removeprefix("job_")[:10]:
        inverted = inverted * 32 + digits.index(digit)
    assert 2**50 - 1 - inverted == int(NOW.timestamp()) * 1000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "job_",
        "job_0123456789abcdefghjkmnpqr",
        "job_0123456789abcdefghjkmnpqrst",
        "JOB_0123456789abcdefghjkmnpqrs",
        "job_0123456789ABCDEFGHJKMNPQRS",
        "job_0123456789abcdefghijklmnop",
        "job_0123456789abcdefghjkmnpqrs\n",
        " job_0123456789abcdefghjkmnpqrs",
        "job_0123456789abcdefghjkmnpq/s",
        "job_٠123456789abcdefghjkmnpqrs",
        "video_0123456789abcdefghjkmnpqrs",
        "0123456789abcdefghjkmnpqrs",
    ],
)
def test_what_only_looks_like_an_id_is_none(text: str):
    assert is_job_id("job_0123456789abcdefghjkmnpqrs")
    assert not is_job_id(text)
