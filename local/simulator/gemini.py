"""Google's Interactions API for videos, as the package `google-genai` 3.6.1 describes it: the video is a file that needs the
key, and a wrong key is a 400."""

from collections.abc import Sequence
from datetime import UTC, datetime

from werkzeug.wrappers import Request

from . import intake
from .answers import Answer, Route, json_answer
from .errors import ApiError
from .job import GEMINI, Job, Order, Phase
from .provider import Provider, pixels

_STATUSES = {
    Phase.QUEUED: "queued",
    Phase.SUCCEEDED: "completed",
    Phase.FAILED: "failed",
    Phase.CANCELLED: "cancelled",
}
_WORDS = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"}
_BLOCKED = "I can't make this video: it was blocked by our safety filters."
_DOWNLOAD = ":download"


class Gemini(Provider):
    """Answers creates, the operations on interactions, and the files."""

    name = GEMINI
    wrong = (400, "API key not valid. Please pass a valid API key.", None)
    empty = (400, "Please enable billing on your project in the console.", "FAILED_PRECONDITION")
    flagged = (400, "The prompt was blocked by our safety filters.", None)
    busy = (429, "Resource has been exhausted (e.g. check quota).", "RESOURCE_EXHAUSTED")

    def find(self, method: str, segments: Sequence[str]) -> Route | None:
        """The operation behind a path, or None."""
        match method, *segments:
            case "POST", ("v1" | "v1beta"), "interactions":
                return Route("create")
            case "GET", ("v1" | "v1beta"), "interactions", job_id:
                return Route("get", job_id)
            case "POST", ("v1" | "v1beta"), "interactions", job_id, "cancel":
                return Route("delete", job_id)
            case "GET", ("v1" | "v1beta"), "files", name if name.endswith(_DOWNLOAD):
                return Route("video", name.removesuffix(_DOWNLOAD))
        return None

    def refuse(self, status: int, message: str, code: str | None = None) -> Answer:
        """As all of Google's APIs have it."""
        word = code or _WORDS.get(status, "UNKNOWN")
        return json_answer({"error": {"code": status, "message": message, "status": word}}, status)

    def no_model(self, model: str) -> ApiError:
        """Google's words."""
        return ApiError(404, f"models/{model} is not found for API version v1.")

    def operate(self, route: Route, request: Request) -> Answer:
        """Carry the operation out."""
        if route.operation == "create":
            job = self.create(_order(intake.read(request)))
            return json_answer(self._shown(job, request), job_id=job.id)
        if route.operation == "video":
            job = self._job_of_file(route.target or "")
            ends_at = (self.world.snapshot(job).finished_at or 0) + self.world.settings.address_lifetime
            return self.file(job, 0, ends_at, request)
        job = self.job(route.target or "")
        if route.operation == "delete":
            self.world.cancel(job)
        return json_answer(self._shown(job, request), job_id=job.id)

    def _job_of_file(self, name: str) -> Job:
        for job in self.world.jobs(GEMINI):
            if _file(job) == name:
                return job
        raise ApiError(403, "You do not have permission to access the File or it may not exist.")

    def _shown(self, job: Job, request: Request) -> dict[str, object]:
        snapshot = self.world.snapshot(job)
        shown: dict[str, object] = {
            "id": job.id,
            "object": "interaction",
            "model": job.order.model,
            "status": _STATUSES.get(snapshot.phase, "in_progress"),
            "created": _time(job.created_at),
            "updated": _time(self.world.clock.now()),
        }
        if snapshot.failure == "internal_error":
            return {**shown, "errors": [{"code": "internal", "message": "An internal error has occurred."}]}
        content: list[object] = []
        if snapshot.failure is not None:
            shown["status"] = "completed"
            content = [{"type": "text", "text": _BLOCKED}]
        elif snapshot.phase is Phase.SUCCEEDED:
            uri = f"{request.host_url}v1/files/{_file(job)}"
            content = [{"type": "video", "mime_type": "video/mp4", "uri": uri} for _ in job.outputs]
        if content:
            shown["steps"] = [{"type": "model_output", "content": content}]
            shown["usage"] = {"total_tokens": 5792 * job.order.seconds}
        return shown


def _file(job: Job) -> str:
    return job.id[-12:].replace("_", "a").lower()


def _order(given: intake.Intake) -> Order:
    """Raises ApiError."""
    wanted = given.fields.get("response_format")
    if not isinstance(wanted, dict) or wanted.get("type") != "video" or wanted.get("delivery") != "uri":
        raise intake.invalid("response_format", "a video that is delivered by its URI")
    shape = intake.Intake(wanted, multipart=False)
    resolution = shape.text("resolution", "720p").replace("4k", "2160p")
    width, height = pixels(shape.text("aspect_ratio", "16:9"), resolution)
    duration = shape.text("duration", "8s")
    if not duration.endswith("s") or not duration[:-1].isdecimal() or not 3 <= int(duration[:-1]) <= 15:
        raise intake.invalid("duration", "3s to 15s")
    prompt, from_image = _input(given.fields.get("input"))
    return Order(
        prompt,
        given.text("model"),
        width,
        height,
        int(duration[:-1]),
        from_image=from_image,
        given=given.shortened(),
    )


def _input(given: object) -> tuple[str, bool]:
    """The prompt, and whether a picture came with it. Raises ApiError."""
    contents = [{"type": "text", "text": given}] if isinstance(given, str) else given
    if not isinstance(contents, list) or not all(isinstance(each, dict) for each in contents):
        raise intake.invalid("input", "a text, or a list of contents")
    texts = [each.get("text") for each in contents if each.get("type") == "text"]
    pictures = [each for each in contents if each.get("type") == "image"]
    if not texts or not isinstance(texts[0], str) or any(not each.get("data") for each in pictures):
        raise intake.invalid("input", "a text, and pictures with their data")
    return texts[0], bool(pictures)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
