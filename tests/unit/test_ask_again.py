"""Retry-After: when something can have changed, in whole seconds, from one to sixty."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.jobs import NOW, VIDEO, a_job_in
from video_jobs.domain.chain import Chain
from video_jobs.domain.job import Output, Status
from video_jobs.domain.job_parts import Cancellation
from video_jobs.domain.retry_after import ask_again_in

GOING = [status for status in Status if not status.is_terminal]


def after(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


@pytest.mark.parametrize("status", [status for status in Status if status.is_terminal])
def test_nothing_is_asked_again_of_what_has_ended(status: Status) -> None:
    assert ask_again_in(a_job_in(status, chain=Chain(due_at=NOW + after(9))), NOW) is None


@pytest.mark.parametrize("status", [Status.SUBMITTING, Status.QUEUED, Status.RUNNING])
def test_the_next_poll_tells_when(status: Status) -> None:
    assert ask_again_in(a_job_in(status, chain=Chain(due_at=NOW + after(7.2))), NOW) == 9
    assert ask_again_in(a_job_in(status, chain=Chain(due_at=NOW - after(3))), NOW) == 2, (
        "the poll is under way"
    )


def test_the_first_download_to_become_due_tells_when() -> None:
    outputs = (
        Output(0, "gen_0", stored=VIDEO),
        Output(1, "gen_1", Chain(due_at=NOW + after(30))),
        Output(2, "gen_2", Chain(due_at=NOW + after(12))),
    )
    for status in (Status.FETCHING, Status.PENDING_DOWNLOAD):
        job = a_job_in(status, outputs=outputs, chain=Chain(due_at=NOW + after(300)))
        assert ask_again_in(job, NOW) == 13
        assert ask_again_in(job, NOW + after(20)) == 2, "it is under way"


def test_the_place_in_line_tells_when() -> None:
    job = a_job_in(Status.WAITING, chain=Chain(due_at=NOW + after(120)))
    waits = [ask_again_in(job, NOW, ahead=ahead) for ahead in (0, 5, 1000)]
    assert waits == [5, 10, 60]


def test_a_closed_gate_tells_when_it_opens() -> None:
    job = a_job_in(Status.WAITING)
    assert ask_again_in(job, NOW, opens_at=NOW + after(41.5)) == 42
    assert ask_again_in(job, NOW, opens_at=NOW) == 5
    assert ask_again_in(job, NOW, opens_at=NOW + after(3600)) == 60


def test_what_is_being_cancelled_is_asked_about_soon() -> None:
    job = a_job_in(Status.RUNNING, cancellation=Cancellation(NOW), chain=Chain(due_at=NOW + after(50)))
    assert ask_again_in(job, NOW) == 2


@given(st.sampled_from(GOING), st.floats(-1e6, 1e6), st.integers(0, 1000), st.floats(-1e6, 1e6))
def test_it_is_always_a_whole_number_from_1_to_60(
    status: Status, due: float, ahead: int, opens: float
) -> None:
    outputs = (Output(0, "gen_0", Chain(due_at=NOW + after(due))),)
    job = a_job_in(status, chain=Chain(due_at=NOW + after(due)), outputs=outputs)
    seconds = ask_again_in(job, NOW, ahead=ahead, opens_at=NOW + after(opens))
    assert isinstance(seconds, int)
    assert 1 <= seconds <= 60
