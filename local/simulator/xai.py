"""xAI's video API, as the package `@ai-sdk/xai` 3.0.138 reads it: 202 while a task goes on, no id in what is polled, and
unknown fields are ignored."""

from collections.abc import Sequence

from werkzeug.wrappers import Request

from . import intake
from .answers import Answer, Route, json_answer
from .errors import ApiError
from .job import XAI, Job, Order, Phase
from .provider import Provider, pixels, refuse_image

_TICKS_PER_SECOND = 500_000_000  # of video: five cents


class Xai(Provider):
    """Answers creates and polls."""

    name = XAI
    wrong = (401, "Incorrect API key provided.", "invalid_api_key")
    empty = (
        403,
        "Your team has used all available credits or reached its monthly spending limit.",
        "forbidden",
    )
    flagged = (400, "The prompt was refused by content moderation.", "content_policy_violation")

    def find(self, method: str, segments: Sequence[str]) -> Route | None:
        """The operation behind a path, or None. The id distinguishes its polls from those of the OpenAI protocol."""
        match method, *segments:
            case "POST", "v1", "videos", "generations":
                return Route("create")
            case "GET", "v1", "videos", task_id if self._is_ours(task_id):
                return Route("get", task_id)
        return None

    def _is_ours(self, task_id: str) -> bool:
        return self.world.job(task_id, XAI) is not None

    def refuse(self, status: int, message: str, code: str | None = None) -> Answer:
        """The error under `error`, as OpenAI's."""
        return json_answer(
            {"error": {"message": message, "type": "invalid_request_error", "code": code}}, status
        )

    def no_model(self, model: str) -> ApiError:
        """The refusal in xAI's words."""
        return ApiError(
            404, f"The model {model} does not exist or your team has no access to it.", code="not_found"
        )

    def operate(self, route: Route, request: Request) -> Answer:
        """Carry the operation out."""
        if route.operation == "create":
            job = self.create(_order(intake.read(request)))
            return json_answer({"request_id": job.id}, job_id=job.id)
        job = self.job(route.target or "")
        snapshot = self.world.snapshot(job)
        if snapshot.phase is Phase.QUEUED:
            return Answer(202, job_id=job.id)
        if not snapshot.phase.over:
            return json_answer({"status": "pending", "progress": snapshot.progress}, 202, job_id=job.id)
        return json_answer(self._ended(job), job_id=job.id)

    def _ended(self, job: Job) -> dict[str, object]:
        snapshot = self.world.snapshot(job)
        cost = {"cost_in_usd_ticks": job.order.seconds * _TICKS_PER_SECOND}
        if self.world.expired(job):
            return {"status": "expired"}
        if snapshot.failure == "internal_error":
            return {
                "status": "failed",
                "error": {"code": "internal_error", "message": "Something went wrong."},
            }
        video: dict[str, object] = {"url": "", "duration": job.order.seconds, "respect_moderation": False}
        if snapshot.phase is Phase.SUCCEEDED:
            addresses = self.addresses(job)
            video = {"url": addresses[0] if addresses else "", "duration": job.order.seconds}
            video["respect_moderation"] = True
        return {"status": "done", "progress": 100, "model": job.order.model, "video": video, "usage": cost}


def _order(given: intake.Intake) -> Order:
    """Raises ApiError."""
    width, height = pixels(given.text("aspect_ratio", "16:9"), given.text("resolution", "480p"))
    seconds = given.number("duration", 6)
    if not 1 <= seconds <= 15:
        raise intake.invalid("duration", "1 to 15 seconds")
    image = given.fields.get("image")
    if image is not None:
        refuse_image(image.get("url") if isinstance(image, dict) else None, "image")
    return Order(
        given.text("prompt"),
        given.text("model"),
        width,
        height,
        seconds,
        from_image=image is not None,
        given=given.shortened(),
    )
