"""Two versions side by side: what a newer one stored or sent is skipped with one line in the log, and stays as it is.

The real adapters and functions on Azurite; a row of a newer schema holds fields that this version can make nothing of.
"""

from __future__ import annotations

import base64
import contextlib
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import azure.functions as func
import pytest
from azure.core.exceptions import ResourceExistsError
from azure.data.tables import UpdateMode

from fetch_video.blueprint import fetch_video_function
from http_edge.problems import answers_problems
from local.azurite_process import Azurite
from notify_client.blueprint import notify_client_function
from openai_api.errors import answers_openai
from poll_job.blueprint import poll_job_function
from sweep_jobs.sweep import sweep_jobs
from tests.functional.storage_adapters import a_job, a_name, settings_for
from tests.pipeline import UseServices
from video_jobs.domain.errors import MalformedMessage, NewerVersion
from video_jobs.domain.estimate import Estimate, JobKind
from video_jobs.domain.gate import Gate
from video_jobs.domain.job import Job, Status
from video_jobs.domain.job_parts import Submission
from video_jobs.domain.queue_messages import FETCH_QUEUE, NOTIFY_QUEUE, POLL_QUEUE, decode_poll
from video_jobs.domain.quota import Quota
from video_jobs.lifecycle.admission import call_next
from video_jobs.ports import Claim, IdempotencyEntry, LiveJob, StoredJob
from video_jobs.services import Services
from video_jobs.storage.claims import CLAIMS_TABLE
from video_jobs.storage.connection import StorageServices
from video_jobs.storage.estimates import ESTIMATES_TABLE
from video_jobs.storage.gates import GATES_TABLE
from video_jobs.storage.jobs import JOBS_TABLE
from video_jobs.storage.live_jobs import LIVE_TABLE
from video_jobs.wiring import build

NEWER = {"schema": 2, "request": "?", "slots": "?", "durations": "?", "alive": 7}
QUEUES = (POLL_QUEUE, FETCH_QUEUE, NOTIFY_QUEUE)
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def services(azurite: Azurite) -> Services:
    return build(settings_for(azurite))


@pytest.fixture(autouse=True)
def the_functions_use_them(services: Services, use_services: UseServices) -> None:
    use_services(services)


@pytest.fixture
def owner() -> str:
    return a_name("newer")


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.WARNING, logger="reelkeep")
    return caplog


def stored(services: Services, job: Job) -> Job:
    assert isinstance(services.jobs.insert(job, None), StoredJob)
    return job


def make_newer(real: StorageServices, table: str, partition: str) -> dict[str, Any]:
    """The partition's first row becomes a newer version's."""
    client = real.tables.get_table_client(table)
    row, *_ = client.query_entities("PartitionKey eq @partition", parameters={"partition": partition})
    newer = {**row, **NEWER}
    client.upsert_entity(newer, mode=UpdateMode.REPLACE)
    return newer


def rows_of(real: StorageServices, table: str, partition: str) -> list[dict[str, Any]]:
    client = real.tables.get_table_client(table)
    found = client.query_entities("PartitionKey eq @partition", parameters={"partition": partition})
    return [dict(row) for row in found]


@pytest.fixture
def newer_job(services: Services, real_services: StorageServices, owner: str) -> Iterator[Job]:
    """Long ended by its dates, so that retention and the sweeper would take it."""
    long_ago = datetime.now(UTC) - 3 * HOUR
    job = stored(
        services,
        a_job(owner, status=Status.SUCCEEDED, created_at=long_ago, finished_at=long_ago, deleted_at=None),
    )
    row = make_newer(real_services, JOBS_TABLE, owner)
    yield job
    assert rows_of(real_services, JOBS_TABLE, owner) == [row]


def message(job: Job, **changes: Any) -> func.QueueMessage:
    fields = {"v": 1, "owner": job.owner, "job_id": job.id, "turn": 0, **changes}
    return func.QueueMessage(body=json.dumps(fields).encode())


FUNCTIONS = pytest.mark.parametrize(
    ("function", "more"),
    [(poll_job_function, {}), (fetch_video_function, {"index": 0}), (notify_client_function, {})],
    ids=["poll", "fetch", "notify"],
)


@FUNCTIONS
def test_a_message_for_a_newer_versions_job_is_skipped_with_one_line(
    newer_job: Job, log: pytest.LogCaptureFixture, function: Any, more: dict[str, Any]
) -> None:
    function.build().get_user_function()(message(newer_job, **more))
    [line] = log.records
    assert "newer version" in line.getMessage()
    assert newer_job.id in line.getMessage()


@FUNCTIONS
def test_a_newer_versions_message_is_skipped_with_one_line_and_its_job_stays_as_it_is(
    services: Services, owner: str, log: pytest.LogCaptureFixture, function: Any, more: dict[str, Any]
) -> None:
    job = stored(
        services, a_job(owner, status=Status.RUNNING, submission=Submission(submitted_at=datetime.now(UTC)))
    )
    before = services.jobs.get(owner, job.id)
    function.build().get_user_function()(message(job, v=2, job_id={"parts": 1}, **more))
    [line] = log.records
    assert "newer version sent this" in line.getMessage()
    assert services.jobs.get(owner, job.id) == before


@pytest.mark.parametrize("version", ["2", 0, None, 1.5])
def test_a_message_of_no_version_at_all_is_malformed(owner: str, version: Any) -> None:
    with pytest.raises(MalformedMessage):
        decode_poll(message(a_job(owner), v=version).get_body())


@pytest.mark.parametrize("queue", QUEUES)
@pytest.mark.parametrize("version", [1, 2], ids=["its-job", "its-message"])
def test_poison_of_a_newer_version_stays_in_its_queue(
    services: Services,
    real_services: StorageServices,
    newer_job: Job,
    log: pytest.LogCaptureFixture,
    queue: str,
    version: int,
) -> None:
    poison = real_services.queues.get_queue_client(f"{queue}-poison")
    body = message(newer_job, v=version, **({"index": 0} if queue == FETCH_QUEUE else {})).get_body()
    with contextlib.suppress(ResourceExistsError):
        poison.create_queue()
    poison.send_message(base64.b64encode(body).decode())
    sweep_jobs(services)
    [line] = [each for each in log.records if "sweep.poison_of_newer_version" in each.getMessage()]
    assert queue in line.getMessage()
    assert poison.get_queue_properties().approximate_message_count == 1
    poison.clear_messages()


def test_lists_retention_and_the_sweeper_pass_over_a_newer_versions_job(
    services: Services,
    real_services: StorageServices,
    newer_job: Job,
    owner: str,
    log: pytest.LogCaptureFixture,
) -> None:
    services.live_jobs.add(live := LiveJob.of(newer_job))
    assert services.jobs.page(owner, limit=5, after=None, statuses=frozenset()).jobs == []
    assert services.jobs.page_oldest_first(owner, limit=5, after=None).jobs == []
    ended = services.jobs.ended_before(datetime.now(UTC) - HOUR, 1000)
    assert newer_job.id not in [each.job.id for each in ended]
    sweep_jobs(services)
    mine = [each.getMessage() for each in log.records if newer_job.id in each.getMessage()]
    assert len(mine) == 4
    assert live in list(services.live_jobs.all())
    services.live_jobs.remove(live)


def test_a_client_that_asks_for_a_newer_versions_job_is_told_to_ask_again(
    services: Services, newer_job: Job, owner: str
) -> None:
    def asks(req: func.HttpRequest) -> func.HttpResponse:
        services.jobs.get(owner, newer_job.id)
        raise AssertionError("it was read")

    req = func.HttpRequest("GET", "/", body=b"")
    for edge in (answers_problems, answers_openai):
        answer: func.HttpResponse = edge(asks)(req)
        assert answer.status_code == 503
        assert "Retry-After" in answer.headers


def test_a_newer_versions_gate_is_neither_read_nor_written_and_keeps_nobody_from_the_other_gates(
    services: Services, real_services: StorageServices, log: pytest.LogCaptureFixture
) -> None:
    client = real_services.tables.get_table_client(GATES_TABLE)
    theirs, ours = a_name("theirs"), a_name("ours")
    for backend in (theirs, ours):
        read = services.gates.get(backend)
        services.gates.save(read, read.gate)
    row = {**client.get_entity("gate", theirs), **NEWER}
    client.upsert_entity(row, mode=UpdateMode.REPLACE)
    with pytest.raises(NewerVersion):
        services.gates.get(theirs)
    found = [gate.backend for gate in services.gates.all()]
    assert ours in found
    assert theirs not in found
    assert len([each for each in log.records if theirs in each.getMessage()]) == 1
    sweep_jobs(services)
    assert dict(client.get_entity("gate", theirs)) == row
    client.delete_entity("gate", theirs)


def test_a_newer_versions_gate_does_not_take_the_place_of_one_that_was_read_before(
    services: Services, real_services: StorageServices
) -> None:
    client, backend = real_services.tables.get_table_client(GATES_TABLE), a_name("gate")
    read = services.gates.save(services.gates.get(backend), Gate(backend))
    row = {**client.get_entity("gate", backend), **NEWER}
    client.upsert_entity(row, mode=UpdateMode.REPLACE)
    with pytest.raises(NewerVersion):
        services.gates.save(read, Gate(backend))
    assert dict(client.get_entity("gate", backend)) == row
    client.delete_entity("gate", backend)


def test_a_newer_versions_live_row_is_passed_over(
    services: Services, real_services: StorageServices, owner: str, log: pytest.LogCaptureFixture
) -> None:
    backend = a_name("line")
    live = LiveJob.of(a_job(owner, backend))
    readers: dict[bool, Callable[[], Any]] = {
        False: lambda: [each for each in services.live_jobs.all() if each.backend == backend],
        True: lambda: services.live_jobs.line(backend, 5),
    }
    for waiting, read in readers.items():
        services.live_jobs.add(live._replace(waiting=waiting))
        row = make_newer(real_services, LIVE_TABLE, backend)
        log.clear()
        assert read() == []
        assert len([each for each in log.records if live.key in each.getMessage()]) == 1
    assert rows_of(real_services, LIVE_TABLE, backend) == [row]
    services.live_jobs.remove(live)


def test_newer_live_rows_at_the_head_of_the_line_keep_nobody_behind_them_out_of_it(
    services: Services, real_services: StorageServices, owner: str
) -> None:
    backend = a_name("line")
    table = real_services.tables.get_table_client(LIVE_TABLE)
    first, *others = waiting_jobs(owner, backend, 8)
    for job in others[:-1]:
        services.live_jobs.add(LiveJob.of(job, waiting=True))
        table.upsert_entity({**table.get_entity(backend, job.live_key), **NEWER}, mode=UpdateMode.REPLACE)
    for job in (first, others[-1]):
        services.live_jobs.add(LiveJob.of(job, waiting=True))
    found = services.live_jobs.line(backend, 2)
    assert [live.job_id for live in found] == [first.id, others[-1].id]


def test_newer_jobs_at_the_head_of_the_line_do_not_keep_the_one_behind_them_from_being_called(
    services: Services, real_services: StorageServices, owner: str
) -> None:
    """More of them than are read of the line at once."""
    backend, _ = services.backends.choose(None)
    table = real_services.tables.get_table_client(JOBS_TABLE)
    *newer, ours = waiting_jobs(owner, backend.name, 60)
    for job in (*newer, ours):
        stored(services, job)
        services.live_jobs.add(LiveJob.of(job, waiting=True))
    rows = [{**table.get_entity(owner, job.id), **NEWER} for job in newer]
    for row in rows:
        table.upsert_entity(row, mode=UpdateMode.REPLACE)
    try:
        read = services.gates.get(backend.name)
        services.gates.save(read, replace(read.gate, contended=True))
        call_next(services, backend.name)
        assert services.jobs.get(owner, ours.id).job.chain.turn == ours.chain.turn + 1
        assert [dict(table.get_entity(owner, job.id)) for job in newer] == rows
    finally:
        for job in (*newer, ours):
            services.live_jobs.remove(LiveJob.of(job))


def waiting_jobs(owner: str, backend: str, count: int) -> list[Job]:
    """In order of arrival."""
    now = datetime.now(UTC)
    return [a_job(owner, backend, created_at=now + timedelta(milliseconds=number)) for number in range(count)]


def test_a_newer_versions_estimate_teaches_nothing_and_fails_nothing(
    services: Services, real_services: StorageServices, log: pytest.LogCaptureFixture
) -> None:
    kind = JobKind(a_name("learned"), "sora", "480x480", 5)
    services.estimates.save(services.estimates.get(kind), Estimate(kind, (5.0,), 1))
    row = make_newer(real_services, ESTIMATES_TABLE, kind.backend)
    assert services.estimates.of_backend(kind.backend, 5) == []
    assert len(log.records) == 1
    with pytest.raises(NewerVersion):
        services.estimates.get(kind)
    assert rows_of(real_services, ESTIMATES_TABLE, kind.backend) == [row]


def test_newer_quotas_claims_and_idempotency_keys_are_left_alone(
    services: Services, real_services: StorageServices, owner: str
) -> None:
    claim = services.claims.claim(Claim(f"https://{owner}.invalid", "video_1", owner, a_job(owner).id))
    partition = next(
        row["PartitionKey"]
        for row in real_services.tables.get_table_client(CLAIMS_TABLE).list_entities()
        if row.get("owner") == owner
    )
    rows = [(CLAIMS_TABLE, partition, make_newer(real_services, CLAIMS_TABLE, partition))]
    with pytest.raises(NewerVersion):
        services.claims.find(claim.base_url, claim.backend_job_id)
    with pytest.raises(NewerVersion):
        services.claims.claim(claim._replace(job_id=a_job(owner).id))
    with pytest.raises(NewerVersion):
        services.claims.release(claim)

    read = services.jobs.quota(owner)
    services.jobs.save_quota(read, Quota())
    rows.append((JOBS_TABLE, owner, make_newer(real_services, JOBS_TABLE, owner)))
    with pytest.raises(NewerVersion):
        services.jobs.quota(owner)
    with pytest.raises(NewerVersion):
        services.jobs.save_quota(read, Quota())

    other = a_name("newer")
    client = real_services.tables.get_table_client(JOBS_TABLE)
    job = a_job(other)
    services.jobs.insert(job, IdempotencyEntry(other, "hash", "request", job.id))
    row = {**client.get_entity(other, "key_hash"), **NEWER}
    client.upsert_entity(row, mode=UpdateMode.REPLACE)
    with pytest.raises(NewerVersion):
        services.jobs.find_entry(other, "hash")
    again = a_job(other)
    with pytest.raises(NewerVersion):
        services.jobs.insert(again, IdempotencyEntry(other, "hash", "request", again.id))
    assert dict(client.get_entity(other, "key_hash")) == row
    for table, partition, expected in rows:
        assert expected in rows_of(real_services, table, partition)
