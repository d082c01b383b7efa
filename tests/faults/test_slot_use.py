"""What the gate promises of a video API's slots, in simulated time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.simulator.server import Simulator
from tests.cases import further
from tests.faults.slot_use import measure
from tests.timeline import STANDSTILL


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(speed=STANDSTILL) as running:
        yield running


@pytest.mark.parametrize(
    ("dialect", "jobs", "spread", "used"),
    [
        further("azure-sora", 120, 15.0, 0.94),
        ("azure-sora", 60, 0.0, 0.95),
        further("openai-videos", 60, 15.0, 0.90),
    ],
)
def test_slots_are_used_and_never_overdrawn_and_nobody_overtakes(
    simulator: Simulator, dialect: str, jobs: int, spread: float, used: float
) -> None:
    """Jobs of 60 seconds, give or take the spread, before a limit of two. The last slot idles at the end, which
    counts the less the more jobs there are."""
    use = measure(simulator, dialect, jobs=jobs, spread=spread)
    assert use.succeeded == jobs
    assert use.refused == 0
    assert use.overtaken == 0
    assert use.overtaken_by < 1, "two that are let in together may reach the video API the other way round"
    assert use.used >= used
    assert use.looks <= 10
