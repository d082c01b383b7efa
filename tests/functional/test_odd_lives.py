"""The whole life of a job behind a server that contradicts itself: nothing is paid twice, each job ends, and says why."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.cases import further
from tests.strange_api import Asked, Reply, StrangeApi, StrangeLine
from tests.strange_server import ID as VIDEO_ID
from tests.strange_server import Server, code_of
from tests.strange_tasks import DONE, ID, MODELS, asked_of
from video_jobs.backends.providers import TASK_APIS
from video_jobs.backends.task_api import path_of
from video_jobs.domain.job import Job, Status

# --- the create ----------------------------------------------------------------------------------

#: Of all these, the app knows the new job's id.
NAMES_THE_JOB = {
    "303 to the job": Reply(303, headers={"Location": "{job}"}),
    "302 with a page": Reply(302, b"<html>Found</html>", {"Location": "{job}"}, "text/html"),
    "201 with a text": Reply(201, b"Created", {"Location": "{job}"}, "text/plain"),
    "a broken body": Reply(201, {"id": "none of it comes"}, {"Location": "{job}"}, cut=True),
    "a 500 about the job": Reply(500, {"id": ID, "request_id": ID, "status": "PENDING"}),
    "a 409 about the job": Reply(409, {"data": {"id": ID, "state": "in_progress"}}),
    "a 429 about the job": Reply(429, {"id": ID, "request_id": ID, "status": "queued"}),
}


@pytest.mark.promise("I2")
@pytest.mark.parametrize("name", ["xai", *map(further, sorted(set(TASK_APIS) - {"xai"}))])
@pytest.mark.parametrize("what", NAMES_THE_JOB)
def test_a_job_that_the_answer_names_is_never_paid_for_again(api: StrangeApi, name: str, what: str) -> None:
    reply = NAMES_THE_JOB[what]
    job = f"/v1{path_of(TASK_APIS[name].job_path, MODELS.get(name, 'm'), ID)}"
    headers = {header: value.replace("{job}", job) for header, value in reply.headers.items()}
    created: list[Asked] = []

    def create(asked: Asked) -> Reply:
        created.append(asked)
        return Reply(reply.status, reply.body, headers, reply.content_type, cut=reply.cut)

    done = DONE[name](f"{api.url}/files/v.mp4")
    ended = asked_of(api, name, create=create, get=lambda asked: Reply(200, done))
    assert (ended.status, ended.backend_job_id) == (Status.SUCCEEDED, ID)
    assert len(created) == 1


@pytest.mark.parametrize(
    "said",
    [
        {"id": "req_1", "status": "error"},
        {"id": "req_1", "status": 500},
        {"status": "queued"},
        {"error": {"id": "err_1", "status": "pending"}},
    ],
    ids=str,
)
def test_an_error_that_names_no_job_under_way_tells_no_id(api: StrangeApi, said: dict[str, Any]) -> None:
    job = asked_of(api, "xai", create=lambda asked: Reply(500, said), get=lambda asked: Reply(404), hours=0)
    assert job.backend_job_id is None


def test_where_no_job_can_be_posted_the_setting_to_mend_is_named(api: StrangeApi) -> None:
    """As where the base URL ends with `/videos`, and a job's path begins."""
    server = Server(api)
    server.replies |= {"create": Reply(405, {"detail": "Method Not Allowed"}), "list": Reply(405)}
    line = StrangeLine(api)
    ended = line.run_for(line.submit(), hours=1)
    assert ended.error is not None
    assert "check the backend's base_url" in ended.error.message


# --- the list ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "longest"), [(2, 45.0), (0, 45.0), (0, -1.0)])
def test_pages_without_jobs_that_name_another_come_to_an_end(
    api: StrangeApi, monkeypatch: pytest.MonkeyPatch, first: int, longest: float
) -> None:
    monkeypatch.setattr("video_jobs.lifecycle.list_reading._LONGEST", longest)  # over at once: pages are slow
    newer = [
        {"id": f"p{n}", "created_at": (api.clock() + timedelta(hours=1 - n)).isoformat()} for n in range(2)
    ]
    pages = 0

    def answer(asked: Asked) -> Reply:
        nonlocal pages
        if asked.method == "POST":
            return Reply(500)
        pages += 1
        results = newer[:first] if "cursor" not in asked.path else []
        return Reply(200, {"results": results, "next": f"{api.url}/v1/predictions?cursor=c{pages}"})

    api.answer = answer
    line = StrangeLine(api, dialect="replicate", model=MODELS["replicate"], sizes="any", seconds="any")
    assert code_of(line.run_for(line.submit(size="1280x720"), hours=2)) == "submission_unconfirmed"
    assert pages < 200


@pytest.mark.promise("I7")
def test_a_search_ends_although_only_the_later_pages_of_a_list_fail(
    api: StrangeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that each search reads a part, fails at the next poll, and begins anew."""
    monkeypatch.setattr("video_jobs.lifecycle.list_reading._LONGEST", -1.0)  # one page at a poll
    newer = {"id": "p1", "created_at": (api.clock() + timedelta(hours=1)).isoformat()}

    def answer(asked: Asked) -> Reply:
        if asked.method == "POST" or "cursor" in asked.path:
            return Reply(500)
        return Reply(200, {"results": [newer], "next": f"{api.url}/v1/predictions?cursor=c1"})

    api.answer = answer
    line = StrangeLine(api, dialect="replicate", model=MODELS["replicate"], sizes="any", seconds="any")
    assert code_of(line.run_for(line.submit(size="1280x720"), hours=3)) == "submission_unconfirmed"


def test_a_job_behind_a_page_without_jobs_is_found(api: StrangeApi) -> None:
    made: list[dict[str, Any]] = []

    def answer(asked: Asked) -> Reply:
        if asked.method == "POST":
            job = {"id": ID, "created_at": api.clock().isoformat(), "status": "starting"}
            made.append(job | {"input": json.loads(asked.body)["input"], "model": MODELS["replicate"]})
            return Reply(500)
        if ID in asked.path:
            return Reply(200, made[0])
        page = int(asked.path.partition("cursor=")[2] or 0)
        following = f"{api.url}/v1/predictions?cursor={page + 1}" if page < 2 else None
        return Reply(200, {"results": made if page == 2 else [], "next": following})

    api.answer = answer
    line = StrangeLine(api, dialect="replicate", model=MODELS["replicate"], sizes="any", seconds="any")
    job = line.run_for(line.submit(size="1280x720"), hours=0.5)
    assert (job.backend_job_id, len(made)) == (ID, 1)


# --- the polls -----------------------------------------------------------------------------------


@pytest.mark.promise("I7")
@pytest.mark.parametrize(
    "said",
    [
        {"status": "in_progress"},
        {"status": "warming up"},
        {"id": "another_video", "status": "failed"},
        further({"id": "another_video", "status": "completed"}),
    ],
    ids=str,
)
def test_a_job_of_which_no_end_is_told_ends_a_week_after_its_time(
    api: StrangeApi, said: dict[str, Any]
) -> None:
    server = Server(api, said)
    server.replies["content"] = Reply(404, {"detail": "Not Found"})
    line = StrangeLine(api, retention_hours=1)
    ended = line.run_for(line.submit(), hours=10 * 24)
    assert ended.status is Status.EXPIRED
    assert ended.finished_at is not None
    assert timedelta(days=7, hours=1) <= ended.finished_at - ended.created_at < timedelta(days=7, hours=2)


def test_a_job_of_which_no_end_is_told_is_asked_for_its_video_before_it_ends(api: StrangeApi) -> None:
    Server(api, {"status": "in_progress"})
    line = StrangeLine(api, retention_hours=1)
    assert line.run_for(line.submit(), hours=10 * 24).status is Status.SUCCEEDED


@pytest.mark.parametrize("name", ["runway", *map(further, ("replicate", "fal", "xai", "gemini", "byteplus"))])
@pytest.mark.parametrize("minutes", [4, 6])
def test_a_task_that_is_done_has_five_minutes_to_name_its_video(
    api: StrangeApi, name: str, minutes: float
) -> None:
    begun, named = api.clock(), DONE[name](f"{api.url}/files/v.mp4")
    bare = {part: named[part] for part in named if part in ("id", "request_id", "status")}

    def get(asked: Asked) -> Reply:
        return Reply(200, named if api.clock() - begun > timedelta(minutes=minutes) else bare)

    ended = asked_of(api, name, get=get)
    assert code_of(ended) == (None if minutes < 5 else "no_output")
    least = 5 if name in ("runway", "xai") else 0
    polls = [asked for asked in api.seen if asked.method == "GET"]
    assert not least or len(polls) < 5 * 60 / least + 10


def test_a_task_that_failed_after_it_was_done_says_so_and_ends_with_its_time(api: StrangeApi) -> None:
    polls = 0

    def get(asked: Asked) -> Reply:
        nonlocal polls
        polls += 1
        failed = {"id": ID, "status": "FAILED", "failure": "refused after all"}
        return Reply(200, DONE["runway"](f"{api.url}/files/v.mp4") if polls == 1 else failed)

    ended = asked_of(api, "runway", get=get, hours=25)
    assert ended.status is Status.EXPIRED
    assert ended.error is not None
    assert "refused after all" in ended.error.message


# --- the clock -----------------------------------------------------------------------------------


def life(api: StrangeApi, times: dict[str, int], *, minutes: float) -> Job:
    """A job that is generated in so many minutes, whose every answer has these times."""
    begun = api.clock()

    def told(asked: Asked) -> Reply:
        is_done = api.clock() - begun >= timedelta(minutes=minutes)
        return Reply(200, {"id": VIDEO_ID, "status": "completed" if is_done else "in_progress", **times})

    def content(asked: Asked) -> Reply:
        return (
            Reply(404) if api.clock() - begun < timedelta(minutes=minutes) else Server.answer(server, asked)
        )

    server = Server(api)
    server.replies = {"create": told, "get": told}
    answer = server.answer
    api.answer = lambda asked: content(asked) if asked.operation == "content" else answer(asked)
    line = StrangeLine(api, retention_hours=1)
    return line.run_for(line.submit(), hours=24)


def test_a_time_over_before_the_job_was_submitted_ends_nothing(api: StrangeApi) -> None:
    over = int(api.clock().timestamp()) - 8 * 3600
    assert life(api, {"expires_at": over}, minutes=5).status is Status.SUCCEEDED


def test_a_creation_before_the_job_was_submitted_makes_no_poll_late(api: StrangeApi) -> None:
    long_ago = int(api.clock().timestamp()) - 8 * 3600
    ended = life(api, {"created_at": long_ago}, minutes=5)
    assert ended.status is Status.SUCCEEDED
    assert ended.finished_at is not None
    assert ended.finished_at - ended.created_at < timedelta(minutes=6)
