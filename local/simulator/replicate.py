"""Replicate's API, as its package `replicate` 1.0.7 describes it: a list with inputs, a cancel that leaves the prediction,
outputs that are removed while the prediction stays."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import quote

from werkzeug.wrappers import Request

from . import intake
from .answers import Answer, Route, json_answer
from .errors import ApiError
from .job import REPLICATE, Job, Order, Phase
from .provider import Provider, pixels, ratio_of, refuse_image

_STATUSES = {
    Phase.QUEUED: "starting",
    Phase.SUCCEEDED: "succeeded",
    Phase.FAILED: "failed",
    Phase.CANCELLED: "canceled",
}
_FAILURES = {
    "input_moderation": "The input or output was flagged as sensitive. Please try again with different inputs. (E005)",
    "output_moderation": "The input or output was flagged as sensitive. Please try again with different inputs. (E005)",
    "internal_error": "Prediction failed: an unexpected error occurred. (E6716)",
}
_PAGE = 100


class Replicate(Provider):
    """Answers creates and the operations on predictions."""

    name = REPLICATE
    wrong = (401, "You did not pass a valid authentication token", None)
    empty = (
        402,
        "You have insufficient credit to run this model. Go to the billing page to purchase credit.",
        None,
    )
    flagged = (422, "input: the prompt was flagged by content moderation", None)

    def find(self, method: str, segments: Sequence[str]) -> Route | None:
        """The operation behind a path, or None."""
        match method, *segments:
            case "POST", "v1", "models", owner, name, "predictions":
                return Route("create", f"{owner}/{name}")
            case "POST", "v1", "predictions":
                return Route("create")
            case "GET", "v1", "predictions":
                return Route("list")
            case "GET", "v1", "predictions", job_id:
                return Route("get", job_id)
            case "POST", "v1", "predictions", job_id, "cancel":
                return Route("delete", job_id)
        return None

    def refuse(self, status: int, message: str, code: str | None = None) -> Answer:
        """A problem, as RFC 7807 has it."""
        titles = {
            401: "Unauthenticated",
            402: "Insufficient credit",
            404: "Not found",
            422: "Input validation failed",
        }
        title = titles.get(status, "Request refused")
        return json_answer({"title": title, "detail": message, "status": status}, status)

    def no_model(self, model: str) -> ApiError:
        """Replicate's words."""
        return ApiError(404, "The requested resource could not be found.")

    def operate(self, route: Route, request: Request) -> Answer:
        """Carry the operation out."""
        if route.operation == "create":
            job = self.create(_order(intake.read(request), route.target))
            return json_answer(self._shown(job, request), 201, job_id=job.id)
        if route.operation == "list":
            return self._list(request)
        job = self.job(route.target or "")
        if route.operation == "delete":
            self.world.cancel(job)
        return json_answer(self._shown(job, request), job_id=job.id)

    def _list(self, request: Request) -> Answer:
        jobs = self.world.jobs(REPLICATE)
        cursor = request.args.get("cursor")
        start = 0 if cursor is None else _position(cursor)
        more = start + _PAGE < len(jobs)
        following = (
            f"{request.host_url}v1/predictions?cursor={quote(_cursor(start + _PAGE))}" if more else None
        )
        page = [self._shown(job, request) for job in jobs[start : start + _PAGE]]
        return json_answer({"previous": None, "next": following, "results": page})

    def _shown(self, job: Job, request: Request) -> dict[str, object]:
        snapshot, order = self.world.snapshot(job), job.order
        removed = snapshot.finished_at is not None and self.world.clock.now() >= job.expires_at
        done = snapshot.phase is Phase.SUCCEEDED and not removed
        address = f"{request.host_url}v1/predictions/{job.id}"
        given: dict[str, object] = {
            "prompt": order.prompt,
            "aspect_ratio": ratio_of(order.width, order.height),
            "resolution": f"{min(order.width, order.height)}p",
            "duration": order.seconds,
        }
        if order.from_image:
            given["image"] = f"{request.host_url}files/image.png"
        links = self.addresses(job) if done else []
        return {
            "id": job.id,
            "model": order.model,
            "version": "hidden",
            "input": {} if removed else given,
            "logs": f"{snapshot.progress}%|###   | {snapshot.progress}/100" if snapshot.progress else "",
            "output": links[0] if len(links) == 1 else links or None,
            "data_removed": removed,
            "error": None if snapshot.failure is None else _FAILURES[snapshot.failure],
            "status": _STATUSES.get(snapshot.phase, "processing"),
            "created_at": _time(job.created_at),
            "started_at": None
            if snapshot.phase is Phase.QUEUED
            else _time(job.created_at + job.queue_seconds),
            "completed_at": None if snapshot.finished_at is None else _time(snapshot.finished_at),
            "metrics": {"predict_time": job.run_seconds} if snapshot.phase.over else {},
            "urls": {"get": address, "cancel": f"{address}/cancel"},
        }


def _order(given: intake.Intake, model: str | None) -> Order:
    """Raises ApiError."""
    inner = given.fields.get("input")
    if not isinstance(inner, dict):
        raise ApiError(422, "- input is required\n")
    wanted = intake.Intake(inner, multipart=False)
    try:
        width, height = pixels(wanted.text("aspect_ratio", "16:9"), wanted.text("resolution", "720p"))
        images = [inner[name] for name in ("image", "start_image", "first_frame_image") if name in inner]
        for image in images:
            refuse_image(image, "input.image")
        prompt, seconds = wanted.text("prompt"), wanted.number("duration", 8)
    except ApiError as error:
        raise ApiError(422, f"- input: {error}\n") from error
    if not 1 <= seconds <= 60:
        raise ApiError(422, "- input.duration: Must be between 1 and 60\n")
    return Order(
        prompt,
        model or given.text("version"),
        width,
        height,
        seconds,
        from_image=bool(images),
        given=given.shortened(),
    )


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _cursor(position: int) -> str:
    return base64.urlsafe_b64encode(f"p={position}".encode()).decode()


def _position(cursor: str) -> int:
    """Raises ApiError."""
    try:
        return int(base64.urlsafe_b64decode(cursor).removeprefix(b"p="))
    except ValueError as error:
        raise ApiError(400, "Invalid cursor") from error
