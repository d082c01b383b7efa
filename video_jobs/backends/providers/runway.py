"""Runway's API, with its own models and other makers'. Source: the package `runwayml` 5.24.0.

A task's addresses end after a day or two, and each poll gives new ones. DELETE stops a task, or deletes one that has
ended. It has no list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from video_jobs.backends.answers import BackendMessage, text
from video_jobs.backends.task_api import Call, TaskApi, addresses_by_output
from video_jobs.domain.job import VideoRequest


def _create(model: str, request: VideoRequest, image: str | None) -> Call:
    body: dict[str, Any] = {
        "model": model,
        "promptText": request.prompt,
        "ratio": f"{request.width}:{request.height}",
        "duration": request.seconds,
    }
    if image is None:
        return Call("/text_to_video", body)
    return Call("/image_to_video", {**body, "promptImage": image})


def _failure(body: Mapping[str, Any]) -> BackendMessage:
    return BackendMessage(text(body.get("failureCode")), text(body.get("failure")))


API = TaskApi(
    create=_create,
    job_path="/tasks/{id}",
    outputs=lambda body: addresses_by_output(body.get("output")),
    failure=_failure,
    default_size="1280x720",
    default_seconds=5,
    shortest_poll=5,
    can_delete=True,
    headers={"X-Runway-Version": "2024-11-06"},
)
