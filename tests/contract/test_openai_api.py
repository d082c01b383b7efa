"""The API's answers against OpenAI's published description."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from openai_api.read import list_videos
from openai_api.video import video_of
from tests.contract.documents import contract
from tests.pipeline import OWNER, Pipeline


def conforms(schema: str, answer: Any) -> None:
    document = contract("openai-videos.openapi.yaml")
    described = {**document["components"]["schemas"][schema], "components": document["components"]}
    Draft202012Validator(described).validate(answer)


def test_a_video_at_every_look_of_its_life(videos: Pipeline) -> None:
    job = videos.submit()
    seen = [video_of(job, None)]
    videos.run(job, lambda now: bool(seen.append(video_of(now, None))) or now.is_terminal)
    assert {video["status"] for video in seen} == {"queued", "in_progress", "completed"}
    for video in seen:
        conforms("VideoResource", video)


@pytest.mark.parametrize("query", [{}, {"limit": "1"}, {"order": "asc", "limit": "1"}])
def test_a_page_of_the_list_and_one_with_nothing_in_it(videos: Pipeline, query: dict[str, str]) -> None:
    conforms("VideoListResource", list_videos(videos.services, OWNER, query))
    made = [videos.submit().id for _ in range(2)]
    page = list_videos(videos.services, OWNER, query)
    assert page["has_more"] == ("limit" in query)
    assert page["first_id"] == (min if query.get("order") != "asc" else max)(made)
    conforms("VideoListResource", page)
