"""A backend's list in forms that are not specified: what was made is found in it, and only a whole one proves anything."""

from __future__ import annotations

import itertools
import json
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from job_api.retry import retry_job
from tests.cases import further
from tests.pipeline import OWNER
from tests.strange_api import Asked, Reply, StrangeApi, StrangeLine
from tests.strange_server import ID, Server, code_of, in_doubt
from video_jobs.backends.job_list import read_list
from video_jobs.domain.errors import Unavailable
from video_jobs.domain.job import Status


@pytest.mark.parametrize(
    "written",
    [
        {"created_at": 1_793_880_000_000},
        {"created_at": 1_793_880_000_000_000_000},
        {"created_at": "2026-11-05T12:00:00Z"},
        {"created_at": "Thu, 05 Nov 2026 12:00:00 GMT"},
        {"seconds": "4s"},
        {"seconds": "4.0"},
        {"size": "64X48"},
        {"size": "64*48"},
        {"seed": 2**64 - 1},
        {"seed": float("nan")},
        {"frames": list(range(5000))},
        {"id": None, "task_id": ID},
    ],
    ids=str,
)
def test_an_entry_is_recognised_however_it_is_written(api: StrangeApi, written: dict[str, Any]) -> None:
    server = Server(api)
    line, job = in_doubt(server)
    server.replies["list"] = Reply(200, {"data": [server.shown(status="completed", **written)]})
    assert line.run_for(job, hours=1).status is Status.SUCCEEDED
    assert len(api.asked("create")) == 1


@pytest.mark.parametrize("count", [60, 50, 3])
@pytest.mark.parametrize("ours", [True, False])
def test_a_server_that_does_not_know_pages_has_told_all_unless_it_told_just_as_many_as_were_asked_for(
    api: StrangeApi, count: int, ours: bool
) -> None:
    server = Server(api)
    line, job = in_doubt(server)
    others = [
        server.shown(id=f"other_{n}", prompt="other", created_at=server.created_at + 60) for n in range(count)
    ]
    entries = [*others[:-1], server.shown(status="completed")] if ours else others
    server.replies["list"] = Reply(200, {"data": entries})
    seen = line.run_for(job, hours=1)
    if ours:
        assert seen.status is Status.SUCCEEDED
    elif count == 50:
        assert seen.status is Status.SUBMITTING
    else:
        assert code_of(seen) == "submission_unconfirmed"


@pytest.mark.parametrize(
    ("said", "is_empty"),
    [
        ({"object": "list", "data": None, "has_more": False}, True),  # how Go writes no entries
        ({"code": "fail", "message": "try again", "data": None}, False),
    ],
    ids=str,
)
def test_null_in_place_of_the_entries_is_an_empty_list_where_no_more_are_to_come(
    api: StrangeApi, said: dict[str, Any], is_empty: bool
) -> None:
    server = Server(api)
    line, job = in_doubt(server)
    server.replies["list"] = Reply(200, said)
    ended = line.run_for(job, hours=1)
    assert code_of(ended) == ("submission_unconfirmed" if is_empty else None)


def test_a_list_whose_entries_can_not_be_read_proves_nothing(api: StrangeApi) -> None:
    server = Server(api)
    line, job = in_doubt(server)
    server.replies["list"] = Reply(200, {"data": [{"name": "x"}, server.shown(id="other", prompt="other")]})
    assert line.run_for(job, hours=1).status is Status.SUBMITTING
    waiting, gone = StrangeLine(api), Reply(404, {"detail": "Not Found"})
    server.replies |= {"create": Reply(200, server.shown(status="queued")), "get": gone, "content": gone}
    assert not waiting.run_for(waiting.submit(), hours=1).is_terminal


def test_what_earlier_polls_read_of_a_long_list_counts_at_its_end(api: StrangeApi) -> None:
    """With a model under another name, only the whole list tells that there is no second one."""
    server = Server(api)
    line, job = in_doubt(server)
    others = [
        server.shown(id=f"other_{n}", prompt="other", created_at=server.created_at + (n * 7) % 13)
        for n in range(1500)
    ]
    entries = [server.shown(status="completed", model="m-2026-10-06"), *others]

    def pages(asked: Asked) -> Reply:
        after = asked.path.partition("after=")[2].partition("&")[0]
        at = next((n + 1 for n, entry in enumerate(entries) if entry["id"] == after), 0)
        return Reply(200, {"data": entries[at : at + 50], "has_more": at + 50 < len(entries)})

    server.replies["list"] = pages
    assert line.run_for(job, hours=1).status is Status.SUCCEEDED


def test_where_nobody_knows_the_servers_clock_what_says_the_same_is_named(api: StrangeApi) -> None:
    server = Server(api)
    line, job = in_doubt(server)
    late = server.shown(id="video_9", created_at=server.created_at + 3 * 3600)
    server.replies["list"] = Reply(200, {"data": [late]}, {"Date": ""})
    ended = line.run_for(job, hours=1)
    assert ended.error is not None
    assert (ended.error.code, ended.error.candidates) == ("submission_unconfirmed", ("video_9",))


@pytest.mark.parametrize("hours", [-8, 5.5, 14])
def test_an_entry_of_another_time_zone_that_says_the_same_is_named(api: StrangeApi, hours: float) -> None:
    server = Server(api)
    line, job = in_doubt(server)
    local = api.clock() + timedelta(hours=hours)
    entries = [
        server.shown(id="video_9", created_at=local.replace(tzinfo=None).isoformat()),
        server.shown(id="video_8", created_at=(local - timedelta(minutes=10)).isoformat()),
    ]
    server.replies["list"] = Reply(200, {"data": entries})
    ended = line.run_for(job, hours=1)
    assert ended.error is not None
    assert (ended.error.code, ended.error.candidates) == ("submission_unconfirmed", ("video_9",))


# --- what a retry learns from it -----------------------------------------------------------------


def test_one_404_of_a_list_makes_no_retry_pay_again(api: StrangeApi) -> None:
    server = Server(api)
    line, job = in_doubt(server)
    server.replies["list"] = Reply(200, {"data": []})
    assert code_of(line.run_for(job, hours=1)) == "submission_unconfirmed"
    server.replies = {"list": Reply(404, {"detail": "Not Found"})}
    again = retry_job(line.services, OWNER, job.id)
    line.run_for(again, hours=0.02)
    server.replies.clear()
    assert line.run_for(again, hours=1).status is Status.SUCCEEDED
    assert len(api.asked("create")) == 1


@pytest.mark.parametrize("operation", ["get", further("content")])
@pytest.mark.parametrize("status", [further(403), 404])
def test_one_refusal_of_what_is_left_makes_no_retry_pay_again(
    api: StrangeApi, operation: str, status: int
) -> None:
    server = Server(api)
    line = StrangeLine(api, retention_hours=1)
    job = line.submit()
    server.replies["content"] = Reply(503)
    ended = line.run_for(job, hours=24 * 9)
    assert ended.status is Status.EXPIRED
    server.replies = {operation: Reply(status, {"detail": "not now"})}
    again = retry_job(line.services, OWNER, job.id)
    line.run_for(again, hours=0.02)
    server.replies.clear()
    assert line.run_for(again, hours=1).status is Status.SUCCEEDED
    assert len(api.asked("create")) == 1


def test_a_refusal_that_lasts_lets_a_retry_make_it_anew(api: StrangeApi) -> None:
    server = Server(api)
    line = StrangeLine(api, retention_hours=1)
    job = line.submit()
    server.replies["content"] = Reply(404)
    assert line.run_for(job, hours=24 * 9).status is Status.EXPIRED
    again = retry_job(line.services, OWNER, job.id)
    line.run(again, lambda seen: len(api.asked("create")) == 2)
    waited = line.now() - again.created_at
    assert timedelta(minutes=5) <= waited < timedelta(minutes=7)


# --- its size ------------------------------------------------------------------------------------


class Endless:
    """A body that does not end."""

    def __init__(self, beginning: bytes, more: bytes) -> None:
        self.beginning, self.more, self.read = beginning, more, 0

    def chunks(self, size: int) -> Iterator[bytes]:
        for piece in itertools.chain(
            [self.beginning], itertools.repeat(self.more * (size // len(self.more)))
        ):
            self.read += len(piece)
            yield piece


@pytest.mark.parametrize("beginning", [b'{"data":[{"id":"a"},{"x":"', b'{"data":[{"id":"a"},'])
@pytest.mark.parametrize(
    "more", [b"a", further(b" "), further(b"1"), b"[", further(b'{"a":'), further(b'"a",')]
)
def test_a_list_is_read_to_a_bound_whatever_it_holds(
    monkeypatch: pytest.MonkeyPatch, beginning: bytes, more: bytes
) -> None:
    # The same bounds, lower: each case takes seconds to reach the true ones.
    monkeypatch.setattr("video_jobs.backends.inline_video.LONGEST_READ", 3 << 20)
    monkeypatch.setattr("video_jobs.backends.job_list._LARGEST_PAGE", 2 << 20)
    monkeypatch.setattr("video_jobs.backends.job_list._MOST_EVENTS", 20_000)
    body = Endless(beginning, more)
    tracemalloc.start()
    try:
        with suppress(Unavailable):
            assert read_list(body, lambda entry: entry).has_more  # type: ignore[arg-type]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert body.read < 4 << 20
    assert peak < 20 << 20


def test_of_a_list_with_too_many_large_images_the_beginning_is_read() -> None:
    class Content:
        def chunks(self, size: int) -> Iterator[bytes]:
            yield b'{"data":['
            for _ in range(40):
                yield b'{"id":"a","image":"' + b"QUJD" * (1 << 19) + b'"},'

    page = read_list(Content(), lambda entry: entry["id"])  # type: ignore[arg-type]
    assert (page.entries[:2], page.has_more) == (["a", "a"], True)


def test_a_prompt_of_escapes_costs_no_more_than_its_length(api: StrangeApi) -> None:
    server = Server(api)
    line, job = in_doubt(server)
    body = {"data": [server.shown(prompt="%25" * 1_500_000), server.shown(status="completed")]}
    server.replies["list"] = Reply(200, json.dumps(body).encode())
    tracemalloc.start()
    try:
        assert line.run_for(job, hours=1).status is Status.SUCCEEDED
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()
