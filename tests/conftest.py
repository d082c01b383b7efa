"""What many tests need: Azurite once a session, a simulated video API, the app's parts wired to them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.azurite_process import Azurite
from local.simulator.server import Simulator
from tests.pipeline import DIALECTS, Pipeline


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    with Azurite() as running:
        yield running


@pytest.fixture(scope="session")
def shared_simulator() -> Iterator[Simulator]:
    # Its clock all but stands still: tests move it.
    with Simulator(api_key="sim-key", speed=0.001) as running:
        yield running


@pytest.fixture
def simulator(shared_simulator: Simulator) -> Simulator:
    """Fresh: no jobs, no faults, settings as they were."""
    shared_simulator.world.reset()
    shared_simulator.faults.clear()
    return shared_simulator


@pytest.fixture(params=DIALECTS)
def pipeline(request: pytest.FixtureRequest, simulator: Simulator) -> Pipeline:
    """The real handlers and backends on in-memory storage, in each dialect, on the simulator's clock."""
    return Pipeline(simulator, request.param)


@pytest.fixture
def sora(simulator: Simulator) -> Pipeline:
    return Pipeline(simulator, "azure-sora")


@pytest.fixture
def videos(simulator: Simulator) -> Pipeline:
    return Pipeline(simulator, "openai-videos")
