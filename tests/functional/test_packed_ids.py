"""LiteLLM packs a model's name into the ids of videos, and tells the same video under another name at polls and in its list."""

from __future__ import annotations

import base64
from urllib.parse import unquote

import pytest

from tests.strange_api import Asked, Reply, StrangeApi, StrangeLine, small_mp4
from tests.strange_server import Server, code_of
from video_jobs.domain.job import Status


def packed(video: str, model: str = "") -> str:
    text = f"litellm:custom_llm_provider:openai;model_id:{model};video_id:{video}"
    return f"video_{base64.b64encode(text.encode()).decode()}"


def named_in(asked: Asked) -> str:
    job_id = unquote(asked.bare.split("/videos/")[1]).removesuffix("/content")
    return base64.b64decode(job_id.removeprefix("video_")).decode().rpartition(":")[2]


@pytest.mark.parametrize("told", [packed("v1"), packed("v1", "other"), "v1"])
def test_a_failure_is_believed_under_the_same_id_in_another_packing(api: StrangeApi, told: str) -> None:
    server = Server(api)
    server.replies["create"] = Reply(200, server.shown(id=packed("v1", "sora-2"), status="queued"))
    failed = server.shown(id=told, status="failed", error={"code": "server_error", "message": "boom E7"})
    server.replies["get"] = Reply(200, failed)
    line = StrangeLine(api)
    assert code_of(line.run_for(line.submit(), hours=1)) == "generation_failed"


def test_a_failure_of_another_packed_id_ends_nothing(api: StrangeApi) -> None:
    server = Server(api)
    server.replies["create"] = Reply(200, server.shown(id=packed("v1", "sora-2"), status="queued"))
    server.replies["get"] = Reply(200, server.shown(id=packed("v2", "sora-2"), status="failed"))
    line = StrangeLine(api)
    assert not line.run_for(line.submit(), hours=0.1).is_terminal


@pytest.mark.promise("I2")
def test_a_job_whose_answer_was_lost_adopts_no_video_that_another_has_under_another_packing(
    api: StrangeApi,
) -> None:
    server = Server(api)
    made: list[str] = []

    def create(asked: Asked) -> Reply:
        made.append(f"v{len(made) + 1}")
        created = server.shown(id=packed(made[-1], "sora-2"), status="queued")
        return Reply(200, created, cut=len(made) == 2)

    def listed(asked: Asked) -> Reply:
        jobs = [server.shown(id=packed(video), status="completed") for video in made]
        return Reply(200, {"object": "list", "data": jobs, "has_more": False})

    server.replies |= {
        "create": create,
        "list": listed,
        "get": lambda asked: Reply(200, server.shown(id=packed(named_in(asked)), status="completed")),
        "content": lambda asked: Reply(200, small_mp4(named_in(asked).encode()), content_type="video/mp4"),
    }
    line = StrangeLine(api)
    jobs = [line.submit(), line.submit()]
    ended = [line.run_for(job, hours=1) for job in jobs]
    assert [job.status for job in ended] == [Status.SUCCEEDED, Status.SUCCEEDED]
    assert len({job.outputs[0].stored.sha256 for job in ended if job.outputs[0].stored}) == 2
