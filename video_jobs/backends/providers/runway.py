"""Runway's API, with its own models and other makers'. Source: the package `runwayml` 5.24.0.

A task's addresses end after a day or two, and each poll gives new ones. DELETE stops a task, or deletes one that has
ended. It has no list.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from video_jobs.backends.answers import BackendMessage, text
from video_jobs.backends.task_api import Call, Images, Stop, TaskApi, addresses_by_output, dollars, inner
from video_jobs.domain.capabilities import MOST_REFERENCES, ModelTakes, only_sizes
from video_jobs.domain.job import VideoRequest

_SEEDANCE = (
    *("854x480", "480x854", "640x640", "752x560", "560x752", "992x432"),
    *("1280x720", "720x1280", "960x960", "1112x834", "834x1112", "1470x630"),
    *("1920x1080", "1080x1920", "1440x1440", "1664x1248", "1248x1664", "2206x946"),
)
_CREDIT = 0.01  # dollars
_HD = ("1280x720", "720x1280")
_FULL_HD = (*_HD, "1920x1080", "1080x1920")


def _create(model: str, request: VideoRequest, images: Images) -> Call:
    image: Any = images.first
    if images.last is not None:
        placed = {"first": images.first, "last": images.last}
        image = [{"uri": uri, "position": at} for at, uri in placed.items() if uri is not None]
    body = {
        "model": model,
        "promptText": request.prompt,
        "promptImage": image,
        "references": [{"uri": uri} for uri in images.references] or None,
        "ratio": f"{request.width}:{request.height}",
        "duration": request.seconds,
        "seed": request.seed,
        "audio": request.audio,
        "negativePrompt": request.negative_prompt,
    }
    return Call("/image_to_video" if image is not None else "/text_to_video", body)


_takes = partial(only_sizes, seed=True)
_VEO = _takes(_FULL_HD, (4, 6, 8), last_image=True, audio=True, negative_prompt=True)


def _failure(body: Mapping[str, Any]) -> BackendMessage:
    return BackendMessage(text(body.get("failureCode")), text(body.get("failure")))


API = TaskApi(
    create=_create,
    job_path="/tasks/{id}",
    outputs=lambda body: addresses_by_output(body.get("output")),
    failure=_failure,
    default_size="1280x720",
    default_seconds=5,
    takes=ModelTakes(last_image=True, audio=True, seed=True, negative_prompt=True),
    models={
        "gen4.5": _takes(_HD, range(2, 11)),
        "gen4_turbo": _takes(
            (*_HD, "1104x832", "832x1104", "960x960", "1584x672"), range(2, 11), image_needed=True
        ),
        "veo3.1": _VEO,
        "veo3.1_fast": _VEO,
        "seedance2_5": _takes(
            _SEEDANCE,
            None,
            last_image=True,
            audio=True,
            reference_images=MOST_REFERENCES,
            references_alone=True,
        ),
    },
    shortest_poll=5,
    stop=Stop("DELETE", "/tasks/{id}"),
    cost=lambda body: dollars(inner(body, "cost", "credits"), _CREDIT),
    headers={"X-Runway-Version": "2024-11-06"},
)
