"""The measurements themselves, as far as they count rather than time."""

from __future__ import annotations

import pytest

from local.simulator.server import Simulator
from tests.bench import polling, promptness, transactions, waiting_line
from tests.cases import sample
from tests.timeline import STANDSTILL


@pytest.fixture(scope="module")
def counted() -> transactions.Transactions:
    return transactions.count(run_seconds=4)


@pytest.mark.exhaustive
def test_a_poll_costs_at_most_four_storage_transactions_with_the_gate_left_out(
    counted: transactions.Transactions,
) -> None:
    assert counted.most_a_poll <= transactions.MOST_A_POLL, counted.steps


@pytest.mark.exhaustive
def test_a_job_costs_at_most_twenty_storage_transactions_besides_its_polls(
    counted: transactions.Transactions,
) -> None:
    assert counted.besides_polls <= transactions.MOST_BESIDES, counted.steps


@pytest.mark.exhaustive
def test_jobs_of_one_to_three_minutes_take_few_polls_and_their_fetch_begins_within_five_seconds() -> None:
    """On average, and in the median, once the first of each kind have taught how long it takes."""
    with Simulator(speed=STANDSTILL) as simulator:
        learned = polling.measure(simulator, jobs=40, left_out=10)
    assert learned.mean_polls <= polling.MOST_POLLS
    assert learned.median_latency <= polling.LATEST


@pytest.mark.parametrize("case", sample(promptness.CASES[:2], every=2), ids=lambda case: case.name)
def test_twenty_jobs_at_once_begin_to_be_fetched_within_four_seconds_and_all_within_eight(
    case: promptness.Case,
) -> None:
    with Simulator(speed=STANDSTILL) as simulator:
        measured = promptness.measure(simulator, case, range(3))
    assert measured.mean <= promptness.MEAN
    assert measured.worst <= promptness.WORST


def test_a_line_of_waiting_jobs_costs_the_same_storage_calls_however_long_it_is() -> None:
    line = waiting_line.measure((10, 250))
    assert {what: line.growth(what) for what in line.calls} == dict.fromkeys(line.calls, 1.0), line.calls
    assert max(line.counts(waiting_line.SUBMIT)) <= waiting_line.MOST_A_SUBMIT, line.calls
