"""fal's queue, as its package `fal-client` 1.0.3 describes it: the status and the result have separate addresses, and a
failed request is COMPLETED."""

from collections.abc import Sequence

from werkzeug.wrappers import Request

from . import intake
from .answers import Answer, Route, json_answer
from .errors import ApiError
from .job import FAL, Job, Order, Phase
from .provider import Provider, pixels, refuse_image

_OTHERS = ("v1", "v1beta", "api", "openai", "simulator")
_STATUSES = {Phase.QUEUED: "IN_QUEUE", Phase.SUCCEEDED: "COMPLETED", Phase.FAILED: "COMPLETED"}
_FLAGGED = "The content could not be processed because it contained material flagged by a content checker."


class Fal(Provider):
    """Answers creates and the operations on requests."""

    name = FAL
    wrong = (401, "Authentication is required to access this application.", None)
    empty = (403, "User is locked. Reason: Exhausted balance. Top up your balance at the billing page.", None)
    flagged = (422, _FLAGGED, "content_policy_violation")

    def find(self, method: str, segments: Sequence[str]) -> Route | None:
        """The operation behind a path, or None. Any path may be an application's."""
        if len(segments) < 2 or segments[0] in _OTHERS:
            return None
        match method, *segments[2:]:
            case "GET", "requests", _, "status":
                return Route("get", segments[3])
            case "GET", "requests", _:
                return Route("result", segments[3])
            case "PUT", "requests", _, "cancel":
                return Route("delete", segments[3])
            case "POST", *path if "requests" not in path:
                return Route("create", "/".join(segments))
        return None

    def refuse(self, status: int, message: str, code: str | None = None) -> Answer:
        """As FastAPI sends it; a header has the kind too, if known."""
        if status != 422:
            return json_answer({"detail": message}, status)
        problem = {"loc": ["body"], "msg": message, "type": code or "value_error"}
        return json_answer({"detail": [problem]}, status, {"x-fal-error-type": code or "value_error"})

    def no_model(self, model: str) -> ApiError:
        """fal's words."""
        return ApiError(404, f"Application model '{model}' not found")

    def operate(self, route: Route, request: Request) -> Answer:
        """Carry the operation out."""
        if route.operation == "create":
            return self._create(route.target or "", request)
        job = self.job(route.target or "")
        if not request.path.startswith(f"/{_app(job.order.model)}/"):
            raise ApiError(404, "Request not found")
        if route.operation == "delete":
            stopped = self.world.cancel(job)
            said = "CANCELLATION_REQUESTED" if stopped else "ALREADY_COMPLETED"
            return json_answer({"status": said}, 202 if stopped else 400)
        return self._status(job, request) if route.operation == "get" else self._result(job)

    def _create(self, model: str, request: Request) -> Answer:
        job = self.create(_order(model, intake.read(request)))
        address = _address(job, request)
        return json_answer(
            {
                "status": "IN_QUEUE",
                "request_id": job.id,
                "response_url": address,
                "status_url": f"{address}/status",
                "cancel_url": f"{address}/cancel",
                "queue_position": 0,
            },
            job_id=job.id,
        )

    def _status(self, job: Job, request: Request) -> Answer:
        snapshot = self.world.snapshot(job)
        shown: dict[str, object] = {
            "status": _STATUSES.get(snapshot.phase, "COMPLETED" if snapshot.phase.over else "IN_PROGRESS"),
            "request_id": job.id,
            "response_url": _address(job, request),
            "logs": None,
        }
        if snapshot.phase is Phase.QUEUED:
            shown["queue_position"] = 0
        if snapshot.phase.over:
            shown["metrics"] = {"inference_time": job.run_seconds}
        if snapshot.phase is Phase.CANCELLED:
            shown |= {"error": "The request was cancelled by the client", "error_type": "client_cancelled"}
        elif snapshot.failure == "internal_error":
            shown |= {"error": "Internal server error", "error_type": "internal_error"}
        return json_answer(shown, 200 if snapshot.phase.over else 202, job_id=job.id)

    def _result(self, job: Job) -> Answer:
        snapshot = self.world.snapshot(job)
        if snapshot.phase is Phase.SUCCEEDED:
            files = [
                {"url": address, "content_type": "video/mp4", "file_name": "output.mp4"}
                for address in self.addresses(job)
            ]
            return json_answer({"video": files[0]} if len(files) == 1 else {"videos": files}, job_id=job.id)
        if snapshot.failure in ("input_moderation", "output_moderation"):
            return self.refuse(*self.flagged)
        return self.refuse(500 if snapshot.phase.over else 400, "Request is still in progress or failed")


def _app(model: str) -> str:
    return "/".join(model.split("/")[:2])


def _address(job: Job, request: Request) -> str:
    return f"{request.host_url}{_app(job.order.model)}/requests/{job.id}"


def _order(path: str, given: intake.Intake) -> Order:
    """Raises ApiError."""
    model = path.removesuffix("/image-to-video")
    width, height = pixels(given.text("aspect_ratio", "16:9"), given.text("resolution", "720p"))
    duration = str(given.fields.get("duration", "8s")).removesuffix("s")
    if not duration.isdecimal() or not 1 <= int(duration) <= 60:
        raise ApiError(422, "Input should be a duration", code="literal_error")
    from_image = path.endswith("/image-to-video")
    if from_image:
        refuse_image(given.fields.get("image_url"), "image_url")
    return Order(
        given.text("prompt"),
        model,
        width,
        height,
        int(duration),
        from_image=from_image,
        given=given.shortened(),
    )
