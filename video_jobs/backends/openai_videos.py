"""The dialect of OpenAI's videos API, which Azure's second Sora, vLLM-Omni, SGLang, LiteLLM and many gateways speak,
each in its own way. Source: OpenAI's published specification; known deviations of servers are noted beside the code
that handles them.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import quote

from video_jobs.backends.answers import ToldHeaders, reason_in, state_of, status_in, text, words
from video_jobs.backends.bodies import (
    create_job,
    delete_job,
    every_job,
    job_asked_for,
    listed_jobs,
    read_job,
)
from video_jobs.backends.fallback import open_one_of
from video_jobs.backends.http import BackendHttp
from video_jobs.backends.responses import LARGEST_ANSWER, Answer
from video_jobs.backends.upload import form_with
from video_jobs.backends.video_address import addresses_in
from video_jobs.domain.backend_job import BackendJob, BackendState
from video_jobs.domain.capabilities import Limits, ModelTakes
from video_jobs.domain.errors import BackendError
from video_jobs.domain.job import VideoRequest
from video_jobs.domain.video_request import FIRST
from video_jobs.media.body_kind import is_no_video, not_a_video
from video_jobs.net.told import moment, percent, whole_number
from video_jobs.ports import ContentStream, Image, ListedJobs
from video_jobs.settings.backends import BackendSettings

_PAGE = "50"
_BY = re.compile(r"[xX*×]")
_LONGEST_SIZE = 40  # characters
_OUTPUT = "#"  # between a video's id and the number of a further output
_MOST_OUTPUTS = 20  # of one job; more are ignored
_SIZES = ("720x1280", "1280x720", "1024x1792", "1792x1024")
_SECONDS = (4, 8, 12)


def limits(settings: BackendSettings) -> Limits:
    sizes = settings.sizes or _SIZES
    seconds = settings.seconds or _SECONDS
    return Limits(
        ModelTakes(
            sizes=None if sizes == "any" else tuple(sizes),
            seconds=None if seconds == "any" else tuple(sorted(seconds)),
        ),
        default_size="720x1280" if sizes == "any" else sizes[0],
        default_seconds=4 if seconds == "any" else seconds[0],
        most_variants=lambda width, height: 1,
        most_seconds=lambda width, height: 3600,
        image_has_the_videos_size=True,
    )


class OpenAIVideos:
    """See `ports.Backend`. A video is job and generation in one, so both have the same id.

    Some servers make several videos in one job. Those beyond the first get the id of the job and a number.
    """

    def __init__(self, http: BackendHttp, settings: BackendSettings, model: str) -> None:
        self._http = http
        self._json = settings.body == "json"
        self._model = model

    def create(self, request: VideoRequest, images: Mapping[int, Image], deadline: float) -> BackendJob:
        # Seconds are a string on this wire: an integer was refused.
        fields = {
            "model": self._model,
            "prompt": request.prompt,
            "seconds": str(request.seconds),
            "size": request.size,
        }
        image = images.get(FIRST)
        content: dict[str, Any]
        if image is not None and request.input_image is not None:
            # Always multipart, as OpenAI's own SDK sends it. Servers disagree about images in JSON, and one that ignores the
            # image would make, and bill, another video.
            kind = request.input_image.content_type
            content = {"upload": form_with([*fields.items()], "input_reference", image, kind)}
        elif self._json:
            content = {"json": fields}
        else:
            # Fields without a file name make it multipart even without an image.
            content = {"files": [(name, (None, value)) for name, value in fields.items()]}
        return create_job(self._http, "/videos", deadline, _video, **content)

    def get(self, backend_job_id: str) -> BackendJob:
        return read_job(self._get(backend_job_id), backend_job_id, _video)

    def list_jobs(self, after: str | None) -> ListedJobs:
        return listed_jobs(self._http, "/videos", {"limit": _PAGE, "order": "desc"}, after, _video)

    def recent(self) -> Iterator[BackendJob]:
        return every_job(self.list_jobs)

    def delete(self, backend_job_id: str) -> None:
        """OpenAI's description allows DELETE only for completed and failed videos, and has no cancel. Many servers
        stop a running job on DELETE. Others refuse it, and some of those say so only in the body and not by the
        status.
        """
        delete_job(self._http, _path(backend_job_id), backend_job_id)

    def job_of(self, generation_id: str) -> str:
        """The same id; the next call shows whether it exists."""
        return generation_id

    def unnamed_outputs(self, backend_job_id: str) -> tuple[str, ...]:
        return (backend_job_id,)

    def open_video(
        self, backend_job_id: str, generation_id: str, deadline: float, attempt: int = 0
    ) -> AbstractContextManager[ContentStream]:
        return self._open_video(backend_job_id, _index(backend_job_id, generation_id), deadline, attempt)

    def open_thumbnail(
        self, backend_job_id: str, generation_id: str, deadline: float
    ) -> AbstractContextManager[ContentStream]:
        return self._http.open(_path(backend_job_id) + "/content", deadline, variant="thumbnail")

    @contextlib.contextmanager
    def _open_video(
        self, video_id: str, index: int, deadline: float, attempt: int
    ) -> Iterator[ContentStream]:
        """From the API's own path, or else from the address that the job names. Every second attempt tries the
        address first, for servers whose own bytes are never complete."""
        ends_at = time.monotonic() + deadline
        ways = (self._served, self._named) if attempt % 2 == 0 else (self._named, self._served)
        problem: dict[str, BackendError] = {}
        with contextlib.ExitStack() as stack:
            for way in ways:
                try:
                    content = way(stack, video_id, index, max(ends_at - time.monotonic(), 0.001))
                except _NoAddressError:
                    continue
                except BackendError as error:
                    problem[way.__name__] = error
                    continue
                yield content
                return
        # The API's own answer says most about the state of the video.
        raise problem.get(self._served.__name__) or next(iter(problem.values()))

    def _served(
        self, stack: contextlib.ExitStack, video_id: str, index: int, deadline: float
    ) -> ContentStream:
        """Open `/content`, which some servers answer with JSON that contains an address."""
        began = time.monotonic()
        variant = {"variant": str(index)} if index else {}
        content = stack.enter_context(self._http.open(_path(video_id) + "/content", deadline, **variant))
        beginning = content.beginning()
        if not is_no_video(content.content_type, beginning):
            return content
        said = content.quotation(beginning) if beginning else "an empty body"
        addresses = addresses_in(content.as_json(LARGEST_ANSWER), index)
        left = max(deadline - (time.monotonic() - began), 0.001)
        if addresses:
            return open_one_of(self._http, stack, addresses, left)
        raise not_a_video(f"The video API sent {said} in place of a video.", beginning)

    def _named(
        self, stack: contextlib.ExitStack, video_id: str, index: int, deadline: float
    ) -> ContentStream:
        """From the address in the job. Raises _NoAddressError if the job names none, or can't be read."""
        began = time.monotonic()
        try:
            addresses = addresses_in(self._get(video_id).body, index)
        except BackendError:
            raise _NoAddressError from None
        if not addresses:
            raise _NoAddressError
        return open_one_of(self._http, stack, addresses, max(deadline - (time.monotonic() - began), 0.001))

    def _get(self, video_id: str) -> Answer:
        return job_asked_for(self._http, _path(video_id), video_id)


class _NoAddressError(Exception):
    """The job names no address of its video."""


def _path(video_id: str) -> str:
    """Ids are opaque: LiteLLM's hold `+`, `/` and `=`, others' a colon."""
    return f"/videos/{quote(video_id, safe='')}"


def _index(video_id: str, generation_id: str) -> int:
    number = generation_id.removeprefix(video_id + _OUTPUT)
    return int(number) if number != generation_id and number.isdecimal() else 0


def _sides(size: Any) -> tuple[int | None, int | None]:
    """Width and height out of `1280x720`, also as `1280X720`, `1280*720` or `1280×720`."""
    sides = _BY.split(size[:_LONGEST_SIZE]) if isinstance(size, str) else []
    return (whole_number(sides[0]), whole_number(sides[1])) if len(sides) == 2 else (None, None)


def _outputs(body: dict[str, Any], video_id: str) -> tuple[str, ...]:
    """The ids of the outputs: one, unless the server says that the job makes several."""
    lists = [len(body[name]) for name in ("urls", "file_paths") if isinstance(body.get(name), list)]
    count = min(max(whole_number(body.get("num_outputs")) or 1, *lists, 1), _MOST_OUTPUTS)
    return (video_id, *(f"{video_id}{_OUTPUT}{number}" for number in range(1, count)))


def _video(body: dict[str, Any], told: ToldHeaders, video_id: str) -> BackendJob:
    """`video_id` is the requested id: in the body it may be missing or written differently."""
    status = status_in(body)
    state = state_of(status)
    failure = reason_in(body)
    progress, finished_at = percent(body.get("progress")), moment(body.get("completed_at"))
    width, height = _sides(body.get("size"))
    done = finished_at is not None or progress == 100 or bool(addresses_in(body))
    return BackendJob(
        id=video_id,
        state=state,
        status=status,
        progress=progress,
        created_at=moment(body.get("created_at")),
        finished_at=finished_at,
        expires_at=moment(body.get("expires_at")),
        generation_ids=_outputs(body, video_id) if state is BackendState.SUCCEEDED else (),
        prompt=words(body.get("prompt")),
        width=width,
        height=height,
        seconds=whole_number(body.get("seconds")),
        model=text(body.get("model")),
        failure_code=failure.code,
        failure_message=failure.text,
        seems_done=state is BackendState.UNKNOWN and done,
        poll_after=told.wait,
        request_id=told.request_id,
        told_at=told.date,
    )
