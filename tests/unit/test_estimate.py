"""What the durations of earlier jobs say of the next one."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.examples import moderately_many
from video_jobs.domain.estimate import FEWEST, MOST_KEPT, Estimate, Forecast, JobKind

KIND = JobKind("default", "sora", "1280x720", 5)

durations = st.lists(st.floats(0.1, 86_400), min_size=FEWEST, max_size=2 * MOST_KEPT)


def learned(*durations: float) -> Estimate:
    estimate = Estimate(KIND)
    for duration in durations:
        estimate = estimate.with_one_more(duration)
    return estimate


def forecast_from(*durations: float) -> Forecast:
    forecast = learned(*durations).forecast()
    assert forecast is not None
    return forecast


# --- learning ------------------------------------------------------------------------------------


def test_the_last_fifty_durations_are_kept_and_all_are_counted():
    estimate = learned(*map(float, range(1, MOST_KEPT + 11)))
    assert estimate.durations == tuple(map(float, range(11, MOST_KEPT + 11)))
    assert estimate.jobs == MOST_KEPT + 10


@pytest.mark.parametrize("duration", [0.0, 0.04, -1.0, 86_401.0, math.inf, -math.inf, math.nan])
def test_what_is_no_duration_teaches_nothing(duration: float):
    assert learned(60.0).with_one_more(duration) == learned(60.0)


def test_nothing_is_said_before_three_jobs_were_timed():
    assert learned(60, 61).forecast() is None
    assert forecast_from(60, 61, 62).typical == 61


# --- the forecast --------------------------------------------------------------------------------


def test_half_of_the_jobs_take_no_longer_than_typical_and_nine_in_ten_than_late():
    forecast = forecast_from(*range(50, 150, 2))
    assert forecast.typical == pytest.approx(100, abs=2)
    assert forecast.late == pytest.approx(140, abs=2)
    assert (forecast.quantiles[0], forecast.longest) == (50, 148)


def test_a_job_is_expected_when_half_of_those_that_took_as_long_had_ended():
    forecast = forecast_from(50, 60, 70, 80, 90)
    assert [forecast.expected(passed) for passed in (0, 49, 65, 85)] == [70, 70, 80, 90]
    assert forecast.expected(90) is None, "none took longer"


def test_progress_goes_from_0_to_95_and_is_at_80_when_half_of_the_jobs_have_ended():
    forecast = forecast_from(*range(50, 150, 2))
    assert [forecast.progress(passed) for passed in (-5, 0, 50, 100, 140, 10_000)] == [0, 0, 40, 80, 95, 95]


@moderately_many
@given(durations=durations)
def test_progress_never_falls_as_time_passes(durations: list[float]):
    forecast = forecast_from(*durations)
    passing = [(forecast.late + 1) * step / 40 for step in range(100)]
    shown = [forecast.progress(passed) for passed in passing]
    assert shown == sorted(shown)
    assert (shown[0], max(shown)) == (0, 95)


@moderately_many
@given(durations=durations)
def test_a_forecast_is_small_whatever_it_was_learned_from(durations: list[float]):
    assert len(forecast_from(*durations).quantiles) <= 21
