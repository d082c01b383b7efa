"""A sample of the crash points on real tables and blobs. Queues stay in memory: nobody can move Azurite's time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from azure.data.tables import TableServiceClient

from local.azurite_process import Azurite
from local.simulator.server import Simulator
from tests.cases import further
from tests.faults.effects import Strike
from tests.faults.exploration import live_through
from tests.faults.scenarios import (
    HOOKED,
    SCENARIOS,
    Play,
    imported,
    told_after_it_was_given_up,
)
from tests.pipeline import Pipeline, environment_for
from video_jobs.ports import StoredJob
from video_jobs.settings.app import Settings
from video_jobs.storage.blobs import INPUTS, VIDEOS
from video_jobs.storage.claims import CLAIMS_TABLE
from video_jobs.storage.connection import StorageServices, connect
from video_jobs.storage.disabled_webhooks import HOOKS_TABLE
from video_jobs.storage.estimates import ESTIMATES_TABLE
from video_jobs.storage.gates import GATES_TABLE
from video_jobs.storage.job_rows import from_row
from video_jobs.storage.jobs import JOBS_TABLE
from video_jobs.storage.live_jobs import LIVE_TABLE
from video_jobs.storage.memory import MemoryBlob
from video_jobs.wiring import build

EVERY = 5  # effects; the strikes go round

MakePipeline = Callable[[Simulator, str], Pipeline]


class AzuritePipeline(Pipeline):
    """The pipeline on Azurite, which is empty at first."""

    def __init__(self, simulator: Simulator, dialect: str, azurite: Azurite) -> None:
        super().__init__(simulator, dialect)
        settings = Settings.from_environment(
            environment_for(simulator, dialect, AzureWebJobsStorage=azurite.connection_string)
        )
        real = build(settings, self.now)
        self._storage: StorageServices = connect(settings.storage)
        self._wipe()
        self.services = self.services._replace(
            jobs=real.jobs,
            live_jobs=real.live_jobs,
            claims=real.claims,
            gates=real.gates,
            estimates=real.estimates,
            blobs=real.blobs,
            hooks=real.hooks,
        )
        self.jobs: Any = _Jobs(real.jobs, self._storage.tables)
        self.live_jobs: Any = _Live(real.live_jobs)
        self.gates: Any = _Gates(real.gates)
        self.claims: Any = _Claims(real.claims, self._storage.tables)
        self.hooks: Any = _Hooks(real.hooks, self._storage.tables)
        self.blobs: Any = self

    @property
    def videos(self) -> dict[str, MemoryBlob]:
        container = self._storage.blobs.get_container_client(VIDEOS)
        names = [blob.name for blob in container.list_blobs()]
        return {name: MemoryBlob(container.download_blob(name).readall(), {}) for name in names}

    @property
    def inputs(self) -> dict[str, bytes]:
        container = self._storage.blobs.get_container_client(INPUTS)
        return {blob.name: b"" for blob in container.list_blobs()}

    def _wipe(self) -> None:
        for name in (JOBS_TABLE, LIVE_TABLE, CLAIMS_TABLE, GATES_TABLE, ESTIMATES_TABLE, HOOKS_TABLE):
            table = self._storage.tables.get_table_client(name)
            for row in list(table.list_entities(select=["PartitionKey", "RowKey"])):
                table.delete_entity(row["PartitionKey"], row["RowKey"])
        for name in (VIDEOS, INPUTS):
            container = self._storage.blobs.get_container_client(name)
            for blob in list(container.list_blobs()):
                container.delete_blob(blob.name)


class _Through:
    """What a test may ask besides, in front of the real adapter."""

    def __init__(self, real: Any, tables: TableServiceClient | None = None) -> None:
        self._real, self._tables = real, tables

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class _Jobs(_Through):
    def everything(self) -> list[StoredJob]:
        assert self._tables is not None
        rows = self._tables.get_table_client(JOBS_TABLE).list_entities()
        return [StoredJob(from_row(dict(row)), "") for row in rows if row["RowKey"].startswith("job_")]


class _Live(_Through):
    @property
    def rows(self) -> list[Any]:
        return list(self._real.all())

    @property
    def keys(self) -> set[tuple[str, str]]:
        return {(live.backend, live.key) for live in self.rows}


class _Gates(_Through):
    @property
    def gates(self) -> list[Any]:
        return list(self._real.all())


class _Claims(_Through):
    @property
    def claims(self) -> dict[str, Any]:
        assert self._tables is not None
        rows = self._tables.get_table_client(CLAIMS_TABLE).list_entities()
        held = [self._real.find(row["base_url"], row["backend_job_id"]) for row in rows]
        return {f"{claim.base_url} {claim.backend_job_id}": claim for claim in held if claim is not None}


class _Hooks(_Through):
    @property
    def off(self) -> list[Any]:
        assert self._tables is not None
        return list(self._tables.get_table_client(HOOKS_TABLE).list_entities())


@pytest.fixture
def on_azurite(azurite: Azurite, shared_simulator: Simulator) -> Iterator[MakePipeline]:
    yield lambda simulator, dialect: AzuritePipeline(simulator, dialect, azurite)
    # Which empties it: a gate that was closed here would stay so for whoever comes next.
    AzuritePipeline(shared_simulator, "azure-sora", azurite)


ALWAYS = (imported,)
OF_THREE_DAYS = (told_after_it_was_given_up,)  # a sweep for each of their minutes takes too long on Azurite
OTHERS = [play for play in (*SCENARIOS, *HOOKED) if play not in (*ALWAYS, *OF_THREE_DAYS)]


@pytest.mark.promise("I2", "I3")
@pytest.mark.timeout(600)  # the longest takes a minute on a free processor
@pytest.mark.parametrize(
    "play", [*ALWAYS, *(further(play) for play in OTHERS)], ids=lambda play: play.__name__
)
def test_the_same_promises_are_kept_on_real_tables_and_blobs(
    shared_simulator: Simulator, play: Play, on_azurite: MakePipeline
) -> None:
    effects, broken = live_through(shared_simulator, "azure-sora", play, {}, on_azurite)
    assert broken == []
    strikes = list(Strike)
    for turn, number in enumerate(range(2, len(effects.names) + 1, EVERY)):
        struck = {number: strikes[turn % len(strikes)]}
        _, broken = live_through(shared_simulator, "azure-sora", play, struck, on_azurite)
        assert broken == [], f"effect {number} ({effects.names[number - 1]}) {struck[number].value}"
