"""The description of a provider whose API is "create a task, poll the task, fetch an address".

Each provider is one `TaskApi`, in a file of `providers/`. What all of them share is in `task_videos.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import quote

from video_jobs.backends.answers import BackendMessage, error_in, state_in, words
from video_jobs.backends.shapes import size_told
from video_jobs.backends.video_address import addresses_in
from video_jobs.domain.backend_job import BackendState
from video_jobs.domain.capabilities import Limits, ModelTakes
from video_jobs.domain.cost import Cost
from video_jobs.domain.job import VideoRequest
from video_jobs.domain.video_request import FIRST, LAST
from video_jobs.net.told import number, percent, whole_number
from video_jobs.settings.backends import BackendSettings

_ANY = "data:,"  # an image in a body of which only the names matter
_MOST_OUTPUTS = 20  # of one task; more are ignored
_NAMESPACES = ("workflows", "comfy")  # of fal: the application's two parts follow
_HIGHEST_COST = 1e6  # a higher value can't be the cost of a video

Body = Mapping[str, Any]
"""The API's answer about a task, without the app's key."""

Addresses = list[list[str]]
"""For each output the addresses of its bytes, the likeliest first."""


class Call(NamedTuple):
    """A create: the path below the base URL, and the JSON body. A value that is null is not sent."""

    path: str
    body: Body


class Images(NamedTuple):
    """A request's images as data URLs."""

    first: str | None = None
    last: str | None = None
    references: tuple[str, ...] = ()

    @classmethod
    def of(cls, urls: Mapping[int, str]) -> Images:
        """From the data URLs by the numbers that `VideoRequest.images` has."""
        references = tuple(urls[number] for number in sorted(urls) if number > LAST)
        return cls(urls.get(FIRST), urls.get(LAST), references)


class ModelList(NamedTuple):
    """Where a provider tells its models, and how an answer is read: what each model takes, by its name."""

    path: str
    read: Callable[[Body], Mapping[str, ModelTakes]]


class Stop(NamedTuple):
    """The call that stops a task. `path`: with `{id}`."""

    method: str
    path: str


class Asked(NamedTuple):
    """What a list tells of the request behind a task. None: it does not tell."""

    prompt: str | None = None
    width: int | None = None  #: pixels
    height: int | None = None
    seconds: int | None = None
    from_image: bool = False


class TaskList(NamedTuple):
    """How an API lists its tasks, the newest first."""

    path: str
    query: Callable[[str | None], Mapping[str, str]]  #: of the page's name; None: the first
    entries: str  #: the name under which they stand
    next_page: Callable[
        [Body, str | None, int], str | None
    ]  #: of an answer, its page's name, its entries' count
    asked: Callable[[Body], Asked] = lambda entry: Asked()


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


class TaskApi(NamedTuple):
    """What differs from one provider to the next. Paths are templates: `{id}` is the task's, `{app}` the first two parts
    of the model's name, and a namespace before them."""

    #: Of model, request, and the request's images.
    create: Callable[[str, VideoRequest, Images], Call]
    job_path: str
    outputs: Callable[[Body], Addresses]
    default_size: str
    default_seconds: int
    result_path: str | None = None  #: where the outputs stand, if a task that is done does not name them
    content_path: str | None = None  #: where the API itself serves the output `{index}`, with the key
    state: Callable[[Body], BackendState] = state_in
    failure: Callable[[Body], BackendMessage] = error_in
    progress: Callable[[Body], int | None] = lambda body: percent(body.get("progress"))
    cost: Callable[[Body], Cost | None] = lambda body: None
    id_name: str = "id"  #: of a create's answer
    names_itself: bool = True  #: whether a poll's answer contains the id
    stop: Stop | None = None
    tasks: TaskList | None = None
    #: What a model takes of which nothing more is known.
    takes: ModelTakes = ModelTakes()
    models: Mapping[str, ModelTakes] = MappingProxyType({})  #: of those that are known by name
    model_list: ModelList | None = None  #: where the provider tells its models itself
    shortest_poll: float = 0  #: seconds between two polls at least
    headers: Mapping[str, str] = MappingProxyType({})  #: on every call
    sign: Callable[[str], dict[str, str]] = _bearer  #: gives the header with the key

    def call(self, model: str, request: VideoRequest, images: Images) -> Call:
        """The create, without the values that were not requested: they are left to the model."""
        made = self.create(model, request, images)
        return made._replace(body=_without_nulls(made.body))

    @property
    def finds_by_model(self) -> bool:
        """Whether a task is found only under the model that made it."""
        return "{app}" in self.job_path

    def limits(self, settings: BackendSettings, model: str, takes: ModelTakes | None = None) -> Limits:
        """`takes`: what the provider tells of the model. Sizes and seconds in the settings override it. The first of
        a list is the default."""
        takes = takes or self.models.get(model, self.takes)
        sizes = None if settings.sizes == "any" else settings.sizes or takes.sizes
        seconds = None if settings.seconds == "any" else settings.seconds or takes.seconds
        return Limits(
            takes._replace(sizes=sizes, seconds=tuple(sorted(seconds)) if seconds else None),
            default_size=self.default_size if not sizes or self.default_size in sizes else sizes[0],
            default_seconds=self.default_seconds
            if not seconds or self.default_seconds in seconds
            else seconds[0],
            most_variants=lambda width, height: 1,
            most_seconds=lambda width, height: 3600,
            # Only the names in the body matter.
            body_of=lambda request: (
                self.call(model, request, Images.of(dict.fromkeys(request.images, _ANY))).body
            ),
        )


def _without_nulls(body: Body) -> dict[str, Any]:
    return {
        name: _without_nulls(value) if isinstance(value, dict) else value
        for name, value in body.items()
        if value is not None
    }


def path_of(template: str, model: str, task_id: str, index: int = 0) -> str:
    parts = [quote(part, safe="") for part in model.split("/")]
    app = "/".join(parts[: 3 if parts[0] in _NAMESPACES else 2])
    return template.format(id=quote(task_id, safe=""), app=app, index=index)


def inner(body: Any, *names: str) -> Any:
    """The value under these nested names; None if it is missing."""
    for name in names:
        body = body.get(name) if isinstance(body, Mapping) else None
    return body


def objects_in(entries: Any) -> list[dict[str, Any]]:
    """The objects of a list; empty for what is no list."""
    return [each for each in entries if isinstance(each, dict)] if isinstance(entries, list) else []


def asked_in(given: Any, ratio: str = "aspect_ratio", images: Iterable[str] = ()) -> Asked:
    """The request as an API's list shows it. `ratio` is the API's name for the aspect ratio, `images` are its names
    for a first image."""
    width, height = size_told(inner(given, ratio), inner(given, "resolution"))
    return Asked(
        prompt=words(inner(given, "prompt")),
        width=width,
        height=height,
        seconds=whole_number(inner(given, "duration")),
        from_image=any(inner(given, name) for name in images),
    )


def addresses_by_output(*lists: Any) -> Addresses:
    """Joins lists that name the same outputs in the same order, each with its own kind of address. A text is a list of
    one."""
    lists = tuple([each] if isinstance(each, str) else each for each in lists)
    known = [each[:_MOST_OUTPUTS] for each in lists if isinstance(each, list)]
    count = max(map(len, known), default=0)
    named = [
        [each[index] for each in known if index < len(each) and isinstance(each[index], str) and each[index]]
        for index in range(count)
    ]
    return [addresses for addresses in named if addresses]


def addresses_anywhere(body: Any) -> Addresses:
    """The addresses of one output, wherever a model's answer has them."""
    found = addresses_in(body)
    return [found] if found else []


def dollars(amount: Any, each: float = 1) -> Cost | None:
    """The cost of that many units at that price in dollars, if it is a number and can be the cost of a video."""
    units = None if isinstance(amount, bool) else number(amount)
    cost = None if units is None or units < 0 else round(units * each, 6)
    return Cost(cost, "USD") if cost is not None and cost < _HIGHEST_COST else None
