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
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import quote

from video_jobs.backends.answers import BackendMessage, ToldHeaders, message_in, state_of, text
from video_jobs.backends.bodies import created_job, delete_job, job_asked_for, read_job
from video_jobs.backends.fallback import open_one_of
from video_jobs.backends.http import BackendHttp
from video_jobs.domain.backend_job import BackendJob, BackendState
from video_jobs.domain.capabilities import Limits, ModelTakes
from video_jobs.domain.errors import NotFound, Rejected, Unavailable
from video_jobs.domain.job import InputImage, VideoRequest
from video_jobs.domain.provider_options import with_options
from video_jobs.net.told import moment, percent
from video_jobs.ports import ContentStream, ListedJobs
from video_jobs.settings.backends import BackendSettings

_ANY = "data:,"  # an image in a body of which only the names matter
_OUTPUT = "#"  # between a task's id and the number of a further output
_MOST_OUTPUTS = 20  # of one task that are believed
_NO_SUCH_CALL = 501  # what a server that keeps no list would answer
_LONGEST_LISTING = 8.0  # seconds for the models: a client waits for them

Addresses = list[list[str]]
"""For each output the addresses of its bytes, the likeliest first."""


@dataclass(frozen=True)
class Call:
    """A create: the path below the base URL, and the JSON body."""

    path: str
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Images:
    """A request's images as data URLs."""

    first: str | None = None
    last: str | None = None
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelList:
    """Where a provider tells its models, and how an answer is read: what each model takes, by its name."""

    path: str
    read: Callable[[Mapping[str, Any]], Mapping[str, ModelTakes]]


def _error_in(body: Mapping[str, Any]) -> BackendMessage:
    return message_in({"error": body.get("error")})


@dataclass(frozen=True, kw_only=True)
class TaskApi:
    """What differs from one provider to the next."""

    #: Of model, request, and the request's images.
    create: Callable[[str, VideoRequest, Images], Call]
    job_path: str  #: with `{id}`
    outputs: Callable[[Mapping[str, Any]], Addresses]
    default_size: str
    default_seconds: int
    takes: ModelTakes = field(
        default_factory=ModelTakes
    )  #: what a model takes of which nothing more is known
    models: Mapping[str, ModelTakes] = field(default_factory=dict)  #: of those that are known by name
    model_list: ModelList | None = None  #: where the provider tells its models itself
    failure: Callable[[Mapping[str, Any]], BackendMessage] = _error_in
    can_delete: bool = False
    shortest_poll: float = 0  #: seconds between two polls at least
    headers: Mapping[str, str] = field(default_factory=dict)  #: on every call

    def limits(self, settings: BackendSettings, model: str, takes: ModelTakes | None = None) -> Limits:
        """`takes`: what the provider tells of the model. The settings' sizes and seconds go before it. The first of a
        list is the default."""
        takes = takes or self.models.get(model, self.takes)
        sizes = None if settings.sizes == "any" else settings.sizes or takes.sizes
        seconds = None if settings.seconds == "any" else settings.seconds or takes.seconds
        known = {each.name: getattr(takes, each.name) for each in fields(ModelTakes)}
        return Limits(
            **{**known, "sizes": sizes, "seconds": tuple(sorted(seconds)) if seconds else None},
            default_size=self.default_size if not sizes or self.default_size in sizes else sizes[0],
            default_seconds=self.default_seconds
            if not seconds or self.default_seconds in seconds
            else seconds[0],
            most_variants=lambda width, height: 1,
            most_seconds=lambda width, height: 3600,
            body_of=lambda request: self.create(model, request, _placeholders(request)).body,
        )


def _placeholders(request: VideoRequest) -> Images:
    """For a body of which only the names matter."""
    return Images(
        _ANY if request.input_image else None,
        _ANY if request.last_image else None,
        (_ANY,) * len(request.reference_images),
    )


def _data_url(kind: InputImage, content: bytes) -> str:
    return f"data:{kind.content_type};base64,{base64.b64encode(content).decode()}"


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

    def create(
        self,
        request: VideoRequest,
        image: bytes | None,
        deadline: float,
        last_image: bytes | None = None,
        reference_images: tuple[bytes, ...] = (),
    ) -> BackendJob:
        images = Images(
            _data_url(request.input_image, image) if request.input_image and image else None,
            _data_url(request.last_image, last_image) if request.last_image and last_image else None,
            tuple(map(_data_url, request.reference_images, reference_images)),
        )
        call = self._api.create(self._model, request, images)
        body = with_options(call.body, request.options)
        return created_job(self._http.post_once(call.path, deadline, json=body), self._job)

    def models(self) -> Mapping[str, ModelTakes]:
        """As the provider tells them now. Raises BackendError, and NotFound where it tells none."""
        told = self._api.model_list
        if told is None:
            raise NotFound("This video API does not tell its models.", status=_NO_SUCH_CALL)
        return told.read(self._http.get(told.path, seconds=_LONGEST_LISTING).body)

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
