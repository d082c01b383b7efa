"""OpenRouter's video API, as its package `openrouter` 1.3.84 describes it: no list, no cancel, two addresses for each output."""

import re
from collections.abc import Sequence
from functools import partial
from urllib.parse import quote

from werkzeug.wrappers import Request

from . import intake, openrouter_models
from .answers import Answer, Route, json_answer, media_answer, padded_mp4
from .errors import ApiError
from .intake import Intake
from .job import OPENROUTER, Job, Order, Phase
from .signed import SignedLinks
from .world import LimitReachedError, PromptRejectedError, World

_BASE = ["api", "v1", "videos"]
_STATUSES = {Phase.QUEUED: "pending", Phase.SUCCEEDED: "completed", Phase.FAILED: "failed"}
_COST_PER_SECOND = 0.4  # USD
_NUMBERS = re.compile(r"([1-9]\d{1,3})x([1-9]\d{1,3})")


class OpenRouter:
    """Answers the four operations from a World."""

    name = OPENROUTER

    def __init__(self, world: World, links: SignedLinks) -> None:
        self._world = world
        self._links = links

    def find(self, method: str, segments: Sequence[str]) -> Route | None:
        """The operation behind a path, or None."""
        if list(segments[:3]) != _BASE:
            return None
        match method, *segments[3:]:
            case ["POST"]:
                return Route("create")
            case "GET", "models":
                return Route("models")
            case "GET", job_id:
                return Route("get", job_id)
            case "GET", job_id, "content":
                return Route("video", job_id)
        return None

    def answer(self, route: Route, request: Request) -> Answer:
        """Carry the operation out."""
        try:
            match route.operation, route.target or "":
                case "create", _:
                    return self._create(request)
                case "models", _:
                    return json_answer({"data": openrouter_models.listed(self._world.settings.deployments)})
                case "get", job_id:
                    return json_answer(self._shown(self._job(job_id), request), job_id=job_id)
                case _, job_id:
                    return self._content(self._job(job_id), request)
        except LimitReachedError as limit:
            headers = {} if limit.retry_after is None else {"retry-after": str(limit.retry_after)}
            return _error(429, str(limit), headers)
        except PromptRejectedError:
            return _error(403, "The prompt was flagged by moderation.")
        except ApiError as refused:
            return _error(refused.status, str(refused))

    def wrong_key(self) -> Answer:
        """The answer to an unknown key."""
        return _error(401, "User not found.")

    def _create(self, request: Request) -> Answer:
        settings = self._world.settings
        order = _order(intake.read(request))
        if settings.out_of_credit:
            raise ApiError(402, "Insufficient credits. Add more at https://openrouter.ai/settings/credits")
        known = settings.deployments
        if settings.retired or (known is not None and order.model not in known):
            raise ApiError(404, f"Model {order.model} does not exist")
        job = self._world.create(OPENROUTER, order)
        return json_answer(self._shown(job, request), 202, job_id=job.id)

    def _job(self, job_id: str) -> Job:
        job = self._world.job(job_id, OPENROUTER)
        if job is None:
            raise ApiError(404, "Job not found")
        return job

    def _shown(self, job: Job, request: Request) -> dict[str, object]:
        snapshot = self._world.snapshot(job)
        address = f"{request.host_url}api/v1/videos/{quote(job.id, safe='')}"
        shown: dict[str, object] = {
            "id": job.id,
            "polling_url": f"/api/v1/videos/{quote(job.id, safe='')}",
            "status": _STATUSES.get(snapshot.phase, "in_progress"),
        }
        if snapshot.failure is not None:
            shown["error"] = (
                "Internal error" if snapshot.failure == "internal_error" else "Blocked by content moderation"
            )
        if snapshot.phase is Phase.SUCCEEDED:
            shown["unsigned_urls"] = [f"{address}/content?index={index}" for index in range(len(job.outputs))]
            if not self._world.expired(job):
                shown["urls"] = [
                    self._links.issue(partial(self._file, job, index)) for index in range(len(job.outputs))
                ]
                shown["expires_at"] = int(job.expires_at)
            shown["usage"] = {"cost": job.order.seconds * _COST_PER_SECOND, "is_byok": False}
        return shown

    def _content(self, job: Job, request: Request) -> Answer:
        index = request.args.get("index", "0")
        if not index.isdecimal() or int(index) > 0:
            raise ApiError(404, "There is no such output")
        return self._file(job, 0, request)

    def _file(self, job: Job, index: int, request: Request) -> Answer:
        if self._world.snapshot(job).phase is not Phase.SUCCEEDED:
            return _error(409, "The video is not ready")
        if self._world.expired(job):
            return _error(410, "The video is no longer available")
        if index >= len(job.outputs):
            return _error(404, "There is no such output")
        output = job.outputs[index]
        mp4 = padded_mp4(output.rendering.result().mp4, job.pad_to_bytes)
        return media_answer(request, mp4, "video/mp4", output.done_at or job.created_at)


def _order(given: Intake) -> Order:
    """Raises ApiError."""
    model, seconds = given.text("model"), given.number("duration", 8)
    kinds = _images(given, "frame_images")
    if not kinds <= {"first_frame", "last_frame"}:
        raise intake.invalid("frame_type", "first_frame or last_frame")
    _images(given, "input_references")
    openrouter_models.check(given, model, kinds)
    numbers = _NUMBERS.fullmatch(_size(given))
    if numbers is None or not 1 <= seconds <= 60:
        raise intake.invalid("size or duration", "WIDTHxHEIGHT, and from 1 to 60 seconds")
    sides = (int(numbers[1]), int(numbers[2]))
    return Order(given.text("prompt"), model, *sides, seconds, given=given.shortened())


def _size(given: Intake) -> str:
    """As it is given, or as aspect ratio and resolution say."""
    ratio, resolution = given.text("aspect_ratio", "16:9"), given.text("resolution", "720p")
    if "size" in given.fields:
        if "aspect_ratio" in given.fields or "resolution" in given.fields:
            raise intake.invalid("size", "it, or aspect_ratio and resolution")
        return given.text("size")
    across, _, down = ratio.partition(":")
    short = resolution.removesuffix("p")
    if not (across.isdecimal() and down.isdecimal() and short.isdecimal()) or "0" in (across, down):
        raise intake.invalid("aspect_ratio or resolution", "16:9 and 720p, or others like these")
    share = int(across) / int(down)
    sides = (int(short) * share, int(short)) if share >= 1 else (int(short), int(short) / share)
    return "x".join(str(round(side / 2) * 2) for side in sides)


def _images(given: Intake, field: str) -> set[str]:
    """The kinds of the frames in a list of images. Raises ApiError."""
    images = given.fields.get(field, [])
    try:
        kinds = {str(image.get("frame_type", "")) for image in images}  # type: ignore[attr-defined]
        urls = [str(image["image_url"]["url"]) for image in images]  # type: ignore[attr-defined]
    except (TypeError, KeyError, AttributeError) as error:
        raise intake.invalid(field, "objects with type, image_url and, for frames, frame_type") from error
    if not all(url.startswith(("data:image/", "https://")) for url in urls):
        raise intake.invalid(field, "https addresses or data URLs")
    return kinds


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> Answer:
    return json_answer({"error": {"code": status, "message": message}}, status, headers)
