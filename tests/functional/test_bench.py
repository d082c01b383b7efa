"""The measurements themselves, as far as they count rather than time."""

from __future__ import annotations

import pytest

from tests.bench import transactions


@pytest.fixture(scope="module")
def counted() -> transactions.Transactions:
    return transactions.count(run_seconds=4)


def test_a_poll_costs_at_most_five_storage_transactions_with_the_gate_left_out(
    counted: transactions.Transactions,
) -> None:
    assert counted.most_a_poll <= transactions.MOST_A_POLL, counted.steps


def test_a_job_costs_at_most_thirty_storage_transactions_besides_its_polls(
    counted: transactions.Transactions,
) -> None:
    assert counted.besides_polls <= transactions.MOST_BESIDES, counted.steps
