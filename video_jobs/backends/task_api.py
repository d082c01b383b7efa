"""The client of every provider whose API is "create a task, poll the task, fetch an address".

A provider is a description, `TaskApi`, in a file of `providers/`. What all of them share is here: the paid call, reading
the task, and the download from the addresses that the task names, which are asked for anew each time.
"""

from __future__ import annotations

import base64
import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from video_jobs.backends.answers import BackendMessage, ToldHeaders, message_in, state_of, text
from video_jobs.backends.bodies import created_job, delete_job, job_asked_for, read_job
from video_jobs.backends.fallback import open_one_of
from video_jobs.backends.http import BackendHttp
from video_jobs.domain.backend_job import BackendJob, BackendState
from video_jobs.domain.capabilities import Limits
from video_jobs.domain.errors import NotFound, Rejected, Unavailable
from video_jobs.domain.job import VideoRequest
from video_jobs.net.told import moment, percent
from video_jobs.ports import ContentStream, ListedJobs
from video_jobs.settings.backends import BackendSettings

_OUTPUT = "#"  # between a task's id and the number of a further output
_MOST_OUTPUTS = 20  # of one task that are believed
_NO_SUCH_CALL = 501  # what a server that keeps no list would answer

Addresses = list[list[str]]
"""For each output the addresses of its bytes, the likeliest first."""


@dataclass(frozen=True)
class Call:
    """A create: the path below the base URL, and the JSON body."""

    path: str
    body: Mapping[str, Any]


def _error_in(body: Mapping[str, Any]) -> BackendMessage:
    return message_in({"error": body.get("error")})


@dataclass(frozen=True, kw_only=True)
class TaskApi:
    """What differs from one provider to the next."""

    #: Of model, request, and input image as a data URL.
    create: Callable[[str, VideoRequest, str | None], Call]
    job_path: str  #: with `{id}`
    outputs: Callable[[Mapping[str, Any]], Addresses]
    default_size: str
    default_seconds: int
    sizes: tuple[str, ...] | None = None  #: None: any, the model decides
    seconds: tuple[int, ...] | None = None
    failure: Callable[[Mapping[str, Any]], BackendMessage] = _error_in
    can_delete: bool = False
    shortest_poll: float = 0  #: seconds between two polls at least
    headers: Mapping[str, str] = field(default_factory=dict)  #: on every call

    def limits(self, settings: BackendSettings) -> Limits:
        """The settings' sizes and seconds go before the provider's. The first of a list is the default."""
        sizes = None if settings.sizes == "any" else settings.sizes or self.sizes
        seconds = None if settings.seconds == "any" else settings.seconds or self.seconds
        return Limits(
            sizes=sizes,
            default_size=self.default_size if sizes is None or self.default_size in sizes else sizes[0],
            seconds=None if seconds is None else tuple(sorted(seconds)),
            default_seconds=self.default_seconds
            if seconds is None or self.default_seconds in seconds
            else seconds[0],
            most_variants=lambda width, height: 1,
            most_seconds=lambda width, height: 3600,
        )


def addresses_by_output(*lists: Any) -> Addresses:
    """Joins lists that name the same outputs in the same order, each with its own kind of address."""
    known = [each[:_MOST_OUTPUTS] for each in lists if isinstance(each, list)]
    count = max(map(len, known), default=0)
    named = [
        [each[index] for each in known if index < len(each) and isinstance(each[index], str) and each[index]]
        for index in range(count)
    ]
    return [addresses for addresses in named if addresses]


class TaskVideos:
    """See `ports.Backend`. The first output has the task's id, a further one the id and a number."""

    def __init__(self, http: BackendHttp, api: TaskApi, model: str) -> None:
        self._http = http
        self._api = api
        self._model = model

    def create(self, request: VideoRequest, image: bytes | None, deadline: float) -> BackendJob:
        picture = None
        if image is not None and request.input_image is not None:
            picture = f"data:{request.input_image.content_type};base64,{base64.b64encode(image).decode()}"
        call = self._api.create(self._model, request, picture)
        return created_job(self._http.post_once(call.path, deadline, json=call.body), self._job)

    def get(self, backend_job_id: str) -> BackendJob:
        return read_job(self._get(backend_job_id), backend_job_id, self._job)

    def list_jobs(self, after: str | None) -> ListedJobs:
        raise NotFound("This video API keeps no list of jobs.", status=_NO_SUCH_CALL)

    def recent(self) -> Iterator[BackendJob]:
        raise NotFound("This video API keeps no list of jobs.", status=_NO_SUCH_CALL)

    def delete(self, backend_job_id: str) -> None:
        if not self._api.can_delete:
            raise Rejected("This video API has no call that stops a job.")
        delete_job(self._http, self._path(backend_job_id), backend_job_id)

    def job_of(self, generation_id: str) -> str:
        return generation_id.partition(_OUTPUT)[0]

    def unnamed_outputs(self, backend_job_id: str) -> tuple[str, ...]:
        return (backend_job_id,)

    @contextlib.contextmanager
    def open_video(
        self, backend_job_id: str, generation_id: str, deadline: float, attempt: int = 0
    ) -> Iterator[ContentStream]:
        """From the addresses that the task names now: signed ones end, and a poll renews them at some providers. Every
        second time in the other order, for an address whose bytes are never whole."""
        began = time.monotonic()
        outputs = self._api.outputs(self._get(backend_job_id).body)
        number = generation_id.removeprefix(backend_job_id + _OUTPUT)
        index = int(number) if number != generation_id and number.isdecimal() else 0
        if index >= len(outputs):
            raise Unavailable("The video API names no address of this video.")
        addresses = outputs[index] if attempt % 2 == 0 else outputs[index][::-1]
        left = max(deadline - (time.monotonic() - began), 0.001)
        with contextlib.ExitStack() as stack:
            yield open_one_of(self._http, stack, addresses, left)

    def open_thumbnail(
        self, backend_job_id: str, generation_id: str, deadline: float
    ) -> AbstractContextManager[ContentStream]:
        raise NotFound("This video API makes no thumbnails.")

    def _path(self, task_id: str) -> str:
        return self._api.job_path.format(id=quote(task_id, safe=""))

    def _get(self, task_id: str) -> Any:
        return job_asked_for(self._http, self._path(task_id), task_id)

    def _wait(self, told: ToldHeaders) -> float | None:
        return max(told.wait or 0, self._api.shortest_poll) or told.wait

    def _job(self, body: dict[str, Any], told: ToldHeaders, task_id: str) -> BackendJob:
        """No time of expiry: what is told is an address's, and the video may outlive it."""
        status = text(body.get("status"))
        state = state_of(status)
        failure = self._api.failure(body)
        outputs = self._api.outputs(body)
        names = (task_id, *(f"{task_id}{_OUTPUT}{number}" for number in range(1, len(outputs))))
        return BackendJob(
            id=task_id,
            state=state,
            status=status,
            progress=percent(body.get("progress")),
            created_at=moment(body.get("created_at")) or moment(body.get("createdAt")),
            generation_ids=names if state is BackendState.SUCCEEDED else (),
            model=text(body.get("model")),
            failure_code=failure.code,
            failure_message=failure.text,
            seems_done=state is BackendState.UNKNOWN and bool(outputs),
            poll_after=None if state.is_final else self._wait(told),
            request_id=told.request_id,
            told_at=told.date,
        )
