"""What many tests need: Azurite once a session, a simulated video API, the app's parts wired to them."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Generator, Iterator
from unittest.mock import patch

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableServiceClient
from hypothesis import settings

from local.azurite_process import Azurite
from local.simulator import render
from local.simulator.server import Simulator
from tests.cases import EACH_DIALECT
from tests.contract_watch import Contract, ContractWatch
from tests.leaks import Leaks
from tests.pipeline import API_KEY, Pipeline, UseServices
from video_jobs import wiring
from video_jobs.services import Services
from video_jobs.storage.gates import GATES_TABLE
from video_jobs.storage.live_jobs import LIVE_TABLE

# No deadline: the machines that run this differ in speed, and a promise holds on a slow one too.
settings.register_profile("reelkeep", deadline=None, database=None)
settings.load_profile("reelkeep")

_WATCH = pytest.StashKey[Leaks]()
_CONTRACT_WATCH = pytest.StashKey[ContractWatch]()


def pytest_configure(config: pytest.Config) -> None:
    # Here, since pytest puts the root logger's level back after each part of a test.
    config.stash[_WATCH] = Leaks()
    config.stash[_WATCH].begin()
    config.stash[_CONTRACT_WATCH] = ContractWatch(Contract())
    config.stash[_CONTRACT_WATCH].begin()
    if config.option.log_level is None:
        config.option.log_level = "WARNING"  # of what a report repeats; the watch sees everything


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[_CONTRACT_WATCH].end()
    config.stash[_WATCH].end()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Modules and tests live as long as the run: the garbage collector need not look through them again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def leaks(pytestconfig: pytest.Config) -> Iterator[Leaks]:
    watch = pytestconfig.stash[_WATCH]
    yield watch
    watch.refuse()


@pytest.fixture(autouse=True)
def nothing_leaks(leaks: Leaks) -> Iterator[None]:
    """I9: no key, token or SAS in a log, a row, a message or an answer of any test."""
    yield
    leaks.refuse()


@pytest.fixture(scope="session")
def contract_watch(pytestconfig: pytest.Config) -> ContractWatch:
    return pytestconfig.stash[_CONTRACT_WATCH]


@pytest.fixture(autouse=True)
def the_contract_holds(contract_watch: ContractWatch) -> Iterator[None]:
    """Every answer of an app on a host in this process is as the OpenAPI document says."""
    yield
    contract_watch.refuse()


@pytest.fixture(scope="session")
def azurite(leaks: Leaks) -> Iterator[Azurite]:
    with Azurite() as running:
        yield running
        leaks.look_into_storage(running.connection_string)


@pytest.fixture(scope="module", autouse=True)
def jobs_of_other_modules_hold_nothing(request: pytest.FixtureRequest) -> None:
    """No job of an earlier module has a slot, or waits for one, in the Azurite that the modules share."""
    tests = (item for item in request.session.items if getattr(item, "module", None) is request.module)
    if not any("azurite" in getattr(test, "fixturenames", ()) for test in tests):
        return
    running = request.getfixturevalue("azurite")
    tables = TableServiceClient.from_connection_string(running.connection_string)
    for table in map(tables.get_table_client, (GATES_TABLE, LIVE_TABLE)):
        with contextlib.suppress(ResourceNotFoundError):  # nothing was stored yet
            for row in table.list_entities(select=["PartitionKey", "RowKey"]):
                table.delete_entity(row)


@pytest.fixture(scope="session", autouse=True)
def true_frame_rate() -> Iterator[int]:
    """The simulator's own. Tests have 5 pictures a second, which cost a third of the time; size and length are the same."""
    rate = render.FRAMES_PER_SECOND
    with patch.object(render, "FRAMES_PER_SECOND", 5):
        yield rate


@pytest.fixture(scope="session")
def shared_simulator() -> Iterator[Simulator]:
    # Its clock all but stands still: tests move it.
    with Simulator(api_key=API_KEY, speed=0.001) as running:
        yield running


@pytest.fixture
def simulator(shared_simulator: Simulator) -> Simulator:
    """Fresh: no jobs, no faults, settings as they were."""
    shared_simulator.world.reset()
    shared_simulator.faults.clear()
    return shared_simulator


@pytest.fixture
def use_services() -> Iterator[UseServices]:
    """Has the functions use these until the test ends; None: build their own anew."""
    with contextlib.ExitStack() as until_the_end:

        def use(services: Services | None) -> None:
            until_the_end.enter_context(wiring.use(services))

        yield use


@pytest.fixture(params=EACH_DIALECT)
def pipeline(request: pytest.FixtureRequest, simulator: Simulator) -> Pipeline:
    """The real handlers and backends on in-memory storage, in each dialect, on the simulator's clock."""
    return Pipeline(simulator, request.param)


@pytest.fixture
def sora(simulator: Simulator) -> Pipeline:
    return Pipeline(simulator, "azure-sora")


@pytest.fixture
def videos(simulator: Simulator) -> Pipeline:
    return Pipeline(simulator, "openai-videos")
