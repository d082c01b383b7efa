"""BytePlus ModelArk's video tasks, as the package `volcengine-ark-runtime` 5.0.54 describes them: a list by page without
prompts, and a DELETE that stops only what waits."""

from collections.abc import Sequence

from werkzeug.wrappers import Request

from . import intake
from .answers import Answer, Route, json_answer
from .errors import ApiError
from .job import BYTEPLUS, Job, Order, Phase
from .provider import Provider, pixels, ratio_of, refuse_image

_BASE = ["api", "v3", "contents", "generations", "tasks"]
_STATUSES = {
    Phase.QUEUED: "queued",
    Phase.SUCCEEDED: "succeeded",
    Phase.FAILED: "failed",
    Phase.CANCELLED: "cancelled",
}
_FAILURES = {
    "input_moderation": (
        "InputTextSensitiveContentDetected",
        "The request failed because the input text may contain sensitive information.",
    ),
    "output_moderation": (
        "OutputVideoSensitiveContentDetected",
        "The request failed because the output video may contain sensitive information.",
    ),
    "internal_error": ("InternalServiceError", "The service encountered an unexpected internal error."),
}
_TOKENS_PER_SECOND = 21_600  # of 1280x720


class BytePlus(Provider):
    """Answers creates, the list, and the operations on tasks."""

    name = BYTEPLUS
    wrong = (401, "The API key doesn't exist or is invalid.", "AuthenticationError")
    empty = (403, "The request failed because your account has an overdue balance.", "AccountOverdueError")
    flagged = (400, _FAILURES["input_moderation"][1], _FAILURES["input_moderation"][0])
    busy = (429, "Requests per minute of the model have reached the limit.", "RateLimitExceeded")

    def find(self, method: str, segments: Sequence[str]) -> Route | None:
        """The operation behind a path, or None."""
        if list(segments[:5]) != _BASE:
            return None
        match method, *segments[5:]:
            case ["POST"]:
                return Route("create")
            case ["GET"]:
                return Route("list")
            case (("GET" | "DELETE"), task_id):
                return Route("get" if method == "GET" else "delete", task_id)
        return None

    def refuse(self, status: int, message: str, code: str | None = None) -> Answer:
        """The error with its code under `error`."""
        return json_answer(
            {"error": {"code": code, "message": message, "param": "", "type": "Error"}}, status
        )

    def no_model(self, model: str) -> ApiError:
        """Ark's words."""
        words = f"The model or endpoint {model} does not exist or you do not have access to it."
        return ApiError(404, words, code="InvalidEndpointOrModel.NotFound")

    def operate(self, route: Route, request: Request) -> Answer:
        """Carry the operation out."""
        if route.operation == "create":
            job = self.create(_order(intake.read(request)))
            return json_answer({"id": job.id}, job_id=job.id)
        if route.operation == "list":
            return self._list(request)
        job = self.job(route.target or "")
        if route.operation == "get":
            return json_answer(self._shown(job), job_id=job.id)
        phase = self.world.snapshot(job).phase
        if phase is Phase.QUEUED:
            self.world.cancel(job)
        elif not phase.over:
            raise ApiError(
                409, "The task is running and can't be deleted.", code="InvalidAction.RunningTaskDeletion"
            )
        else:
            self.world.delete(job)
        return json_answer({})

    def _list(self, request: Request) -> Answer:
        number, size = (int(request.args.get(name, "1")) for name in ("page_num", "page_size"))
        jobs = self.world.jobs(BYTEPLUS)
        page = jobs[(number - 1) * size : number * size]
        return json_answer({"total": len(jobs), "items": [self._shown(job) for job in page]})

    def _shown(self, job: Job) -> dict[str, object]:
        snapshot, order = self.world.snapshot(job), job.order
        shown: dict[str, object] = {
            "id": job.id,
            "model": order.model,
            "status": _STATUSES.get(snapshot.phase, "running"),
            "created_at": int(job.created_at),
            "updated_at": int(snapshot.finished_at or self.world.clock.now()),
            "ratio": ratio_of(order.width, order.height),
            "resolution": f"{min(order.width, order.height)}p",
            "duration": order.seconds,
            "execution_expires_after": 172_800,
        }
        if snapshot.failure is not None:
            code, message = _FAILURES[snapshot.failure]
            return {**shown, "error": {"code": code, "message": message}}
        if snapshot.phase is Phase.SUCCEEDED:
            tokens = order.seconds * _TOKENS_PER_SECOND
            shown["usage"] = {"completion_tokens": tokens, "total_tokens": tokens}
            shown["content"] = {"video_url": "".join(self.addresses(job)[:1])}
        return shown


def _order(given: intake.Intake) -> Order:
    """Raises ApiError."""
    width, height = pixels(given.text("ratio", "16:9"), given.text("resolution", "720p"))
    content, seconds = given.fields.get("content"), given.number("duration", 5)
    if not isinstance(content, list) or not all(isinstance(each, dict) for each in content):
        raise intake.invalid("content", "a list of contents")
    texts = [each.get("text") for each in content if each.get("type") == "text"]
    pictures = [each.get("image_url") for each in content if each.get("type") == "image_url"]
    for picture in pictures:
        refuse_image(picture.get("url") if isinstance(picture, dict) else None, "image_url")
    if not texts or not isinstance(texts[0], str) or not 2 <= seconds <= 15:
        raise intake.invalid("content or duration", "a text, and from 2 to 15 seconds")
    return Order(
        texts[0],
        given.text("model"),
        width,
        height,
        seconds,
        from_image=bool(pictures),
        given=given.shortened(),
    )
