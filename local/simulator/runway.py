"""Runway's API, as its package `runwayml` 5.24.0 describes it: no list; addresses end, and a poll gives new ones."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from werkzeug.wrappers import Request

from . import intake
from .answers import Answer, Route, json_answer, media_answer, padded_mp4
from .errors import ApiError
from .intake import Intake
from .job import RUNWAY, Job, Order, Phase
from .signed import SignedLinks
from .world import LimitReachedError, PromptRejectedError, World

_CREATES = ("text_to_video", "image_to_video")
_STATUSES = {Phase.QUEUED: "PENDING", Phase.SUCCEEDED: "SUCCEEDED", Phase.FAILED: "FAILED"}
_FAILURES = {
    "input_moderation": ("SAFETY.INPUT.TEXT", "The prompt was flagged by our content moderation."),
    "output_moderation": ("SAFETY.OUTPUT.VIDEO", "The output was flagged by our content moderation."),
    "internal_error": ("INTERNAL.BAD_OUTPUT.CODE01", "An unexpected error occurred."),
}
_CREDITS_PER_SECOND = 12
_HD, _FULL_HD = ("1280:720", "720:1280"), ("1920:1080", "1080:1920")
_SIZES = {"gen4.5": _HD, "veo3.1": _HD + _FULL_HD, "veo3.1_fast": _HD + _FULL_HD}
_TAKEN = dict.fromkeys(("veo3.1", "veo3.1_fast"), ("audio", "negativePrompt"))
_LONGEST_PROMPT = 1000  # UTF-16 units


class Runway:
    """Answers creates and the operations on tasks from a World."""

    name = RUNWAY

    def __init__(self, world: World, links: SignedLinks) -> None:
        self._world = world
        self._links = links

    def find(self, method: str, segments: Sequence[str]) -> Route | None:
        """The operation behind a path, or None."""
        match method, *segments:
            case "POST", "v1", name if name in _CREATES:
                return Route("create", name)
            case (("GET" | "DELETE"), "v1", "tasks", task_id):
                return Route("get" if method == "GET" else "delete", task_id)
        return None

    def answer(self, route: Route, request: Request) -> Answer:
        """Carry the operation out."""
        if "x-runway-version" not in request.headers:
            return _error(400, "The X-Runway-Version header is missing.")
        try:
            if route.operation == "create":
                return self._create(intake.read(request), with_image=route.target == "image_to_video")
            job = self._world.job(route.target or "", RUNWAY)
            if job is None:
                return _error(404, "Task not found")
            if route.operation == "get":
                return json_answer(self._shown(job), job_id=job.id)
            self._world.delete(job)
            return Answer(204)
        except LimitReachedError as limit:
            return _error(429, str(limit))
        except PromptRejectedError:
            return _error(400, "The prompt was refused by content moderation.")
        except ApiError as refused:
            return _error(refused.status, str(refused))

    def wrong_key(self) -> Answer:
        """The answer to an unknown key."""
        return _error(401, "The API key is not valid.")

    def _create(self, given: Intake, *, with_image: bool) -> Answer:
        settings = self._world.settings
        order = _order(given, with_image=with_image)
        if settings.out_of_credit:
            raise ApiError(400, "You do not have enough credits to run this task.")
        if settings.retired or (settings.deployments is not None and order.model not in settings.deployments):
            raise ApiError(400, "Validation of body failed: model is none of those that exist.")
        job = self._world.create(RUNWAY, order)
        return json_answer({"id": job.id}, job_id=job.id)

    def _shown(self, job: Job) -> dict[str, object]:
        snapshot = self._world.snapshot(job)
        created = datetime.fromtimestamp(job.created_at, UTC).isoformat().replace("+00:00", "Z")
        credits = job.order.seconds * _CREDITS_PER_SECOND
        shown: dict[str, object] = {
            "id": job.id,
            "status": _STATUSES.get(snapshot.phase, "RUNNING"),
            "createdAt": created,
        }
        if snapshot.phase is Phase.SUCCEEDED:
            ends_at = self._world.clock.now() + self._world.settings.retention_seconds
            files = [partial(self._file, job, index, ends_at) for index in range(len(job.outputs))]
            return {
                **shown,
                "output": [self._links.issue(file) for file in files],
                "cost": {"credits": credits},
            }
        if snapshot.failure is not None:
            code, words = _FAILURES[snapshot.failure]
            return {**shown, "failure": words, "failureCode": code, "cost": {"credits": 0}}
        shown["estimatedCost"] = {"credits": credits}
        return shown if snapshot.phase is Phase.QUEUED else {**shown, "progress": snapshot.progress / 100}

    def _file(self, job: Job, index: int, ends_at: float, request: Request) -> Answer:
        if self._world.clock.now() >= ends_at:
            return _error(403, "The signature has expired.")
        output = job.outputs[index]
        mp4 = padded_mp4(output.rendering.result().mp4, job.pad_to_bytes)
        return media_answer(request, mp4, "video/mp4", output.done_at or job.created_at)


def _order(given: Intake, *, with_image: bool) -> Order:
    """Raises ApiError."""
    prompt, ratio, seconds = given.text("promptText"), given.text("ratio"), given.number("duration", 5)
    width, _, height = ratio.partition(":")
    if len(prompt.encode("utf-16-le", "surrogatepass")) > 2 * _LONGEST_PROMPT:
        raise intake.invalid("promptText", f"at most {_LONGEST_PROMPT} characters")
    if not (width.isdecimal() and height.isdecimal()) or not 2 <= seconds <= 10:
        raise intake.invalid("ratio or duration", "WIDTH:HEIGHT, and from 2 to 10 seconds")
    model = given.text("model")
    if model in _SIZES and ratio not in _SIZES[model]:
        raise intake.invalid("ratio", f"one of {_SIZES[model]}")
    for name in {"audio", "negativePrompt", "references"} & set(given.fields):
        if model in _SIZES and name not in _TAKEN.get(model, ()):
            raise ApiError(400, f"Validation of body failed: {name} is not known for {model}.")
    uris = _frames(given) if with_image else _uris(given.fields.get("references", []), "references")
    if not all(uri.startswith(("https://", "runway://", "data:image/")) for uri in uris):
        raise intake.invalid("promptImage or references", "https addresses, uploads or data URIs")
    return Order(prompt, model, int(width), int(height), seconds, given=given.shortened())


def _frames(given: Intake) -> list[str]:
    """Of one first frame, or of a list of frames with their positions."""
    frames = given.fields.get("promptImage")
    if not isinstance(frames, list):
        return [given.text("promptImage")]
    uris = _uris(frames, "promptImage")
    if not {frame.get("position") for frame in frames} <= {"first", "last"} or len(frames) > 2:
        raise intake.invalid("promptImage", "a first and a last frame")
    if "references" in given.fields:
        raise intake.invalid("references", "nothing beside frames")
    return uris


def _uris(images: object, name: str) -> list[str]:
    if not isinstance(images, list) or not all(isinstance(image, dict) for image in images):
        raise intake.invalid(name, "a list of objects with uri")
    return [str(image.get("uri")) for image in images]


def _error(status: int, message: str) -> Answer:
    return json_answer({"error": message}, status)
