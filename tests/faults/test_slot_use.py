"""What the gate promises of a video API's slots, in simulated time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.simulator.server import Simulator
from tests.faults.slot_use import STANDSTILL, measure

JOBS = 60
"""Enough that the last slot, which idles at the end, hardly counts; `python -m tests.faults.slot_use` takes 200."""


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(speed=STANDSTILL) as running:
        yield running


@pytest.mark.parametrize(
    ("dialect", "spread", "used"),
    [("azure-sora", 0.0, 0.95), ("azure-sora", 15.0, 0.90), ("openai-videos", 15.0, 0.90)],
)
def test_slots_are_used_and_never_overdrawn_and_nobody_overtakes(
    simulator: Simulator, dialect: str, spread: float, used: float
) -> None:
    """Jobs of 60 seconds, give or take the spread, before a limit of two."""
    use = measure(simulator, dialect, jobs=JOBS, spread=spread)
    assert use.succeeded == JOBS
    assert use.refused == 0
    assert use.overtaken == 0
    assert use.overtaken_by < 1, "two that are let in together may reach the video API the other way round"
    assert use.used >= used
    assert use.looks <= 30
