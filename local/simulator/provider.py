"""What the simulated providers share: refusals in one place, files behind signed links."""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from math import gcd

from werkzeug.wrappers import Request

from . import intake
from .answers import Answer, Route, json_answer, media_answer, padded_mp4
from .errors import ApiError
from .job import Job, Order, Phase
from .signed import SignedLinks
from .world import LimitReachedError, PromptRejectedError, World

_SHAPE = re.compile(r"([1-9]\d{0,2}):([1-9]\d{0,2})")
_LINES = re.compile(r"([1-9]\d{2,3})p")


class Provider(ABC):
    """One provider's operations, answered from a World. A subclass says where they are and how answers look."""

    name: str

    def __init__(self, world: World, links: SignedLinks) -> None:
        self.world = world
        self._links = links

    @abstractmethod
    def find(self, method: str, segments: Sequence[str]) -> Route | None:
        """The operation behind a path, or None."""

    @abstractmethod
    def operate(self, route: Route, request: Request) -> Answer:
        """Carry the operation out. Raises ApiError, and what a World's create raises."""

    def refuse(self, status: int, message: str, code: str | None = None) -> Answer:
        """A refusal in this provider's shape."""
        return json_answer({"error": message}, status)

    #: What it says to a key that it does not know, to an empty account, and to a prompt that it refuses at once.
    wrong: tuple[int, str, str | None] = (401, "Invalid API key", None)
    empty: tuple[int, str, str | None] = (402, "Insufficient credit", None)
    flagged: tuple[int, str, str | None] = (400, "The prompt was flagged by content moderation", None)
    busy: tuple[int, str, str | None] = (429, "Too many requests", None)

    def answer(self, route: Route, request: Request) -> Answer:
        """Carry the operation out, or answer with a refusal in the provider's form."""
        try:
            return self.operate(route, request)
        except LimitReachedError:
            return self.refuse(*self.busy)
        except PromptRejectedError:
            return self.refuse(*self.flagged)
        except ApiError as refused:
            return self.refuse(refused.status, str(refused), refused.code)

    def wrong_key(self) -> Answer:
        """The answer to an unknown key."""
        return self.refuse(*self.wrong)

    def create(self, order: Order) -> Job:
        """A job, unless the account is empty or the model is unknown."""
        settings = self.world.settings
        if settings.out_of_credit:
            status, message, code = self.empty
            raise ApiError(status, message, code=code)
        known = settings.deployments
        if settings.retired or (known is not None and order.model not in known):
            raise self.no_model(order.model)
        return self.world.create(self.name, order)

    def no_model(self, model: str) -> ApiError:
        """The answer about a model that it does not have, or no longer has."""
        return ApiError(404, f"The model {model} does not exist", code="not_found")

    def job(self, job_id: str) -> Job:
        """The job of that id. Raises ApiError."""
        job = self.world.job(job_id, self.name)
        if job is None:
            raise ApiError(404, "The task was not found", code="not_found")
        return job

    def addresses(self, job: Job, ends_at: float | None = None) -> list[str]:
        """A signed link to each output, which works until `ends_at`: by default as long as the setting says, from the end
        of the job."""
        if ends_at is None:
            ends_at = (self.world.snapshot(job).finished_at or 0) + self.world.settings.address_lifetime
        files = [partial(self.file, job, index, ends_at) for index in range(len(job.outputs))]
        return [self._links.issue(file) for file in files]

    def file(self, job: Job, index: int, ends_at: float, request: Request) -> Answer:
        """The bytes of an output, or a store's answer after the end of a signature."""
        if self.world.clock.now() >= ends_at:
            return json_answer({"error": {"code": "AccessDenied", "message": "Request has expired"}}, 403)
        if self.world.snapshot(job).phase is not Phase.SUCCEEDED or index >= len(job.outputs):
            return json_answer({"error": {"code": "NoSuchKey", "message": "There is no such file"}}, 404)
        output = job.outputs[index]
        mp4 = padded_mp4(output.rendering.result().mp4, job.pad_to_bytes)
        return media_answer(request, mp4, "video/mp4", output.done_at or job.created_at)


def pixels(ratio: str, resolution: str) -> tuple[int, int]:
    """Width and height of a shape like 16:9 whose shorter side is 720p. Raises ApiError."""
    shape, lines = _SHAPE.fullmatch(ratio), _LINES.fullmatch(resolution)
    if shape is None or lines is None:
        raise intake.invalid("aspect_ratio or resolution", "a ratio like 16:9 and a resolution like 720p")
    across, down, side = int(shape[1]), int(shape[2]), int(lines[1])
    longer = round(side * max(across, down) / min(across, down) / 2) * 2
    return (longer, side) if across >= down else (side, longer)


def ratio_of(width: int, height: int) -> str:
    """The shape of so many pixels."""
    part = gcd(width, height)
    return f"{width // part}:{height // part}"


def refuse_image(url: object, name: str) -> None:
    """Raises ApiError unless it is something that the provider could fetch, or read itself."""
    if not isinstance(url, str) or not url.startswith(("data:image/", "https://")):
        raise intake.invalid(name, "an https address or a data URL")
