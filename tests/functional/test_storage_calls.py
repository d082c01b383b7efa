"""What an answer costs in calls to the storage, counted on Azurite."""

from __future__ import annotations

import contextlib
from datetime import timedelta

import pytest
from azure.core.exceptions import ResourceNotFoundError

from http_edge.answers import see_job
from local.azurite_process import Azurite
from tests.functional.storage_adapters import a_job, settings_for
from tests.functional.storage_calls import storage_calls
from video_jobs.domain.job import Job
from video_jobs.domain.queue_messages import FETCH_QUEUE, NOTIFY_QUEUE, POLL_QUEUE
from video_jobs.lifecycle.find import find_job
from video_jobs.ports import Claim, LiveJob
from video_jobs.services import Services
from video_jobs.storage import known_line
from video_jobs.storage.connection import StorageServices
from video_jobs.wiring import build


@pytest.fixture
def services(azurite: Azurite) -> Services:
    return build(settings_for(azurite))


def in_line(services: Services, owner: str, backend: str, count: int) -> list[Job]:
    first = a_job(owner, backend)
    jobs = [
        first,
        *(
            a_job(owner, backend, created_at=first.created_at + timedelta(milliseconds=n))
            for n in range(1, count)
        ),
    ]
    for job in jobs:
        services.jobs.insert(job, None)
        services.live_jobs.add(LiveJob.of(job, waiting=True))
    return jobs


def position(services: Services, job: Job) -> int | None:
    return see_job(services, find_job(services, job.owner, job.id).job).body["queue_position"]


def test_a_look_at_a_waiting_job_costs_two_calls_however_many_look(
    services: Services, owner: str, backend: str
) -> None:
    jobs = in_line(services, owner, backend, 4)
    assert position(services, jobs[0]) == 1
    with storage_calls() as calls:
        assert [position(services, job) for job in jobs] == [1, 2, 3, 4]
    assert len(calls) == 2 * len(jobs), calls


def test_a_place_in_line_follows_what_this_process_does_at_once_and_others_within_seconds(
    services: Services, azurite: Azurite, owner: str, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = in_line(services, owner, backend, 3)
    assert position(services, jobs[2]) == 3
    services.live_jobs.remove(LiveJob.of(jobs[0]))
    assert position(services, jobs[2]) == 2
    others = build(settings_for(azurite))
    others.live_jobs.add(LiveJob.of(jobs[1]))
    assert position(services, jobs[2]) == 2
    monkeypatch.setattr(known_line, "_KEPT", 0.0)
    assert position(services, jobs[2]) == 1


def test_poison_queues_that_are_not_there_cost_one_call_together(
    services: Services, real_services: StorageServices
) -> None:
    for name in (POLL_QUEUE, FETCH_QUEUE, NOTIFY_QUEUE):
        with contextlib.suppress(ResourceNotFoundError):
            real_services.queues.delete_queue(f"{name}-poison")
    with storage_calls() as calls:
        assert services.messages.take_poison(32) == []
    assert len(calls) == 1, calls


def test_a_claim_and_its_note_cost_one_call(services: Services, owner: str) -> None:
    claim = Claim(f"https://{owner}.invalid", "video_1", owner, a_job(owner).id)
    with storage_calls() as calls:
        assert services.claims.claim(claim) == claim
    assert len(calls) == 1, calls
    assert services.claims.of_job(claim.job_id, claim.base_url) == [claim]
