"""The dialect of Azure's first Sora: jobs with generations, below `/openai/v1/video/generations`.

The video is at `/{generation_id}/content/video`, with the generation's id, not the job's, and `/video` at the
end. Any other path answers 404. Source: the Azure OpenAI `preview` specification of the video operations.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import quote

from video_jobs.backends.answers import ToldHeaders, identifier, reason_in, state_of, status_in, text, words
from video_jobs.backends.bodies import (
    create_job,
    delete_job,
    every_job,
    job_asked_for,
    listed_jobs,
    read_job,
)
from video_jobs.backends.http import BackendHttp
from video_jobs.backends.upload import form_with
from video_jobs.domain.backend_job import BackendJob, BackendState
from video_jobs.domain.capabilities import Limits, ModelTakes
from video_jobs.domain.errors import NotFound
from video_jobs.domain.job import VideoRequest
from video_jobs.domain.video_request import FIRST
from video_jobs.net.told import moment, whole_number
from video_jobs.ports import ContentStream, Image, ListedJobs

# Every call needs exactly this version. Without it the service uses `v1`, which lacks these paths; a dated version is wrong.
QUERY = {"api-version": "preview"}

_PAGE = "50"
_LANDSCAPE = ("480x480", "854x480", "720x720", "1280x720", "1080x1080", "1920x1080")
_PORTRAIT = ("480x854", "720x1280", "1080x1920")


def limits() -> Limits:
    return Limits(
        ModelTakes(sizes=_LANDSCAPE + _PORTRAIT, seconds=tuple(range(1, 21))),
        default_size="480x480",
        default_seconds=5,
        most_variants=lambda width, height: {1080: 1, 720: 2}.get(min(width, height), 4),
        most_seconds=lambda width, height: 10 if min(width, height) == 1080 else 20,
    )


class AzureSora:
    """See `ports.Backend`."""

    def __init__(self, http: BackendHttp, model: str) -> None:
        self._http = http
        self._model = model

    def create(self, request: VideoRequest, images: Mapping[int, Image], deadline: float) -> BackendJob:
        fields: dict[str, Any] = {
            "model": self._model,
            "prompt": request.prompt,
            "width": request.width,
            "height": request.height,
            "n_seconds": request.seconds,
            "n_variants": request.variants,
        }
        image = images.get(FIRST)
        if image is None or request.input_image is None:
            content: dict[str, Any] = {"json": fields}
        else:
            kind = request.input_image.content_type
            item = {"frame_index": 0, "type": "image", "file_name": f"image.{kind.removeprefix('image/')}"}
            sent = [(key, str(value)) for key, value in fields.items()]
            sent.append(("inpaint_items", json.dumps([item])))
            content = {"upload": form_with(sent, "files", image, kind)}
        return create_job(self._http, "/jobs", deadline, _job, **content)

    def get(self, backend_job_id: str) -> BackendJob:
        answer = job_asked_for(self._http, _path(backend_job_id), backend_job_id)
        return read_job(answer, backend_job_id, _job)

    def list_jobs(self, after: str | None) -> ListedJobs:
        return listed_jobs(self._http, "/jobs", {"limit": _PAGE}, after, _job)

    def recent(self) -> Iterator[BackendJob]:
        return every_job(self.list_jobs)

    def delete(self, backend_job_id: str) -> None:
        """The specification has no cancel: to delete a job is the only way to stop it."""
        delete_job(self._http, _path(backend_job_id), backend_job_id)

    def job_of(self, generation_id: str) -> str:
        """The job of a generation, which the video API's answer for the generation names."""
        job_id = identifier(self._http.get(f"/{quote(generation_id, safe='')}").body.get("job_id"))
        if job_id is None:
            raise NotFound(f"The video API does not say which job made {generation_id}.")
        return job_id

    def unnamed_outputs(self, backend_job_id: str) -> tuple[str, ...]:
        """Empty: a video needs its generation's id, which only the job's answer tells."""
        return ()

    def open_video(
        self, backend_job_id: str, generation_id: str, deadline: float, attempt: int = 0
    ) -> AbstractContextManager[ContentStream]:
        return self._http.open(f"/{quote(generation_id, safe='')}/content/video", deadline)

    def open_thumbnail(
        self, backend_job_id: str, generation_id: str, deadline: float
    ) -> AbstractContextManager[ContentStream]:
        return self._http.open(f"/{quote(generation_id, safe='')}/content/thumbnail", deadline)


def _path(job_id: str) -> str:
    return f"/jobs/{quote(job_id, safe='')}"


def _named(generations: Any) -> tuple[str, ...]:
    """The ids of generations, from a list of objects (as specified), a list of ids, or a single object or id."""
    entries = generations if isinstance(generations, list) else [generations]
    found = (identifier(each.get("id") if isinstance(each, dict) else each) for each in entries)
    return tuple(name for name in found if name)


def _job(body: dict[str, Any], told: ToldHeaders, job_id: str) -> BackendJob:
    """`job_id` is the requested id: the body may lack it or write it differently."""
    named = _named(body.get("generations"))
    status = status_in(body)
    failure = reason_in({**body, "failure_reason": None})
    state = state_of(status)
    finished_at = moment(body.get("finished_at"))
    return BackendJob(
        id=job_id,
        state=state,
        status=status,
        created_at=moment(body.get("created_at")),
        finished_at=finished_at,
        expires_at=moment(body.get("expires_at")),
        generation_ids=named,
        failure_code=text(body.get("failure_reason")) or failure.code,
        failure_message=failure.text,
        prompt=words(body.get("prompt")),
        width=whole_number(body.get("width")),
        height=whole_number(body.get("height")),
        seconds=whole_number(body.get("n_seconds")),
        variants=whole_number(body.get("n_variants")),
        model=text(body.get("model")),
        from_image=bool(body.get("inpaint_items")),
        seems_done=state is BackendState.UNKNOWN and (finished_at is not None or bool(named)),
        poll_after=told.wait,
        request_id=told.request_id,
        told_at=told.date,
    )
