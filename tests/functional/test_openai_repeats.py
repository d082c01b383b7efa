"""What OpenAI's package sends again is paid for once, however the two meet; what is asked for twice is made twice.

Real threads, a real backend over a socket, storage in memory; some calls are held up where a race is wanted.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest

from openai_api.create import create_video
from openai_api.request import read_create
from tests.pipeline import SMALL, Pipeline
from video_jobs.domain.errors import StorageUnavailable, TooManyJobs
from video_jobs.domain.job import Job, Status
from video_jobs.domain.quota import OwnerLimits
from video_jobs.lifecycle.repair import mark_deleted
from video_jobs.settings.api_keys import ApiKey
from video_jobs.wiring import utc_now

KEY = ApiKey("alice", "ab" * 32)
BODY = SMALL["azure-sora"]


class Client:
    """Sends through the API; time passes as it does, for which a simulated clock is too coarse."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.services = pipeline.services._replace(clock=utc_now)

    def send(self, count: int = 0, *, key: ApiKey = KEY, at: datetime | None = None, **changes: Any) -> Job:
        """`count` is the package's; `at` when the request came, in place of now."""
        arrived_at = at or utc_now()
        submission = read_create(
            {"content-type": "application/json"},
            json.dumps({**BODY, **changes}).encode(),
            lambda: ({}, {}),
            self.services.backends,
        )
        return create_video(self.services, key, submission, arrived_at, repeat=count > 0)

    @property
    def paid(self) -> int:
        return self.pipeline.backend_jobs()

    @property
    def jobs(self) -> set[str]:
        return {stored.job.id for stored in self.pipeline.jobs.everything()}


@pytest.fixture
def client(simulator: Any) -> Client:
    simulator.world.change({"running_limit": None})
    return Client(Pipeline(simulator, "azure-sora", VIDEO_RUNNING_LIMIT="0"))


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


@contextmanager
def held_up(client: Client, method: str) -> Iterator[tuple[threading.Event, Callable[[], None]]]:
    """The first call of a method of the job store waits before it does anything; gives `reached` and `go`."""
    reached, go = threading.Event(), threading.Event()
    real = getattr(client.pipeline.jobs, method)
    first = threading.Lock()

    def waiting(*arguments: Any, **named: Any) -> Any:
        if first.acquire(blocking=False):
            reached.set()
            assert go.wait(20)
        return real(*arguments, **named)

    with patch.object(client.pipeline.jobs, method, waiting):
        yield reached, go.set


def test_creates_of_the_same_body_are_as_many_videos(client: Client) -> None:
    assert len({client.send().id for _ in range(4)}) == 4
    assert client.paid == 4


def test_a_repeat_after_the_answer_was_lost_finds_the_first_job(client: Client) -> None:
    client.send()
    last = client.send()
    assert client.send(1).id == client.send(2).id == last.id
    assert client.paid == 2


def test_a_repeat_of_what_has_not_arrived_is_a_create_and_the_first_sending_gets_its_job_however_late(
    client: Client,
) -> None:
    first = client.send(1)
    assert client.send(2).id == first.id
    assert client.send(at=utc_now() + timedelta(seconds=240)).id == first.id
    assert client.paid == 1
    assert client.send().id != first.id
    assert client.paid == 2


@pytest.mark.parametrize("seconds", [-5, 5])
def test_a_first_sending_gets_its_repeats_job_though_clocks_differ(client: Client, seconds: float) -> None:
    repeat = client.send(1)
    assert client.send(at=utc_now() + timedelta(seconds=seconds)).id == repeat.id
    assert client.paid == 1


@pytest.mark.parametrize(
    "other",
    [{"prompt": "another boat"}, {"seconds": 2}, {"user": "another"}, {"key": ApiKey("alice", "cd" * 32)}],
)
def test_a_repeat_is_of_the_same_body_with_the_same_key(client: Client, other: dict[str, Any]) -> None:
    assert client.send().id != client.send(1, **other).id


def test_a_repeat_is_no_repeat_of_what_was_made_hours_ago_or_is_deleted(client: Client) -> None:
    first = client.send()
    later = utc_now() + timedelta(hours=1)
    second = client.send(1, at=later)
    assert second.id != first.id
    mark_deleted(client.services, client.pipeline.jobs.get("alice", second.id))
    assert client.send(1).id not in (first.id, second.id)


@pytest.mark.parametrize("method", ["find_entry", "insert"])
def test_a_first_sending_that_is_still_on_its_way_gets_its_repeats_job(
    client: Client, pool: ThreadPoolExecutor, method: str
) -> None:
    with held_up(client, method) as (reached, go):
        first = pool.submit(client.send)
        assert reached.wait(20)
        repeat = client.send(1)
        go()
        assert first.result(20).id == repeat.id
    assert client.jobs == {repeat.id}
    assert client.paid == 1
    assert not client.pipeline.blobs.inputs


@pytest.mark.parametrize("method", ["find_entry", "insert"])
def test_a_repeat_that_is_still_on_its_way_gets_the_first_ones_job(
    client: Client, pool: ThreadPoolExecutor, method: str
) -> None:
    with held_up(client, method) as (reached, go):
        repeat = pool.submit(client.send, 1)
        assert reached.wait(20)
        first = client.send()
        go()
        assert repeat.result(20).id == first.id
    assert client.paid == 1


def test_a_repeats_job_is_given_to_one_create_only(client: Client, pool: ThreadPoolExecutor) -> None:
    client.send()
    with held_up(client, "find_entry") as (reached, go):
        first = pool.submit(client.send)
        assert reached.wait(20)
        with patch(
            "openai_api.create._RECENT", timedelta()
        ):  # a repeat that takes the earlier one for none of its own
            repeat = client.send(1)
        # Which of the two creates the repeat was of, nobody can tell: one gets its job, the other makes one.
        other = client.send()
        go()
        assert other.id == repeat.id != first.result(20).id
    assert client.paid == 3


def test_two_creates_at_once_are_two_videos_though_one_loses_the_entry(
    client: Client, pool: ThreadPoolExecutor
) -> None:
    with held_up(client, "insert") as (reached, go):
        held = pool.submit(client.send)
        assert reached.wait(20)
        others = [client.send() for _ in range(2)]
        go()
        ids = {held.result(20).id, *(other.id for other in others)}
    assert len(ids) == 3
    assert client.paid == 3
    assert len(client.pipeline.live_jobs.keys) == 3


@pytest.mark.promise("I2")
def test_a_storm_of_creates_gives_each_its_own_and_its_repeats_never_one_more(
    client: Client, pool: ThreadPoolExecutor
) -> None:
    for round_number in range(6):
        prompt = {"prompt": f"boat {round_number}"}
        creates = 1 + round_number % 4
        gate = threading.Barrier(creates * 3)
        before = client.paid

        def one(count: int, gate: threading.Barrier = gate, prompt: dict[str, str] = prompt) -> Job:
            came = utc_now() - timedelta(
                seconds=0 if count else 1
            )  # no repeat is sent before its first sending
            gate.wait(20)
            return client.send(count, at=came, **prompt)

        sent: list[Future[Job]] = [pool.submit(one, count) for _ in range(creates) for count in (0, 1, 2)]
        assert len({future.result(30).id for future in sent}) <= creates
        assert 1 <= client.paid - before <= creates


def test_a_create_that_only_just_finds_a_repeats_job_leaves_it_to_a_faster_create(
    client: Client, pool: ThreadPoolExecutor
) -> None:
    repeat = client.send(1)
    with held_up(client, "save_entry") as (reached, go):
        slower = pool.submit(client.send)
        assert reached.wait(20)
        faster = client.send()
        go()
        assert faster.id == repeat.id != slower.result(20).id
    assert client.paid == 2


def test_a_create_that_can_not_take_its_repeats_job_leaves_it_to_the_next_repeat(
    client: Client,
) -> None:
    first = client.send(1)
    with (
        patch("openai_api.create._taken", side_effect=StorageUnavailable("no")),
        pytest.raises(StorageUnavailable),
    ):
        client.send()
    assert client.send(2).id == first.id
    assert client.paid == 1


def test_an_owner_over_the_limit_is_told_so_though_the_body_came_before(client: Client) -> None:
    client.services = client.services._replace(owner_limits=OwnerLimits(at_once=1))
    client.send()
    with pytest.raises(TooManyJobs):
        client.send()
    assert client.send(1).id in client.jobs
    assert client.paid == 1


def test_creates_alone_in_a_storm_are_all_made(client: Client, pool: ThreadPoolExecutor) -> None:
    gate = threading.Barrier(8)

    def one() -> Job:
        gate.wait(20)
        return client.send()

    assert len({future.result(30).id for future in [pool.submit(one) for _ in range(8)]}) == 8
    assert client.paid == 8


def test_once_there_is_a_job_a_storage_fault_is_no_error(client: Client) -> None:
    down = StorageUnavailable("no")
    with patch.object(client.pipeline.messages, "send_poll", side_effect=down):
        first = client.send()
    assert first.status is Status.WAITING
    with patch.object(client.pipeline.jobs, "get", side_effect=down):
        again = client.send(1)
    assert (again.id, again.request) == (first.id, first.request)
    assert abs(again.created_at - first.created_at) <= timedelta(milliseconds=1)


def test_once_there_is_a_job_not_even_a_bug_is_an_error(client: Client) -> None:
    with patch("video_jobs.lifecycle.accept.start", side_effect=KeyError("a bug")):
        first = client.send()
    assert client.jobs == {first.id}
    assert client.send(1).id == first.id


def test_while_there_is_no_job_a_storage_fault_leaves_room_for_the_repeat(client: Client) -> None:
    with (
        patch.object(client.pipeline.jobs, "insert", side_effect=StorageUnavailable("no")),
        pytest.raises(StorageUnavailable),
    ):
        client.send()
    client.send(1)
    assert client.paid == 1


def test_a_refused_job_is_found_by_its_repeat_and_not_asked_for_again(client: Client) -> None:
    client.pipeline.fault("create", status=400)
    refused = client.send()
    assert refused.was_refused
    assert client.send(1).id == refused.id
    assert client.paid == 0
