"""A provider of tasks whose answers a test may change, and its answer about a task that is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.strange_api import Asked, Reply, StrangeApi, StrangeLine, small_mp4
from video_jobs.domain.job import Job

VIDEO = small_mp4()
ID = "task_1"
MODELS = {"fal": "fal-ai/veo3.1/fast", "replicate": "google/veo-3.1-fast"}
DONE: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "openrouter": lambda url: {"id": ID, "status": "completed", "urls": [url]},
    "runway": lambda url: {"id": ID, "status": "SUCCEEDED", "output": [url]},
    "replicate": lambda url: {"id": ID, "status": "succeeded", "output": url},
    "fal": lambda url: {"request_id": ID, "status": "COMPLETED", "video": {"url": url}},
    "xai": lambda url: {"request_id": ID, "status": "done", "video": {"url": url}},
    "gemini": lambda url: {
        "id": ID,
        "status": "completed",
        "steps": [{"type": "model_output", "content": [{"type": "video", "uri": url}]}],
    },
    "byteplus": lambda url: {"id": ID, "status": "succeeded", "content": {"video_url": url}},
}

Answer = Callable[[Asked], Reply]


def asked_of(
    api: StrangeApi, name: str, *, create: Answer | None = None, get: Answer, hours: float = 1
) -> Job:
    """The job's end, or how it stands after these hours. `get`: for the task, and for fal's result."""

    def answer(asked: Asked) -> Reply:
        if asked.method == "POST":
            return create(asked) if create else Reply(200, {"id": ID, "request_id": ID})
        if asked.bare.startswith("/files"):
            return Reply(200, VIDEO, content_type="video/mp4")
        return get(asked)

    api.answer = answer
    line = StrangeLine(api, dialect=name, model=MODELS.get(name, "m"), sizes="any", seconds="any")
    return line.run_for(line.submit(size="1280x720"), hours=hours)
