"""A row that is missing a column, or has something else in one, stops nobody: the real adapters on Azurite read it as no
row of its kind, lists and the sweeper pass over it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.data.tables import TableClient, UpdateMode

from backend_api.gates import list_backends
from backend_api.live import list_live
from job_api.options import list_options
from local.azurite_process import Azurite
from sweep_jobs.sweep import sweep_jobs
from tests.cases import sample
from tests.functional.storage_adapters import a_job, a_name, settings_for
from video_jobs.domain.errors import UnreadableRow
from video_jobs.domain.estimate import Estimate, JobKind
from video_jobs.domain.job import Job, Status
from video_jobs.domain.quota import Quota
from video_jobs.ports import Claim, GivenUp, IdempotencyEntry, LiveJob
from video_jobs.services import Services
from video_jobs.storage.claims import CLAIMS_TABLE
from video_jobs.storage.connection import StorageServices
from video_jobs.storage.disabled_webhooks import HOOKS_TABLE
from video_jobs.storage.estimates import ESTIMATES_TABLE
from video_jobs.storage.gates import GATES_TABLE
from video_jobs.storage.jobs import JOBS_TABLE
from video_jobs.storage.live_jobs import LIVE_TABLE
from video_jobs.wiring import build

MISSING = object()
DEEP = "[" * 30_000
ODD = {"missing": MISSING, "number": 5, "truth": True, "fraction": 1.5, "bytes": b"x", "deep": DEEP}
ODD_VALUES = pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
SOME_ODD_VALUES = pytest.mark.parametrize("odd", sample(ODD.values(), every=6), ids=ODD.keys())


@pytest.fixture(scope="module")
def services(azurite: Azurite) -> Services:
    return build(settings_for(azurite))


@pytest.fixture
def owner() -> str:
    return a_name("odd")


def broken(table: TableClient, partition: str, key: str, odd: Any) -> Iterator[str]:
    """The row with each of its columns broken in turn; then it is as it was."""
    row = dict(table.get_entity(partition, key))
    for column in row.keys() - {"PartitionKey", "RowKey", "write_id", "schema"}:
        changed = {**row, column: odd}
        if odd is MISSING:
            del changed[column]
        table.upsert_entity(changed, mode=UpdateMode.REPLACE)
        yield column
    table.upsert_entity(row, mode=UpdateMode.REPLACE)


def is_read_or_refused(read: Callable[[], Any]) -> None:
    with contextlib.suppress(UnreadableRow):
        read()


@SOME_ODD_VALUES
def test_jobs_idempotency_keys_and_quotas(
    services: Services, real_services: StorageServices, owner: str, odd: Any
) -> None:
    table, now = real_services.tables.get_table_client(JOBS_TABLE), datetime.now(UTC)
    past = now - timedelta(days=9)
    job = a_job(owner, status=Status.SUCCEEDED, created_at=past, finished_at=past)
    services.jobs.insert(job, IdempotencyEntry(owner, "hash", "request", job.id))
    for _ in broken(table, owner, job.id, odd):
        is_read_or_refused(lambda: services.jobs.get(owner, job.id))
        services.jobs.page(owner, limit=5, after=None, statuses=frozenset())
        services.jobs.page_oldest_first(owner, limit=5, after=None)
        services.jobs.ended_before(now, 5)
    for _ in broken(table, owner, "key_hash", odd):
        is_read_or_refused(lambda: services.jobs.find_entry(owner, "hash"))
        list(services.jobs.entries_before(now))
    services.jobs.save_quota(services.jobs.quota(owner), Quota())
    for _ in broken(table, owner, "quota", odd):
        is_read_or_refused(lambda: services.jobs.quota(owner))


def test_rows_of_jobs_under_keys_that_are_no_job_ids_are_passed_over_in_both_orders(
    services: Services, real_services: StorageServices, owner: str
) -> None:
    table = real_services.tables.get_table_client(JOBS_TABLE)
    jobs = [a_job(owner) for _ in range(3)]
    for job in jobs:
        services.jobs.insert(job, None)
    row = table.get_entity(owner, jobs[0].id)
    for number in range(12):
        table.upsert_entity({**row, "RowKey": f"job_{number}_copy"})
        table.upsert_entity({**row, "RowKey": f"job_zzz_copy_{number}"})
    ids = sorted(job.id for job in jobs)
    page = services.jobs.page(owner, limit=2, after=None, statuses=frozenset())
    assert ([job.id for job in page.jobs], page.after) == (ids[:2], ids[1])
    oldest = services.jobs.page_oldest_first(owner, limit=2, after=None)
    assert ([job.id for job in oldest.jobs], oldest.after) == (ids[:0:-1], ids[1])
    rest = services.jobs.page_oldest_first(owner, limit=2, after=oldest.after)
    assert ([job.id for job in rest.jobs], rest.after) == (ids[:1], None)


@ODD_VALUES
def test_gates(services: Services, real_services: StorageServices, odd: Any) -> None:
    table, backend = real_services.tables.get_table_client(GATES_TABLE), a_name("gate")
    services.gates.save(services.gates.get(backend), services.gates.get(backend).gate)
    table.upsert_entity({**table.get_entity("gate", backend), "slots": "[]", "creates": "[]"})
    try:
        for _ in broken(table, "gate", backend, odd):
            is_read_or_refused(lambda: services.gates.get(backend))
            services.gates.all()
            sweep_jobs(services)
    finally:
        table.delete_entity("gate", backend)


def test_a_gate_that_can_not_be_read_is_shown_as_on_hold_and_hides_no_other(
    services: Services, real_services: StorageServices
) -> None:
    table = real_services.tables.get_table_client(GATES_TABLE)
    row = {"PartitionKey": "gate", "RowKey": "default", "slots": "{", "schema": 1}
    table.upsert_entity(row, mode=UpdateMode.REPLACE)
    try:
        [options] = list_options(services, "default")
        assert options["now"]["state"] == "on_hold"
        assert "default" in (options["now"]["reason"] or "")
        [gate] = list_backends(services)
        assert gate["closed"] is not None
    finally:
        table.delete_entity("gate", "default")


def test_a_note_of_a_given_up_webhook_without_an_owner_hides_no_other(
    services: Services, real_services: StorageServices, owner: str
) -> None:
    table, good, odd = real_services.tables.get_table_client(HOOKS_TABLE), a_job(owner), a_job(owner)
    services.hooks.note_given_up(GivenUp(owner, good.id))
    table.upsert_entity({"PartitionKey": "(given up)", "RowKey": odd.id})
    list_live(services, {"show": "given_up"})
    assert odd.id not in [note.job_id for note in services.hooks.given_up(None, 50)]


@ODD_VALUES
def test_live_rows(services: Services, real_services: StorageServices, owner: str, odd: Any) -> None:
    table, job = real_services.tables.get_table_client(LIVE_TABLE), a_running_job(owner)
    live = LiveJob.of(job)
    services.live_jobs.add(live)
    try:
        for _ in broken(table, live.backend, live.key, odd):
            sweep_jobs(services)
            services.live_jobs.line(live.backend, 5)
    finally:
        services.live_jobs.remove(live)


def a_running_job(owner: str) -> Job:
    return replace(a_job(owner, a_name("line")), status=Status.RUNNING)


@ODD_VALUES
def test_claims_and_estimates(
    services: Services, real_services: StorageServices, owner: str, odd: Any
) -> None:
    claims = real_services.tables.get_table_client(CLAIMS_TABLE)
    claim = services.claims.claim(Claim(f"https://{owner}.invalid", "video_1", owner, a_job(owner).id))
    rows = claims.query_entities("owner eq @owner", parameters={"owner": owner})
    for partition, key in [(row["PartitionKey"], row["RowKey"]) for row in rows]:
        for _ in broken(claims, partition, key, odd):
            is_read_or_refused(lambda: services.claims.find(claim.base_url, claim.backend_job_id))
            is_read_or_refused(lambda: services.claims.of_job(claim.job_id))
    kind = JobKind(a_name("learned"), "sora", "480x480", 5)
    services.estimates.save(services.estimates.get(kind), Estimate(kind, (5.0,), 1))
    estimates = real_services.tables.get_table_client(ESTIMATES_TABLE)
    [row] = estimates.query_entities("PartitionKey eq @backend", parameters={"backend": kind.backend})
    for _ in broken(estimates, row["PartitionKey"], row["RowKey"], odd):
        is_read_or_refused(lambda: services.estimates.get(kind))
        services.estimates.of_backend(kind.backend, 5)
