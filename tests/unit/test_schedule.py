"""How long the app waits before it looks, offers or downloads again."""

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.examples import moderately_many
from tests.unit.jobs import DAY, NOW, a_job, a_job_in
from video_jobs.domain import schedule
from video_jobs.domain.chain import Chain
from video_jobs.domain.estimate import Forecast
from video_jobs.domain.job import Output, Status
from video_jobs.domain.job_parts import Polls, Submission
from video_jobs.domain.schedule import (
    after_submit,
    fetch_delay,
    guard_delay,
    poll_delay,
    stopping_delay,
)
from video_jobs.net.told import wait_hint

SECOND = timedelta(seconds=1)
LONGEST = timedelta(minutes=6)  # five, and the jitter
QUEUED = a_job(submission=Submission(submitted_at=NOW), expires_at=NOW + DAY)
#: Fifty jobs that took 100 seconds, give or take 30.
KNOWN = Forecast(tuple(70.0 + 3 * step for step in range(21)))
FORESEEN = replace(QUEUED, forecast=KNOWN)

Delay = Callable[[float | None], timedelta]
DELAYS: dict[str, Delay] = {
    "poll": lambda hint: poll_delay(QUEUED, hint, NOW + SECOND),
    "poll of a job that is foreseen": lambda hint: poll_delay(FORESEEN, hint, NOW + SECOND),
    "fetch": lambda hint: fetch_delay(QUEUED, 1, hint, NOW + SECOND),
}
EVERY = pytest.mark.parametrize("delay", DELAYS.values(), ids=DELAYS.keys())


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without jitter."""
    monkeypatch.setattr(schedule.random, "uniform", lambda low, high: (low + high) / 2)


@EVERY
@moderately_many
@given(
    name=st.sampled_from(["retry-after", "retry-after-ms", "openai-poll-after-ms"]),
    value=st.integers().map(str)
    | st.floats().map(str)
    | st.text(max_size=20)
    | st.sampled_from(["Wed, 21 Oct 2015 07:28:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "0", "-0", "1e14"]),
)
def test_no_wait_hint_gives_a_negative_or_unbounded_delay(delay: Delay, name: str, value: str):
    assert timedelta() < delay(wait_hint({name: value})) <= LONGEST


@EVERY
@pytest.mark.usefixtures("steady")
@pytest.mark.parametrize("hint", [0.0, -9.0, 0.3, 7.5, 300.0, 301.0, 1e14])
def test_a_hint_bounds_the_delay_from_below_within_five_minutes_and_never_shortens_it(
    delay: Delay, hint: float
):
    assert delay(hint) == max(delay(None), timedelta(seconds=min(hint, 300)))


@pytest.mark.usefixtures("steady")
@pytest.mark.parametrize(
    ("passed", "seconds"), [(0, 1.5), (120, 1.5), (600, 6), (1800, 18), (7200, 20), (90_000, 20)]
)
def test_a_poll_comes_after_a_hundredth_of_the_jobs_age_from_two_seconds_to_20(passed: int, seconds: float):
    now = NOW + passed * SECOND
    assert poll_delay(QUEUED, None, now) == seconds * SECOND
    if passed > KNOWN.typical:
        assert poll_delay(FORESEEN, None, now) == seconds * SECOND


def test_a_queue_that_counts_whole_seconds_hides_the_closest_polls_for_two():
    delays = {math.ceil(poll_delay(QUEUED, None, NOW).total_seconds()) for _ in range(200)}
    assert delays == {2}


def polls(forecast: Forecast, until: float) -> list[float]:
    """Seconds after the submission at which a job is polled that does not end."""
    job = replace(QUEUED, forecast=forecast)
    at = [after_submit(forecast).total_seconds()]
    while at[-1] < until:
        at.append(at[-1] + poll_delay(job, None, NOW + at[-1] * SECOND).total_seconds())
    return at


@pytest.mark.usefixtures("steady")
def test_one_poll_comes_before_seven_tenths_of_the_typical_time_and_close_ones_from_then_on():
    assert KNOWN.typical == 100
    at = polls(KNOWN, 200)
    assert at[:2] == [10, 70]
    distances = [later - before for before, later in itertools.pairwise(at[1:])]
    assert max(distances) <= 2


@pytest.mark.usefixtures("steady")
def test_a_job_of_an_hour_is_polled_once_a_minute_before_it_is_likely_to_end():
    hour = Forecast((3500.0, 3600.0, 3700.0))
    at = polls(hour, 2400)
    assert {round(later - before) for before, later in itertools.pairwise(at)} == {60}


def test_a_job_that_was_not_known_at_its_last_poll_is_polled_soon_whatever_its_forecast():
    """A router of requests may lead the next poll to the replica that knows it."""
    job = replace(QUEUED, forecast=Forecast((3500.0, 3600.0, 3700.0)), polls=Polls(not_found_since=NOW))
    assert poll_delay(job, None, NOW + 60 * SECOND) <= 3 * SECOND


@pytest.mark.usefixtures("steady")
def test_an_early_poll_finds_a_job_that_fails_at_once():
    assert after_submit(None) == 3 * SECOND
    assert after_submit(KNOWN) == 10 * SECOND
    assert after_submit(Forecast((1.0, 2.0, 3.0))) == 3 * SECOND


@moderately_many
@given(
    durations=st.lists(st.floats(0.1, 86_400), min_size=2, max_size=21).map(sorted),
    passed=st.floats(0, 90_000),
)
def test_no_forecast_however_wrong_lets_more_than_a_minute_pass_or_20_seconds_once_the_typical_time_is_over(
    durations: list[float], passed: float
):
    forecast = Forecast(tuple(durations))
    job = replace(QUEUED, forecast=forecast)
    delay = poll_delay(job, None, NOW + passed * SECOND).total_seconds()
    assert 0 < delay <= 1.2 * (60 if passed < forecast.typical else 20)


@pytest.mark.parametrize(
    ("passed", "seconds"), [(-60, 5), (0, 5), (10, 5), (60, 30), (3600, 1800), (90_000, 1800)]
)
def test_a_backend_that_does_not_let_go_is_asked_less_and_less_often(passed: int, seconds: float):
    job = a_job(deleted_at=NOW)
    assert stopping_delay(job, NOW + passed * SECOND) == seconds * SECOND


def test_the_guard_polls_when_the_first_download_may_count_as_lost():
    first, second = (
        Output(0, "gen_0", Chain(due_at=NOW)),
        Output(1, "gen_1", Chain(3, due_at=NOW + 300 * SECOND)),
    )
    fetching = replace(QUEUED, status=Status.FETCHING, outputs=(second,))
    assert guard_delay(fetching, NOW) == 425 * SECOND
    both = replace(fetching, outputs=(first, second))
    assert guard_delay(both, NOW) == 125 * SECOND
    moving = replace(both, outputs=(replace(first, progress_at=NOW + 60 * SECOND), second))
    assert guard_delay(moving, NOW + 60 * SECOND) == 125 * SECOND


@pytest.mark.usefixtures("steady")
@pytest.mark.parametrize(
    ("attempts", "seconds"), [(1, 5), (2, 10), (3, 20), (6, 160), (7, 300), (10_000, 300)]
)
def test_downloads_back_off_to_five_minutes(attempts: int, seconds: float):
    assert fetch_delay(QUEUED, attempts, None, NOW) == seconds * SECOND


@pytest.mark.parametrize("what", ["poll", "fetch"])
def test_jobs_that_came_together_do_not_poll_together_for_ever(what: str):
    waits = [DELAYS[what](None).total_seconds() for _ in range(100)]
    assert len(set(waits)) > 50
    assert max(waits) / min(waits) <= 1.2 / 0.8 + 0.01
    assert max(waits) / min(waits) > 1.1


def test_a_job_that_was_not_submitted_yet_is_looked_at_soon():
    assert poll_delay(a_job(), None, NOW + DAY) <= 4 * SECOND


@pytest.mark.parametrize("hint", [None, 300.0])
@pytest.mark.parametrize("left", [1, 30])
def test_the_last_look_and_the_last_download_come_just_after_the_expiry(left: int, hint: float | None):
    job = a_job(submission=Submission(submitted_at=NOW - DAY), expires_at=NOW + left * SECOND)
    latest = left * SECOND + 2 * SECOND
    assert timedelta() < poll_delay(job, hint, NOW) <= latest
    assert timedelta() < guard_delay(job, NOW) <= latest
    assert timedelta() < fetch_delay(job, 50, hint, NOW) <= latest


def test_after_the_expiry_nothing_comes_faster_than_before_it():
    job = a_job_in(
        Status.FETCHING, submission=Submission(submitted_at=NOW - DAY), expires_at=NOW - 5 * SECOND
    )
    assert guard_delay(job, NOW) > 60 * SECOND
    assert fetch_delay(job, 50, None, NOW) > 60 * SECOND


@moderately_many
@given(passed=st.integers(0, 10**9), attempts=st.integers(0, 10**6))
@example(passed=0, attempts=0)
def test_no_delay_is_negative_or_unbounded_at_any_age_and_after_any_number_of_tries(
    passed: int, attempts: int
):
    now = NOW + passed * SECOND
    delays = (
        poll_delay(QUEUED, None, now),
        poll_delay(FORESEEN, None, now),
        fetch_delay(QUEUED, attempts, None, now),
    )
    assert all(timedelta() < delay <= LONGEST for delay in delays)


def test_a_clock_that_lags_behind_gives_no_negative_delay():
    assert poll_delay(QUEUED, None, NOW - 60 * SECOND) > timedelta()
