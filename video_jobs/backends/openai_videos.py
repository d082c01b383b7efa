"""The dialect of OpenAI's videos API, which Azure's second Sora, vLLM-Omni, SGLang, LiteLLM and many gateways
speak, each in its own way. Source: OpenAI's published specification; the strays stand where they matter.
"""

from __future__ import annotations

import base64
import contextlib
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import quote

from video_jobs.backend_settings import BackendSettings
from video_jobs.backends.answers import (
    moment,
    percent,
    request_id,
    text,
    wait_hint,
    whole_number,
    words,
)
from video_jobs.backends.bodies import created_job, every_job
from video_jobs.backends.http import Answer, BackendHttp
from video_jobs.backends.limits import Limits
from video_jobs.errors import NotFound, Rejected
from video_jobs.job import VideoRequest
from video_jobs.ports import BackendJob, BackendState, ContentStream

_PAGE = "100"
_STATES = {
    "queued": BackendState.QUEUED,
    "in_progress": BackendState.RUNNING,
    "completed": BackendState.SUCCEEDED,
    "failed": BackendState.FAILED,
    "cancelled": BackendState.CANCELLED,
}
_SIZES = ("720x1280", "1280x720", "1024x1792", "1792x1024")
_SECONDS = (4, 8, 12)


def limits(settings: BackendSettings) -> Limits:
    sizes = settings.sizes or _SIZES
    seconds = settings.seconds or _SECONDS
    return Limits(
        sizes=None if sizes == "any" else tuple(sizes),
        default_size="720x1280" if sizes == "any" else sizes[0],
        seconds=None if seconds == "any" else tuple(sorted(seconds)),
        default_seconds=4 if seconds == "any" else seconds[0],
        most_variants=lambda width, height: 1,
        most_seconds=lambda width, height: 3600,
        image_has_the_videos_size=True,
    )


class OpenAIVideos:
    """See `ports.Backend`. A video is job and generation in one, so both have the same id."""

    def __init__(self, http: BackendHttp, settings: BackendSettings, model: str) -> None:
        self._http = http
        self._json = settings.body == "json"
        self._model = model

    def create(self, request: VideoRequest, image: bytes | None, deadline: float) -> BackendJob:
        # Seconds are a string on this wire: an integer was refused.
        fields = {
            "model": self._model,
            "prompt": request.prompt,
            "seconds": str(request.seconds),
            "size": request.size,
        }
        kind = request.input_image.content_type if request.input_image else ""
        if self._json:
            body: dict[str, Any] = dict(fields)
            if image is not None:
                data = base64.b64encode(image).decode("ascii")
                body["input_reference"] = {"image_url": f"data:{kind};base64,{data}"}
            answer = self._http.post_once("/videos", deadline, json=body)
        else:
            # Fields without a file name make it multipart even without an image, as OpenAI's own SDK sends it.
            parts: list[tuple[str, Any]] = [(name, (None, value)) for name, value in fields.items()]
            if image is not None:
                parts.append(("input_reference", (f"image.{kind.removeprefix('image/')}", image, kind)))
            answer = self._http.post_once("/videos", deadline, files=parts)
        return created_job(answer, _video)

    def get(self, backend_job_id: str) -> BackendJob:
        answer = self._get(backend_job_id)
        return _video(answer.body, answer.headers, backend_job_id)

    def recent(self) -> Iterator[BackendJob]:
        query = {"limit": _PAGE, "order": "desc"}
        return every_job(self._http, "/videos", query, _video)

    def delete(self, backend_job_id: str) -> None:
        """OpenAI's description has this for completed and failed videos only, and no cancel. Many servers stop
        a running one by it, others refuse; some of those say so in the answer and not by its status.
        """
        if self._http.delete(_path(backend_job_id)).get("deleted") is False:
            raise Rejected(f"The video API answers that it has not deleted {backend_job_id}.")

    def job_of(self, generation_id: str) -> str:
        """One and the same; whoever looks at it next learns whether it exists."""
        return generation_id

    def open_video(
        self, backend_job_id: str, generation_id: str, deadline: float
    ) -> AbstractContextManager[ContentStream]:
        return self._open_video(generation_id, deadline)

    def open_thumbnail(
        self, backend_job_id: str, generation_id: str, deadline: float
    ) -> AbstractContextManager[ContentStream]:
        return self._http.open(_path(generation_id) + "/content", deadline, variant="thumbnail")

    @contextlib.contextmanager
    def _open_video(self, video_id: str, deadline: float) -> Iterator[ContentStream]:
        began = time.monotonic()
        with contextlib.ExitStack() as stack:
            try:
                content = stack.enter_context(self._http.open(_path(video_id) + "/content", deadline))
            except (NotFound, Rejected):
                # Some gateways serve no bytes but name an address in the job.
                body = self._get(video_id).body
                url = body.get("video_url") or body.get("url")
                if not isinstance(url, str) or not url.startswith(("https://", "http://")):
                    raise
                left = deadline - (time.monotonic() - began)
                content = stack.enter_context(self._http.open(url, left))
            yield content

    def _get(self, video_id: str) -> Answer:
        return self._http.get(_path(video_id))


def _path(video_id: str) -> str:
    """Ids are opaque: LiteLLM's hold `+`, `/` and `=`, others' a colon."""
    return f"/videos/{quote(video_id, safe='')}"


def _sides(size: Any) -> tuple[int | None, int | None]:
    """Width and height out of `1280x720`."""
    width, _, height = size.partition("x") if isinstance(size, str) else ("", "", "")
    return whole_number(width), whole_number(height)


def _video(body: dict[str, Any], headers: Mapping[str, str], video_id: str) -> BackendJob:
    """`video_id` is the id that was asked for: what a body says of it may be missing, or written otherwise."""
    status = text(body.get("status"))
    state = _STATES.get((status or "").lower(), BackendState.UNKNOWN)
    error = body.get("error")
    failure = error if isinstance(error, dict) else {"message": error}
    width, height = _sides(body.get("size"))
    return BackendJob(
        id=video_id,
        state=state,
        status=status,
        progress=percent(body.get("progress")),
        created_at=moment(body.get("created_at")),
        finished_at=moment(body.get("completed_at")),
        expires_at=moment(body.get("expires_at")),
        generation_ids=(video_id,) if state is BackendState.SUCCEEDED else (),
        prompt=words(body.get("prompt")),
        width=width,
        height=height,
        seconds=whole_number(body.get("seconds")),
        model=text(body.get("model")),
        failure_code=text(failure.get("code")),
        failure_message=text(failure.get("message") or failure.get("detail")),
        poll_after=wait_hint(headers),
        request_id=request_id(headers),
    )
