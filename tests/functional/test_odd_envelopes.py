"""Answers in odd envelopes and under odd headers: what was generated and paid is found, and what failed is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.strange_api import START, Asked, Reply, StrangeApi, StrangeLine, small_mp4
from tests.strange_server import ID, VIDEO, Server, code_of
from video_jobs.domain.job import Status

WEBM = b"\x1a\x45\xdf\xa3" + bytes(range(256)) * 20
FAST = small_mp4()[28:]  # begins with its movie, without the box that names the kind of file


# --- how an answer is wrapped --------------------------------------------------------------------

ENVELOPES: dict[str, Callable[[Any], Any]] = {
    "a list of one": lambda job: [job],
    "JSON in a text": json.dumps,
    "two envelopes": lambda job: {"code": 0, "data": {"task": job}},
    "an envelope with a list": lambda job: {"result": {"data": [job]}},
    "a note behind it": lambda job: json.dumps(job, indent=1).encode() + b"\nOK {} done\n",
    "JSON in lines": lambda job: b'{"progress": 1}\n' + json.dumps(job).encode() + b'\n{"status": "bye"}\n',
    "events": lambda job: (
        b": hello\n\nevent: job\ndata: " + json.dumps(job).encode() + b"\n\ndata: [DONE]\n\n"
    ),
    "an id in camel case": lambda job: {"taskId": job["id"], **{k: v for k, v in job.items() if k != "id"}},
}


@pytest.mark.parametrize("envelope", ENVELOPES)
def test_a_job_is_found_in_its_envelope(api: StrangeApi, envelope: str) -> None:
    server = Server(api)
    wrap = ENVELOPES[envelope]
    server.replies["list"] = Reply(405)
    server.replies["create"] = lambda asked: Reply(200, wrap(server.shown(status="queued")))
    server.replies["get"] = lambda asked: Reply(200, wrap(server.shown(**server.job)))
    line = StrangeLine(api)
    assert line.run_for(line.submit(), hours=1).status is Status.SUCCEEDED
    assert len(api.asked("create")) == 1


@pytest.mark.parametrize(
    "cut", ['{"generations": [\n{"id": "gen_1", "status": "queued"}\n', 'data: {"id": "vi']
)
def test_a_part_of_a_new_job_is_not_taken_for_it(api: StrangeApi, cut: str) -> None:
    server = Server(api)
    server.replies |= {"create": Reply(200, cut.encode()), "list": Reply(405)}
    line = StrangeLine(api)
    assert code_of(line.run_for(line.submit(), hours=1)) == "submission_unconfirmed"


def test_an_answer_that_is_complete_is_believed_though_a_longer_one_was_announced(api: StrangeApi) -> None:
    server = Server(api)
    server.replies["list"] = Reply(405)
    server.replies["create"] = lambda asked: Reply(200, server.shown(status="queued"), length=900)
    server.replies["get"] = lambda asked: Reply(200, server.shown(**server.job), length=900)
    line = StrangeLine(api)
    assert line.run_for(line.submit(), hours=1).status is Status.SUCCEEDED
    assert len(api.asked("create")) == 1


@pytest.mark.parametrize("status", [200, 201, 202])
@pytest.mark.parametrize("header", ["Location", "Operation-Location"])
@pytest.mark.parametrize(
    "address", ["{path}/{id}", "{path}/{id}/status?v=1", "https://behind.example.test/openai{path}/{id}"]
)
def test_the_address_of_a_new_job_tells_its_id_where_the_body_does_not(
    api: StrangeApi, status: int, header: str, address: str
) -> None:
    server = Server(api)
    server.replies["list"] = Reply(405)

    def create(asked: Asked) -> Reply:
        return Reply(status, headers={header: address.format(path=asked.bare, id=ID)})

    server.replies["create"] = create
    line = StrangeLine(api)
    ended = line.run_for(line.submit(), hours=1)
    assert (ended.status, ended.backend_job_id) == (Status.SUCCEEDED, ID)
    assert len(api.asked("create")) == 1


@pytest.mark.parametrize("address", ["/login", "{path}", "{path}/", "{path}/..", "http://[bad", ""])
def test_an_address_that_is_no_jobs_tells_no_id(api: StrangeApi, address: str) -> None:
    server = Server(api)
    server.replies["list"] = Reply(405)
    server.replies["create"] = lambda asked: Reply(201, headers={"Location": address.format(path=asked.bare)})
    line = StrangeLine(api)
    job = line.submit()
    assert (job.status, job.backend_job_id) == (Status.SUBMITTING, None)
    assert len(api.asked("create")) == 1


# --- how a state is said -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        {"state": "completed"},
        {"task_status": "SUCCEED"},
        {"status": 200, "state": "completed"},
        {"status": "processing", "task_status": "SUCCEED"},
        {"status": {"state": "completed"}},
        {"status": "TASK_STATUS_SUCCEED"},
        {"status": "JobState.SUCCEEDED"},
        {"status": "video_generation_completed"},
    ],
    ids=str,
)
def test_a_state_is_understood_under_another_name_and_with_a_prefix(
    api: StrangeApi, said: dict[str, Any]
) -> None:
    Server(api, said)
    line = StrangeLine(api)
    assert line.run_for(line.submit(), hours=1).status is Status.SUCCEEDED
    assert len(api.asked("get")) == 1


@pytest.mark.parametrize("word", ["Queueing", "Preparing", "dreaming", "PROGRESS"])
def test_a_word_for_under_way_ends_nothing_and_is_known(api: StrangeApi, word: str) -> None:
    Server(api, {"state": word, "progress": 100, "url": f"{api.url}/not-yet.mp4"})
    line = StrangeLine(api)
    job = line.run_for(line.submit(), hours=0.1)
    assert job.status in (Status.QUEUED, Status.RUNNING)
    assert (job.polls.unknown_since, api.asked("content")) == (None, [])


@pytest.mark.parametrize(
    "said",
    [
        {"state": "failed"},
        {"status": "TASK_STATUS_FAILED"},
        {"status": "Content Moderated"},
        {"state": "crashed"},
    ],
    ids=str,
)
def test_a_failure_under_another_name_is_told(api: StrangeApi, said: dict[str, Any]) -> None:
    Server(api, {**said, "error": "CUDA out of memory"})
    line = StrangeLine(api)
    ended = line.run_for(line.submit(), hours=1)
    assert code_of(ended) == "generation_failed"
    assert ended.error is not None
    assert "CUDA out of memory" in ended.error.message


@pytest.mark.parametrize("dialect", ["openai-videos", "azure-sora"])
def test_an_error_in_place_of_a_job_is_shown_and_polled_on(api: StrangeApi, dialect: str) -> None:
    server = Server(api)
    server.replies["get"] = Reply(200, {"error": {"code": "E42", "message": "the worker is away"}})
    line = StrangeLine(api, dialect=dialect)
    job = line.run_for(line.submit(size="480x480"), hours=0.1)
    assert not job.is_terminal
    assert "the worker is away" in (job.reason or "")


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (Reply(200, {"code": 1102, "message": "the balance of this account is too low"}), "balance"),
        (Reply(200, b"<html><title>Sign in</title></html>", content_type="text/html"), "Sign in"),
    ],
    ids=["an error", "a page"],
)
def test_what_was_said_in_place_of_a_new_job_is_told(api: StrangeApi, reply: Reply, told: str) -> None:
    server = Server(api)
    server.replies |= {"create": reply, "list": Reply(405)}
    line = StrangeLine(api)
    ended = line.run_for(line.submit(), hours=1)
    assert code_of(ended) == "submission_unconfirmed"
    assert ended.error is not None
    assert told in ended.error.message
    assert len(api.asked("create")) == 1


@pytest.mark.parametrize(
    "said",
    [{"fail_reason": "boom E7"}, {"message": "boom E7"}, {"error": {"error": {"message": "boom E7"}}}],
    ids=str,
)
def test_why_a_job_failed_is_told_wherever_it_stands(api: StrangeApi, said: dict[str, Any]) -> None:
    Server(api, {"status": "failed", **said})
    line = StrangeLine(api)
    ended = line.run_for(line.submit(), hours=1)
    assert ended.error is not None
    assert "boom E7" in ended.error.message


def test_a_job_is_found_among_the_others_of_an_answer(api: StrangeApi) -> None:
    server = Server(api)
    other = {"id": "other", "status": "failed"}
    server.replies["get"] = lambda asked: Reply(200, {"data": [other, server.shown(**server.job)]})
    line = StrangeLine(api)
    assert line.run_for(line.submit(), hours=1).status is Status.SUCCEEDED


@pytest.mark.parametrize("name", [".", ".."])
def test_an_id_that_a_path_takes_for_itself_is_none(api: StrangeApi, name: str) -> None:
    server = Server(api)
    server.replies |= {"create": Reply(200, {"id": name, "status": "queued"}), "list": Reply(405)}
    line = StrangeLine(api)
    assert code_of(line.run_for(line.submit(), hours=1)) == "submission_unconfirmed"


@pytest.mark.parametrize("zone", [-7, 5.5, 8])
def test_a_job_whose_times_are_of_another_zone_ends_when_it_is_over_there(
    api: StrangeApi, zone: float
) -> None:
    def told(hours: float) -> str:
        return (START + timedelta(hours=zone + hours)).replace(tzinfo=None).isoformat()

    server = Server(api, {"status": "in_progress", "created_at": told(0), "expires_at": told(2)})
    server.replies["content"] = Reply(404)
    line = StrangeLine(api)
    job = line.submit()
    assert not line.run_for(job, hours=1.9).is_terminal
    assert line.run_for(job, hours=0.3).status is Status.EXPIRED


# --- how a video is labelled ---------------------------------------------------------------------


@pytest.mark.parametrize("label", ["text/plain", "text/html; charset=utf-8", "application/json"])
@pytest.mark.parametrize("body", [WEBM, FAST], ids=["WebM", "a movie first"])
def test_a_video_that_is_called_text_is_kept(api: StrangeApi, label: str, body: bytes) -> None:
    server = Server(api)
    server.replies["content"] = Reply(200, body, content_type=label)
    line = StrangeLine(api)
    ended = line.run_for(line.submit(), hours=1)
    assert ended.outputs[0].stored is not None


@pytest.mark.parametrize(
    ("told", "is_kept"),
    [
        *(("bytes 0-{last}/{all}", True), ("bytes 0-{all}/{all}", True), ("bytes=0-/{all}", True)),
        *(
            ("bytes 0-{last}/*", False),
            ("bytes 0-{all}/9{all}", False),
            ("bytes 1-{all}/{all}", False),
            ("", False),
        ),
    ],
)
def test_the_whole_video_as_a_part_is_kept(api: StrangeApi, told: str, is_kept: bool) -> None:
    server = Server(api)
    span = told.format(last=len(VIDEO) - 1, all=len(VIDEO))
    server.replies["content"] = Reply(206, VIDEO, {"Content-Range": span}, content_type="video/mp4")
    line = StrangeLine(api)
    assert (line.run_for(line.submit(), hours=1).status is Status.SUCCEEDED) is is_kept


def test_a_whole_video_that_is_shorter_than_announced_is_kept_after_some_downloads_that_are_the_same(
    api: StrangeApi,
) -> None:
    server = Server(api)
    server.replies["content"] = Reply(200, VIDEO, content_type="video/mp4", length=len(VIDEO) + 100)
    line = StrangeLine(api)
    ended = line.run_for(line.submit(), hours=1)
    assert ended.status is Status.SUCCEEDED
    assert ended.outputs[0].stored is not None
    assert (ended.outputs[0].stored.length, ended.outputs[0].stored.verified) == (len(VIDEO), True)
    assert len(api.asked("content")) == 6


@pytest.mark.parametrize("body", [VIDEO[:-20], VIDEO[:40]], ids=len)
def test_a_part_of_a_video_is_not_kept_however_often_it_comes(api: StrangeApi, body: bytes) -> None:
    server = Server(api)
    server.replies["content"] = Reply(200, body, content_type="video/mp4", length=len(VIDEO))
    line = StrangeLine(api)
    job = line.submit()
    assert line.run_for(job, hours=3).outputs[0].stored is None
    server.replies.clear()
    assert line.run_for(job, hours=1).status is Status.SUCCEEDED
