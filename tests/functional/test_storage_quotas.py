"""An owner's quota beside the owner's jobs: on Azurite and in memory alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from local.azurite_process import Azurite
from tests.functional.storage_adapters import Forgetful, Storage, a_job, inserted
from tests.steps import all_at_once
from video_jobs.domain.errors import Conflict, JobNotFound
from video_jobs.domain.job import Job, Status
from video_jobs.domain.quota import OwnerLimits, Quota, take
from video_jobs.ports import Allowance, IdempotencyEntry, JobStore, StoredJob
from video_jobs.storage.jobs import TableJobs

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIMITS = OwnerLimits(at_once=100, per_day=100)


def allowance(jobs: JobStore, job: Job) -> Allowance:
    read = jobs.quota(job.owner)
    return Allowance(read, take(read.quota, LIMITS, job.id, NOW))


def entry_of(job: Job, key: str = "hash") -> IdempotencyEntry:
    return IdempotencyEntry(job.owner, key, "request", job.id)


def test_a_job_and_what_it_takes_of_its_owners_quota_are_stored_together(
    storage: Storage, owner: str
) -> None:
    assert storage.jobs.quota(owner).quota == Quota()
    first, second = a_job(owner), a_job(owner)
    for job, key in ((first, "one"), (second, "two")):
        assert isinstance(
            storage.jobs.insert(job, entry_of(job, key), allowance(storage.jobs, job)), StoredJob
        )
        assert storage.jobs.get(owner, job.id).job == job
    assert storage.jobs.quota(owner).quota == Quota((first.id, second.id), NOW.date(), 2)
    assert storage.jobs.quota("somebody-else").quota == Quota()


@pytest.mark.parametrize("there", [False, True])
def test_a_job_whose_owners_quota_has_changed_since_it_was_read_is_not_stored(
    storage: Storage, owner: str, there: bool
) -> None:
    first, second, third = a_job(owner), a_job(owner), a_job(owner)
    if there:
        storage.jobs.insert(first, None, allowance(storage.jobs, first))
    stale = allowance(storage.jobs, third)
    storage.jobs.insert(second, None, allowance(storage.jobs, second))
    quota = storage.jobs.quota(owner)
    with pytest.raises(Conflict):
        storage.jobs.insert(third, entry_of(third), stale)
    with pytest.raises(JobNotFound):
        storage.jobs.get(owner, third.id)
    assert storage.jobs.find_entry(owner, "hash") is None
    assert storage.jobs.quota(owner) == quota


def test_a_key_that_is_taken_takes_nothing_of_the_quota(storage: Storage, owner: str) -> None:
    first, second = a_job(owner), a_job(owner)
    stale = allowance(storage.jobs, second)
    storage.jobs.insert(first, entry_of(first), allowance(storage.jobs, first))
    for asked in (stale, allowance(storage.jobs, second)):
        assert storage.jobs.insert(second, entry_of(second), asked) == entry_of(first)
    assert storage.jobs.quota(owner).quota.alive == (first.id,)


def test_the_second_of_two_who_change_a_quota_gets_a_conflict(storage: Storage, owner: str) -> None:
    for quota in (Quota(("job_1",), NOW.date(), 1), Quota((), NOW.date(), 1)):
        read = storage.jobs.quota(owner)
        storage.jobs.save_quota(read, quota)
        with pytest.raises(Conflict):
            storage.jobs.save_quota(read, Quota())
        assert storage.jobs.quota(owner).quota == quota


def test_of_many_who_take_at_once_each_is_counted(storage: Storage, owner: str) -> None:
    def submit(_: int) -> str:
        job = a_job(owner)
        while True:
            try:
                storage.jobs.insert(job, entry_of(job, job.id), allowance(storage.jobs, job))
            except Conflict:
                continue
            return job.id

    ids = all_at_once(submit)
    quota = storage.jobs.quota(owner).quota
    assert (sorted(quota.alive), quota.accepted) == (sorted(ids), len(ids))
    assert {storage.jobs.get(owner, job_id).job.id for job_id in ids} == set(ids)


def test_a_quota_is_in_no_list_of_jobs(storage: Storage, owner: str) -> None:
    ended = {"status": Status.FAILED, "created_at": datetime(2011, 1, 1, tzinfo=UTC)}
    job = a_job(owner, **ended, finished_at=datetime(2011, 1, 2, tzinfo=UTC))
    stored = storage.jobs.insert(job, entry_of(job), allowance(storage.jobs, job))
    newest = inserted(storage, a_job(owner))
    page = storage.jobs.page(owner, limit=10, after=None, statuses=frozenset())
    assert (page.jobs, page.after) == ([newest.job, job], None)
    assert storage.jobs.page(owner, limit=10, after=None, statuses=frozenset({Status.FAILED})).jobs == [job]
    long_ago = datetime(2011, 1, 2, tzinfo=UTC) + timedelta(seconds=1)
    assert [found for found in storage.jobs.ended_before(long_ago, 1000) if found.job.owner == owner] == [
        stored
    ]


@pytest.mark.parametrize("how", ["lose", "unavailable"])
def test_a_lost_reply_counts_a_job_once(forgetful: Forgetful, azurite: Azurite, owner: str, how: str) -> None:
    jobs = TableJobs(forgetful.tables)
    taken = []
    for key in ("one", "two"):  # the row is new, then not
        job = a_job(owner)
        asked = allowance(jobs, job)
        forgetful.lose_the_next_reply(how)
        assert isinstance(jobs.insert(job, entry_of(job, key), asked), StoredJob)
        assert forgetful.lost
        taken.append(job.id)
        assert jobs.quota(owner).quota == Quota(tuple(taken), NOW.date(), len(taken))
    forgetful.lose_the_next_reply(how)
    jobs.save_quota(jobs.quota(owner), Quota((), NOW.date(), 2))
    assert forgetful.lost
    assert jobs.quota(owner).quota == Quota((), NOW.date(), 2)
