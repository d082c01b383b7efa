"""What the stores of jobs and messages promise: the real ones on Azurite and their in-memory twin alike."""

from __future__ import annotations

import logging
import re
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.pipeline.transport import RequestsTransport
from azure.data.tables import TableServiceClient

from local.azurite_process import Azurite
from tests.functional.storage_adapters import Storage, a_job, a_name, inserted, on_azurite, settings_for
from video_jobs.domain.chain import Chain
from video_jobs.domain.errors import Conflict, JobNotFound
from video_jobs.domain.job import InputImage, Job, JobError, Output, Status, StoredVideo
from video_jobs.ports import IdempotencyEntry, StoredJob
from video_jobs.storage.connection import StorageServices
from video_jobs.storage.job_rows import to_row
from video_jobs.storage.jobs import JOBS_TABLE, TableJobs
from video_jobs.wiring import build, utc_now

# --- jobs ---


def test_a_job_comes_back_as_it_was_stored(storage: Storage, owner: str) -> None:
    now = datetime(2026, 3, 1, 12, 0, 0, 123456, UTC)
    job = a_job(
        owner,
        status=Status.PENDING_DOWNLOAD,
        metadata={"größe": "日本 \U0001f3ac", 'quote"': "\\ \n"},
        expires_at=now + timedelta(days=1),
        outputs=(
            Output(0, "gen_1", Chain(3), stored=StoredVideo(5, "ab", True, 1, 2, 3), thumbnail="jpg"),
            Output(1, "video_a+b/c=", Chain(due_at=now), problem="no"),
        ),
        error=JobError("failed", "words", backend_code="x"),
    )
    job = replace(
        job,
        request=replace(
            job.request, prompt="\U0001f3ac" * 16_000, input_image=InputImage("image/png", 1, "aa", 2, 3)
        ),
    )
    inserted(storage, job)
    assert storage.jobs.get(owner, job.id).job == job


def test_a_job_of_another_owner_is_not_found(storage: Storage, owner: str) -> None:
    job = a_job(owner)
    inserted(storage, job)
    with pytest.raises(JobNotFound):
        storage.jobs.get("somebody-else", job.id)


def test_the_second_of_two_writers_gets_a_conflict(storage: Storage, owner: str) -> None:
    stored = inserted(storage, a_job(owner))
    saved = storage.jobs.save(stored, stored.job.evolve(utc_now(), status=Status.SUBMITTING))
    with pytest.raises(Conflict):
        storage.jobs.save(stored, stored.job.evolve(utc_now(), status=Status.FAILED))
    assert storage.jobs.get(owner, stored.job.id) == saved
    storage.jobs.save(saved, saved.job.evolve(utc_now(), status=Status.QUEUED))


def test_of_many_writers_at_once_one_wins(storage: Storage, owner: str) -> None:
    stored = inserted(storage, a_job(owner))
    barrier = threading.Barrier(6)

    def write(turn: int) -> bool:
        barrier.wait()
        try:
            storage.jobs.save(stored, replace(stored.job, chain=Chain(turn)))
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(write, range(10, 16))).count(True) == 1


def test_a_job_that_is_not_there_can_not_be_saved(storage: Storage, owner: str) -> None:
    stored = inserted(storage, a_job(owner))
    with pytest.raises(JobNotFound):
        storage.jobs.save(stored, a_job(owner))


def test_a_field_that_becomes_empty_is_empty_when_read(storage: Storage, owner: str) -> None:
    stored = inserted(storage, a_job(owner, reason="wait"))
    storage.jobs.save(stored, replace(stored.job, reason=None))
    assert storage.jobs.get(owner, stored.job.id).job.reason is None


def test_an_idempotency_key_belongs_to_the_first_and_the_second_leaves_nothing(
    storage: Storage, owner: str
) -> None:
    first, second = a_job(owner), a_job(owner)
    entry = IdempotencyEntry(owner, "hash", "request", first.id)
    assert isinstance(storage.jobs.insert(first, entry), StoredJob)
    assert storage.jobs.insert(second, replace(entry, job_id=second.id)) == entry
    assert storage.jobs.find_entry(owner, "hash") == entry
    assert storage.jobs.find_entry("somebody-else", "hash") is None
    with pytest.raises(JobNotFound):
        storage.jobs.get(owner, second.id)


def test_an_entry_that_was_read_is_replaced_with_the_job_that_it_names(storage: Storage, owner: str) -> None:
    first, second, third = a_job(owner), a_job(owner), a_job(owner)
    storage.jobs.insert(first, IdempotencyEntry(owner, "hash", "request", first.id))
    read = storage.jobs.find_entry(owner, "hash")
    assert read is not None
    assert isinstance(storage.jobs.insert(second, replace(read, job_id=second.id)), StoredJob)
    winner = storage.jobs.insert(third, replace(read, job_id=third.id))
    assert isinstance(winner, IdempotencyEntry)
    assert winner.job_id == second.id
    assert winner == storage.jobs.find_entry(owner, "hash")
    with pytest.raises(JobNotFound):
        storage.jobs.get(owner, third.id)
    assert isinstance(storage.jobs.insert(third, replace(winner, job_id=third.id)), StoredJob)


def test_an_entry_is_changed_only_by_whoever_read_it_last(storage: Storage, owner: str) -> None:
    job = a_job(owner)
    storage.jobs.insert(job, IdempotencyEntry(owner, "hash", "request", job.id))
    read = storage.jobs.find_entry(owner, "hash")
    assert read is not None
    storage.jobs.save_entry(replace(read, request_hash="other"))
    with pytest.raises(Conflict):
        storage.jobs.save_entry(replace(read, request_hash="third"))
    assert storage.jobs.find_entry(owner, "hash") == replace(read, request_hash="other")


def test_pages_are_newest_first_and_complete(storage: Storage, owner: str) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    jobs = [a_job(owner, created_at=start + timedelta(seconds=n)) for n in range(7)]
    for job in jobs:
        storage.jobs.insert(job, IdempotencyEntry(owner, job.id, "r", job.id))
    seen, after = [], None
    while True:
        page = storage.jobs.page(owner, limit=3, after=after, statuses=frozenset())
        seen += [job.id for job in page.jobs]
        after = page.after
        if after is None:
            break
    assert seen == [job.id for job in reversed(jobs)]


@pytest.mark.parametrize("apart", [timedelta(), timedelta(days=3)])
def test_pages_from_the_oldest_on_are_complete_and_leave_out_what_is_being_deleted(
    storage: Storage, owner: str, apart: timedelta
) -> None:
    """With one page's room in a probe the bisection has to search, even among jobs of one millisecond."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    jobs = [a_job(owner, created_at=start + n * apart) for n in range(14)]
    deleted = {job.id for job in jobs[2:10:2]}
    for job in jobs:
        entry = IdempotencyEntry(owner, job.id, "r", job.id)
        storage.jobs.insert(replace(job, deleted_at=start if job.id in deleted else None), entry)
    inserted(storage, a_job(f"{owner}-other"))
    seen, after = [], None
    while True:
        page = storage.jobs.page_oldest_first(owner, limit=2, after=after)
        assert len(page.jobs) == 2
        seen += [job.id for job in page.jobs]
        after = page.after
        if after is None:
            break
    assert seen == sorted((job.id for job in jobs if job.id not in deleted), reverse=True)
    assert (
        storage.jobs.page_oldest_first(owner, limit=2, after=jobs[-1].id if apart else min(seen)).jobs == []
    )


class CountingTransport(RequestsTransport):
    calls = 0

    def send(self, request: Any, **kwargs: Any) -> Any:
        self.calls += 1
        return super().send(request, **kwargs)


def test_the_first_page_costs_no_more_calls_with_many_jobs_than_with_few(
    azurite: Azurite, owner: str
) -> None:
    build(settings_for(azurite))
    transport = CountingTransport()
    tables = TableServiceClient.from_connection_string(azurite.connection_string, transport=transport)
    jobs, start = TableJobs(tables), datetime(2026, 1, 1, tzinfo=UTC)
    made: list[Job] = []
    for count, most_calls in ((10, 2), (500, 45)):
        new = [a_job(owner, created_at=start + timedelta(minutes=n)) for n in range(len(made), count)]
        for batch in (new[n : n + 100] for n in range(0, len(new), 100)):
            rows = [("create", {**to_row(job), "write_id": "w"}) for job in batch]
            tables.get_table_client(JOBS_TABLE).submit_transaction(rows)
        made += new
        before = transport.calls
        newest = jobs.page(owner, limit=5, after=None, statuses=frozenset())
        assert transport.calls - before == 1
        before = transport.calls
        oldest = jobs.page_oldest_first(owner, limit=5, after=None)
        assert transport.calls - before <= most_calls
        assert [job.id for job in newest.jobs] == [job.id for job in made[: -5 - 1 : -1]]
        assert [job.id for job in oldest.jobs] == [job.id for job in made[:5]]


def test_a_page_can_be_of_some_statuses_only(storage: Storage, owner: str) -> None:
    for status in (Status.QUEUED, Status.FAILED, Status.SUCCEEDED, Status.QUEUED):
        inserted(storage, a_job(owner, status=status))
    page = storage.jobs.page(owner, limit=9, after=None, statuses=frozenset({Status.QUEUED, Status.FAILED}))
    assert sorted(job.status for job in page.jobs) == ["failed", "queued", "queued"]


def test_a_page_can_be_of_one_backend_and_one_day(storage: Storage, owner: str) -> None:
    day = datetime(2026, 11, 28, tzinfo=UTC)
    moments = (
        day - timedelta(milliseconds=1),
        day,
        day + timedelta(days=1, milliseconds=-1),
        day + timedelta(days=1),
    )
    jobs = [inserted(storage, a_job(owner, created_at=moment)).job for moment in moments]
    inserted(storage, a_job(owner, created_at=day + timedelta(hours=1), backend="default2"))
    query: dict[str, Any] = {"limit": 9, "after": None, "statuses": frozenset()}
    made = (day, day + timedelta(days=1))
    of_both = storage.jobs.page(owner, **query, backend=jobs[1].backend.name, made=made)
    assert [job.id for job in of_both.jobs] == [jobs[2].id, jobs[1].id]
    assert [job.backend.name for job in storage.jobs.page(owner, **query, backend="default2").jobs] == [
        "default2"
    ]
    first = storage.jobs.page(owner, limit=1, after=None, statuses=frozenset(), made=made)
    rest = storage.jobs.page(owner, limit=9, after=first.after, statuses=frozenset(), made=made)
    assert len(first.jobs) + len(rest.jobs) == 3


def test_a_filter_that_lets_nothing_through_reads_so_many_rows_and_says_where_it_goes_on(
    storage: Storage, owner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("video_jobs.storage.job_pages", "video_jobs.storage.memory.jobs"):
        monkeypatch.setattr(f"{module}.MOST_PASSED", 4)
    monkeypatch.setattr("video_jobs.storage.job_pages._WINDOW", 2)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    oldest, *_ = [
        inserted(
            storage,
            a_job(
                owner,
                created_at=start + timedelta(seconds=n),
                status=Status.FAILED if n == 0 else Status.QUEUED,
            ),
        ).job
        for n in range(10)
    ]
    sought, after, pages = [], None, 0
    while True:
        page = storage.jobs.page(owner, limit=3, after=after, statuses=frozenset({Status.FAILED}))
        sought += page.jobs
        after, pages = page.after, pages + 1
        if after is None:
            break
    assert [job.id for job in sought] == [oldest.id]
    assert pages == 3, "four rows at a time"


def test_a_page_that_ends_with_the_list_has_no_next(storage: Storage, owner: str) -> None:
    for _ in range(2):
        inserted(storage, a_job(owner))
    assert storage.jobs.page(owner, limit=2, after=None, statuses=frozenset()).after is None


def test_a_page_leaves_out_what_is_being_deleted_and_is_full_all_the_same(
    storage: Storage, owner: str
) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    jobs = [a_job(owner, created_at=start - timedelta(seconds=n)) for n in range(6)]
    for number, job in enumerate(jobs):
        inserted(storage, replace(job, deleted_at=start if number in (0, 2, 4) else None))
    page = storage.jobs.page(owner, limit=2, after=None, statuses=frozenset())
    assert [job.id for job in page.jobs] == [jobs[1].id, jobs[3].id]
    last = storage.jobs.page(owner, limit=2, after=page.after, statuses=frozenset())
    assert ([job.id for job in last.jobs], last.after) == ([jobs[5].id], None)


def test_a_page_after_which_only_deleted_jobs_come_has_no_next(storage: Storage, owner: str) -> None:
    for seconds in (0, 1):
        created_at = utc_now() - timedelta(seconds=seconds)
        inserted(storage, a_job(owner, created_at=created_at, deleted_at=utc_now() if seconds else None))
    assert storage.jobs.page(owner, limit=1, after=None, statuses=frozenset()).after is None


def test_a_deleted_job_is_gone_and_may_be_deleted_again(storage: Storage, owner: str) -> None:
    job, other = a_job(owner), a_job(owner)
    entry = IdempotencyEntry(owner, "hash", "request", job.id)
    stored = storage.jobs.insert(job, entry)
    assert isinstance(stored, StoredJob)
    inserted(storage, other)
    for _ in range(2):
        storage.jobs.delete(stored)
        with pytest.raises(JobNotFound):
            storage.jobs.get(owner, job.id)
    with pytest.raises(JobNotFound):
        storage.jobs.save(stored, job)
    assert storage.jobs.get(owner, other.id).job == other
    assert storage.jobs.find_entry(owner, "hash") == entry  # it outlives the job


def test_a_job_that_has_changed_is_not_deleted(storage: Storage, owner: str) -> None:
    stored = inserted(storage, a_job(owner))
    saved = storage.jobs.save(stored, replace(stored.job, chain=Chain(2)))
    with pytest.raises(Conflict):
        storage.jobs.delete(stored)
    assert storage.jobs.get(owner, stored.job.id) == saved


# --- jobs that ended long ago ---

LONG_AGO = datetime(2011, 3, 4, 5, 6, 7, 123456, UTC)
HOUR = timedelta(hours=1)


def ended_long_ago(storage: Storage, owner: str, limit: int = 1000) -> list[StoredJob]:
    return [stored for stored in storage.jobs.ended_before(LONG_AGO, limit) if stored.job.owner == owner]


@pytest.mark.parametrize("status", Status)
def test_only_jobs_that_have_ended_are_found(storage: Storage, owner: str, status: Status) -> None:
    times = {"created_at": LONG_AGO - 2 * HOUR, "finished_at": LONG_AGO - HOUR}
    stored = inserted(storage, a_job(owner, status=status, **times))
    assert ended_long_ago(storage, owner) == ([stored] if status.is_terminal else [])


def test_only_jobs_that_ended_before_the_moment_are_found(storage: Storage, owner: str) -> None:
    just = timedelta(microseconds=1)
    within_its_millisecond = LONG_AGO - timedelta(microseconds=2)
    for created_at, finished_at in [
        (LONG_AGO - HOUR, LONG_AGO),
        (LONG_AGO - HOUR, LONG_AGO + HOUR),
        (LONG_AGO + HOUR, LONG_AGO + 2 * HOUR),
    ]:
        inserted(storage, a_job(owner, status=Status.FAILED, created_at=created_at, finished_at=finished_at))
    old = [
        inserted(storage, a_job(owner, status=Status.FAILED, created_at=created_at, finished_at=finished_at))
        for created_at, finished_at in [
            (within_its_millisecond, LONG_AGO - just),
            (LONG_AGO - HOUR, LONG_AGO - just),
            (LONG_AGO - 9000 * HOUR, LONG_AGO - 8000 * HOUR),
        ]
    ]
    assert ended_long_ago(storage, owner) == old


def test_a_job_that_is_being_deleted_is_not_found_again(storage: Storage, owner: str) -> None:
    ended = {"status": Status.FAILED, "created_at": LONG_AGO - HOUR, "finished_at": LONG_AGO - HOUR / 2}
    stored = inserted(storage, a_job(owner, **ended))
    inserted(storage, a_job(owner, **ended, deleted_at=utc_now()))
    assert ended_long_ago(storage, owner) == [stored]
    storage.jobs.save(stored, replace(stored.job, deleted_at=utc_now()))
    assert ended_long_ago(storage, owner) == []


def test_of_each_owners_jobs_as_many_are_found_as_asked_for_until_all_are(storage: Storage) -> None:
    owners = [a_name(kind) for kind in ("a", "it's-é", "key_", "job_", "z")]
    expected = set()
    for owner in owners:
        storage.jobs.insert(job := a_job(owner), IdempotencyEntry(owner, "hash", "request", job.id))
        for n in range(3):
            job = a_job(
                owner,
                status=Status.SUCCEEDED,
                created_at=LONG_AGO - (n + 2) * HOUR,
                finished_at=LONG_AGO - HOUR,
            )
            inserted(storage, job)
            expected.add(job.id)
    found: list[str] = []
    while batch := storage.jobs.ended_before(LONG_AGO, 2):
        of_each = Counter(stored.job.owner for stored in batch)
        assert max(of_each.values()) <= 2
        assert found or set(owners) <= of_each.keys()
        found += [stored.job.id for stored in batch]
        for stored in batch:
            storage.jobs.delete(stored)  # its ETag is the row's
    assert len(found) == len(set(found))
    assert expected <= set(found)


def test_a_row_that_a_newer_version_wrote_is_passed_over_and_said(
    azurite: Azurite, real_services: StorageServices, owner: str, caplog: pytest.LogCaptureFixture
) -> None:
    storage = on_azurite(azurite)
    ended = {"status": Status.FAILED, "created_at": LONG_AGO - HOUR, "finished_at": LONG_AGO - HOUR / 2}
    newer, broken, ours = (inserted(storage, a_job(owner, **ended)) for _ in range(3))
    table = real_services.tables.get_table_client(JOBS_TABLE)
    table.update_entity({"PartitionKey": owner, "RowKey": newer.job.id, "schema": 99})
    table.update_entity({"PartitionKey": owner, "RowKey": broken.job.id, "progress": "a secret"})
    with caplog.at_level(logging.WARNING, "reelkeep.storage"):
        assert ended_long_ago(storage, owner) == [ours]
    assert {newer.job.id, broken.job.id} <= set(re.findall(r"job_[0-9a-z]+", caplog.text))
    assert "schema 99" in caplog.text
    assert "a secret" not in caplog.text


def test_a_row_that_a_newer_version_wrote_is_left_out_of_lists(
    azurite: Azurite, real_services: StorageServices, owner: str, caplog: pytest.LogCaptureFixture
) -> None:
    storage = on_azurite(azurite)
    kept = [inserted(storage, a_job(owner)).job for _ in range(2)]
    newer = inserted(storage, a_job(owner)).job
    table = real_services.tables.get_table_client(JOBS_TABLE)
    table.update_entity({**to_row(newer), "schema": 99, "prompt": "a secret"})
    page = storage.jobs.page(owner, limit=10, after=None, statuses=frozenset())
    oldest = storage.jobs.page_oldest_first(owner, limit=10, after=None)
    assert {job.id for job in page.jobs} == {job.id for job in oldest.jobs} == {job.id for job in kept}
    assert newer.id in caplog.text
    assert "a secret" not in caplog.text


def test_idempotency_keys_are_found_by_the_age_of_their_job_and_deleted_unless_they_changed(
    storage: Storage, owner: str
) -> None:
    now = datetime.now(UTC)
    old, young = a_job(owner, created_at=now - timedelta(hours=2)), a_job(owner, created_at=now)
    for job, key in ((old, "old"), (young, "young")):
        storage.jobs.insert(job, IdempotencyEntry(owner, key, "request", job.id))

    def found() -> list[IdempotencyEntry]:
        before = now - timedelta(hours=1)
        return [entry for entry in storage.jobs.entries_before(before) if entry.owner == owner]

    [entry] = found()
    assert (entry.key_hash, entry.job_id) == ("old", old.id)
    storage.jobs.save_entry(entry)
    with pytest.raises(Conflict):
        storage.jobs.delete_entry(entry)
    for entry in found():
        storage.jobs.delete_entry(entry)
        storage.jobs.delete_entry(entry)
    assert found() == []
    assert storage.jobs.find_entry(owner, "young") is not None
