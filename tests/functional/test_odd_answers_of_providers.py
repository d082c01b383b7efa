"""Each provider behind a server that answers in odd ways: what was made is kept, what failed says why."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.cases import further
from tests.strange_api import Asked, Reply, StrangeApi
from tests.strange_server import code_of
from tests.strange_tasks import DONE, ID, MODELS, VIDEO, Answer, asked_of
from video_jobs.backends.providers import TASK_APIS
from video_jobs.backends.task_api import path_of
from video_jobs.domain.cost import Cost
from video_jobs.domain.job import Job, Status


def in_an_envelope(job: Any) -> dict[str, Any]:
    return {"code": 0, "message": "success", "data": job}


@pytest.mark.parametrize("name", TASK_APIS)
def test_a_video_is_found_through_an_envelope(api: StrangeApi, name: str) -> None:
    done = DONE[name](f"{api.url}/files/v.mp4")
    made = Reply(200, in_an_envelope({"id": ID, "request_id": ID}))
    ended = asked_of(api, name, create=lambda asked: made, get=lambda asked: Reply(200, in_an_envelope(done)))
    assert ended.status is Status.SUCCEEDED


@pytest.mark.parametrize("name", TASK_APIS)
def test_the_address_of_a_new_task_tells_its_id_where_the_body_does_not(api: StrangeApi, name: str) -> None:
    polled: list[str] = []
    job = path_of(TASK_APIS[name].job_path, MODELS.get(name, "m"), ID)

    def create(asked: Asked) -> Reply:
        return Reply(201, headers={"Location": f"https://behind.example.test/x{job}"})

    def get(asked: Asked) -> Reply:
        polled.append(asked.bare)
        return Reply(200, DONE[name](f"{api.url}/files/v.mp4"))

    ended = asked_of(api, name, create=create, get=get)
    assert (ended.status, ended.backend_job_id) == (Status.SUCCEEDED, ID)
    assert any(path.endswith(job) for path in polled)


@pytest.mark.parametrize("name", TASK_APIS)
def test_the_address_of_the_create_itself_tells_no_id(api: StrangeApi, name: str) -> None:
    def create(asked: Asked) -> Reply:
        return Reply(201, headers={"Location": asked.bare})

    job = asked_of(api, name, create=create, get=lambda asked: Reply(404), hours=0)
    assert job.backend_job_id is None


@pytest.mark.parametrize("name", TASK_APIS)
@pytest.mark.parametrize("said", [{"error": "boom E7"}, {"errors": [{"message": "boom E7"}]}], ids=str)
def test_why_a_task_failed_is_told_wherever_it_stands(
    api: StrangeApi, name: str, said: dict[str, Any]
) -> None:
    failed = {"id": ID, "request_id": ID, "status": "failed", **said}
    ended = asked_of(api, name, get=lambda asked: Reply(200, failed))
    assert code_of(ended) == "generation_failed"
    assert ended.error is not None
    assert "boom E7" in ended.error.message


@pytest.mark.parametrize("name", ["xai", *map(further, sorted(set(TASK_APIS) - {"xai"}))])
def test_refused_content_in_place_of_a_task_is_its_failure(api: StrangeApi, name: str) -> None:
    words = "Generated video rejected by content moderation."
    said = {"code": "invalid-argument", "error": words, "usage": {"cost_in_usd_ticks": 200_000_000}}
    ended = asked_of(api, name, get=lambda asked: Reply(400, said))
    assert code_of(ended) == "moderation_blocked"
    assert ended.error is not None
    assert words in ended.error.message
    assert name != "xai" or ended.cost == Cost(0.02, "USD")


def test_a_page_of_a_proxy_in_place_of_a_task_ends_nothing(api: StrangeApi) -> None:
    page = Reply(400, b"Bad request. Copyright 2026 of the proxy", content_type="text/plain")
    assert not asked_of(api, "xai", get=lambda asked: page).is_terminal


@pytest.mark.parametrize("name", TASK_APIS)
def test_an_error_in_place_of_a_task_is_shown_and_polled_on(api: StrangeApi, name: str) -> None:
    job = asked_of(api, name, get=lambda asked: Reply(200, {"code": 500, "message": "no worker"}), hours=0.05)
    assert not job.is_terminal
    assert "no worker" in (job.reason or "")


@pytest.mark.parametrize("name", TASK_APIS)
def test_where_a_create_is_redirected_the_setting_to_mend_is_named(api: StrangeApi, name: str) -> None:
    moved = Reply(301, b"", {"Location": "/v2"})
    ended = asked_of(api, name, create=lambda asked: moved, get=lambda asked: Reply(405))
    assert code_of(ended) == "submission_unconfirmed"
    assert ended.error is not None
    assert "base_url" in ended.error.message


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("runway", {"output": [{"url": "{url}"}]}),
        ("runway", {"output": {"url": "{url}"}}),
        ("xai", {"video": "{url}"}),
        ("xai", {"videos": [{"url": "{url}"}]}),
        ("byteplus", {"content": [{"video_url": "{url}"}]}),
        ("gemini", {"outputs": [{"type": "video", "uri": "{url}"}]}),
        ("fal", {"videos": [], "video": {"url": "{url}"}}),
        ("replicate", {"output": {"files": ["{url}"]}}),
        ("byteplus", {"task_result": {"videos": [{"url": "{url}"}]}}),
        ("runway", {"creations": [{"url": "{url}", "cover_url": "{url}.jpg"}]}),
        ("xai", {"data": {"resultUrl": "{url}"}}),
    ],
    ids=str,
)
def test_a_video_is_found_where_another_provider_has_it(
    api: StrangeApi, name: str, said: dict[str, Any]
) -> None:
    told = json.loads(json.dumps(said).replace("{url}", f"{api.url}/files/v.mp4"))
    done = {"id": ID, "request_id": ID, "status": "completed", **told}
    assert asked_of(api, name, get=lambda asked: Reply(200, done)).status is Status.SUCCEEDED


@pytest.mark.parametrize("named", [{}, {"urls": ["{url}/gone.mp4"]}], ids=str)
def test_openrouter_serves_a_video_of_which_no_address_is_told_or_works(
    api: StrangeApi, named: dict[str, list[str]]
) -> None:
    told = {name: [url.replace("{url}", api.url) for url in urls] for name, urls in named.items()}

    def get(asked: Asked) -> Reply:
        if asked.path.endswith(f"/videos/{ID}/content?index=0"):
            return Reply(200, VIDEO, content_type="video/mp4")
        if asked.bare.endswith(ID):
            return Reply(200, {"id": ID, "status": "completed", **told})
        return Reply(404)

    assert asked_of(api, "openrouter", get=get).status is Status.SUCCEEDED


@pytest.mark.parametrize("status", ["incomplete", "BUDGET_EXCEEDED"])
def test_a_video_of_an_interaction_that_ended_early_is_kept(api: StrangeApi, status: str) -> None:
    done = {**DONE["gemini"](f"{api.url}/files/v.mp4"), "status": status}
    assert asked_of(api, "gemini", get=lambda asked: Reply(200, done)).status is Status.SUCCEEDED


@pytest.mark.parametrize("status", ["incomplete", "budget_exceeded"])
def test_an_interaction_that_ended_without_a_video_fails(api: StrangeApi, status: str) -> None:
    ended = asked_of(api, "gemini", get=lambda asked: Reply(200, {"id": ID, "status": status}))
    assert code_of(ended) == "generation_failed"


def result(reply: Reply) -> Answer:
    """fal's answers for a task that is over, and this one in place of its result."""
    over = Reply(200, {"request_id": ID, "status": "COMPLETED"})
    return lambda asked: over if asked.bare.endswith("/status") else reply


@pytest.mark.parametrize(("status", "detail"), [(404, "Path /image-to-video not found"), (451, "not here")])
def test_an_error_in_place_of_a_result_is_the_failure(api: StrangeApi, status: int, detail: str) -> None:
    ended = asked_of(api, "fal", get=result(Reply(status, {"detail": detail})))
    assert code_of(ended) == "generation_failed"
    assert ended.error is not None
    assert detail in ended.error.message


@pytest.mark.parametrize(
    ("status", "detail"),
    [
        *((status, "later") for status in (401, 402, 403, 404, 409, 423, 429, 500)),
        (400, "Request is still in progress"),
    ],
)
def test_an_error_in_place_of_a_result_that_may_pass_is_waited_for(
    api: StrangeApi, status: int, detail: str
) -> None:
    url = f"{api.url}/files/v.mp4"
    refused = [Reply(status, {"detail": detail})] * 3

    def get(asked: Asked) -> Reply:
        if asked.bare.endswith("/status") or not refused:
            return result(Reply(200, {"video": {"url": url}}))(asked)
        return refused.pop()

    assert asked_of(api, "fal", get=get).status is Status.SUCCEEDED


# --- outputs that are no videos ------------------------------------------------------------------

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(2000)
SOUND = b"ID3\x04" + bytes(range(256)) * 9


def outputs_of(api: StrangeApi, *bodies: bytes, hours: float = 1) -> Job:
    urls = [f"{api.url}/outputs/{number}" for number in range(len(bodies))]

    def get(asked: Asked) -> Reply:
        if asked.bare.startswith("/outputs/"):
            return Reply(200, bodies[int(asked.bare[-1])], content_type="application/octet-stream")
        return Reply(200, {"id": ID, "status": "succeeded", "output": urls})

    return asked_of(api, "replicate", get=get, hours=hours)


@pytest.mark.parametrize(
    ("bodies", "stored"),
    [
        ((PICTURE, VIDEO), [1]),
        ((VIDEO, PICTURE, PICTURE), [0]),
        ((VIDEO, SOUND), [0, 1]),
        ((SOUND, PICTURE, VIDEO), [0, 2]),
    ],
    ids=["a picture before", "pictures behind", "sound behind", "sound and picture before"],
)
def test_a_picture_or_sound_beside_a_video_keeps_no_job_from_its_end(
    api: StrangeApi, bodies: tuple[bytes, ...], stored: list[int]
) -> None:
    ended = outputs_of(api, *bodies)
    assert ended.status is Status.SUCCEEDED
    assert [output.index for output in ended.outputs if output.stored is not None] == stored
    assert len(ended.outputs) == len(stored)
    assert "pictures or sound" in (ended.warning or "")


@pytest.mark.parametrize("bodies", [(PICTURE,), (PICTURE, PICTURE)], ids=len)
def test_a_job_whose_outputs_are_all_pictures_waits_for_its_video(
    api: StrangeApi, bodies: tuple[bytes, ...]
) -> None:
    assert outputs_of(api, *bodies).status is Status.PENDING_DOWNLOAD


def test_sound_alone_is_kept_unverified(api: StrangeApi) -> None:
    ended = outputs_of(api, SOUND)
    assert code_of(ended) == "unverified_video"
    assert ended.outputs[0].stored is not None


def test_a_picture_in_a_videos_place_for_some_minutes_loses_no_video(api: StrangeApi) -> None:
    until = api.clock() + timedelta(minutes=30)

    def get(asked: Asked) -> Reply:
        if asked.bare.startswith("/outputs/1"):
            return Reply(200, PICTURE if api.clock() < until else VIDEO, content_type="video/mp4")
        return Reply(
            200, {"id": ID, "status": "succeeded", "output": [f"{api.url}/files/0", f"{api.url}/outputs/1"]}
        )

    ended = asked_of(api, "replicate", get=get)
    assert ended.status is Status.SUCCEEDED
    assert [output.stored is not None for output in ended.outputs] == [True, True]


def test_pictures_that_change_show_that_a_video_is_still_being_made(api: StrangeApi) -> None:
    def get(asked: Asked) -> Reply:
        if asked.bare.startswith("/outputs/1"):
            return Reply(200, PICTURE + str(len(api.seen)).encode(), content_type="image/png")
        return Reply(
            200, {"id": ID, "status": "succeeded", "output": [f"{api.url}/files/0", f"{api.url}/outputs/1"]}
        )

    assert asked_of(api, "replicate", get=get).status is Status.PENDING_DOWNLOAD
