"""The dialect azure-sora: jobs that make one or more generations, as Azure's Sora 1 serves them."""

import json
from collections.abc import Sequence

from werkzeug.wrappers import Request

from . import errors, intake
from .answers import Answer, Body, Route, json_answer, media_answer, padded_mp4
from .errors import ApiError
from .intake import Intake
from .job import AZURE_SORA, Job, Order, Phase, RenderedOutput
from .render import Rendering
from .world import LimitReachedError, PromptRejectedError, StillRunningError, World

_BASE = ["openai", "v1", "video", "generations"]
_STATUSES = {"preprocessing", "queued", "running", "processing", "cancelled", "succeeded", "failed"}

# Shorter side in pixels: (most seconds, most variants).
_LIMITS = {480: (20, 4), 720: (20, 2), 1080: (10, 1)}
_LANDSCAPE = {(480, 480), (854, 480), (720, 720), (1280, 720), (1080, 1080), (1920, 1080)}
_SIZES = _LANDSCAPE | {(height, width) for width, height in _LANDSCAPE}


class SoraJobs:
    """Answers the operations of azure-sora from a World."""

    name = AZURE_SORA

    def __init__(self, world: World) -> None:
        self._world = world

    def find(self, method: str, segments: Sequence[str]) -> Route | None:
        """The operation behind a path, or None. A generation's bare `/content` is None: the service
        has no such path."""
        if list(segments[:4]) != _BASE:
            return None
        match method, *segments[4:]:
            case "POST", "jobs":
                return Route("create")
            case "GET", "jobs":
                return Route("list")
            case (("GET" | "DELETE"), "jobs", job_id):
                return Route("get" if method == "GET" else "delete", job_id)
            case "GET", generation_id:
                return Route("get_generation", generation_id)
            case "GET", generation_id, "content", "thumbnail":
                return Route("thumbnail", generation_id)
            case (("GET" | "HEAD"), generation_id, "content", "video"):
                return Route("video" if method == "GET" else "video_head", generation_id)
        return None

    def answer(self, route: Route, request: Request) -> Answer:
        """Carry the operation out."""
        # Without a version, `v1` is meant, which lacks these paths. Every dated version lacks them too.
        if request.args.getlist("api-version") != ["preview"]:
            return errors.not_found()
        target = route.target or ""
        try:
            match route.operation:
                case "create":
                    return self._create(request)
                case "list":
                    return self._list(request)
                case "get":
                    return json_answer(self._shown(self._job(target)))
                case "delete":
                    self._world.delete(self._job(target))
                    return Answer(204)
                case "get_generation":
                    return json_answer(_generation(*self._output(target)))
                case "thumbnail":
                    return self._thumbnail(target, request)
                case _:
                    return self._video(target, request)
        except LimitReachedError as limit:
            return errors.wrapped(errors.limited(limit), self._world.settings)
        except PromptRejectedError:
            return errors.flat(errors.filtered())
        except StillRunningError:
            return errors.flat(errors.still_running())
        except ApiError as error:
            return errors.flat(error)

    def _create(self, request: Request) -> Answer:
        order = read_order(intake.read(request))
        settings = self._world.settings
        if settings.retired:
            raise errors.retired(order.model)
        if settings.deployments is not None and order.model not in settings.deployments:
            raise errors.no_deployment(order.model)
        job = self._world.create(AZURE_SORA, order)
        return json_answer(self._shown(job), job_id=job.id)

    def _list(self, request: Request) -> Answer:
        limit = request.args.get("limit", type=int)
        if limit is None or not 1 <= limit <= 100:
            raise (
                intake.invalid("limit", "an integer from 1 to 100")
                if "limit" in request.args
                else intake.missing("limit")
            )
        jobs = self._world.jobs(AZURE_SORA)
        if "statuses" in request.args:
            statuses = set(request.args["statuses"].split(","))
            if statuses - _STATUSES:
                raise intake.invalid("statuses", f"any of {', '.join(sorted(_STATUSES))}")
            jobs = [job for job in jobs if self._world.snapshot(job).phase.value in statuses]
        page, more = _page(jobs, limit, request.args.get("before"), request.args.get("after"))
        return json_answer(
            {
                "object": "list",
                "data": [self._shown(job) for job in page],
                "has_more": more,
                "first_id": page[0].id if page else None,
                "last_id": page[-1].id if page else None,
            }
        )

    def _video(self, generation_id: str, request: Request) -> Answer:
        if request.args.get("quality", "high") not in ("high", "low"):
            raise intake.invalid("quality", "high or low")
        job, output = self._output(generation_id)
        body = padded_mp4(_rendering(output).mp4, job.pad_to_bytes)
        return media_answer(request, body, "video/mp4", output.done_at or job.created_at)

    def _thumbnail(self, generation_id: str, request: Request) -> Answer:
        job, output = self._output(generation_id)
        # This is no registered media type, but the service sends it.
        return media_answer(
            request, Body(_rendering(output).jpeg), "image/jpg", output.done_at or job.created_at
        )

    def _job(self, job_id: str) -> Job:
        job = self._world.job(job_id, AZURE_SORA)
        if job is None:
            raise ApiError(
                404, f"The video generation job '{job_id}' was not found.", code="NotFound", type=None
            )
        return job

    def _output(self, generation_id: str) -> tuple[Job, RenderedOutput]:
        found = self._world.output(generation_id, AZURE_SORA)
        if found is None:
            raise ApiError(
                404, f"The video generation '{generation_id}' was not found.", code="NotFound", type=None
            )
        return found

    def _shown(self, job: Job) -> dict[str, object]:
        snapshot, order = self._world.snapshot(job), job.order
        succeeded = snapshot.phase is Phase.SUCCEEDED
        shown: dict[str, object] = {
            "object": "video.generation.job",
            "id": job.id,
            "status": snapshot.phase.value,
            "created_at": int(job.created_at),
            "finished_at": None if snapshot.finished_at is None else int(snapshot.finished_at),
            "expires_at": int(job.expires_at),
            "generations": [_generation(job, output) for output in job.outputs] if succeeded else [],
            "prompt": order.prompt,
            "model": order.model,
            "n_variants": order.variants,
            "n_seconds": order.seconds,
            "height": order.height,
            "width": order.width,
            "failure_reason": snapshot.failure,
        }
        return {**shown, "inpaint_items": list(order.inpaint_items)} if order.inpaint_items else shown


def _generation(job: Job, output: RenderedOutput) -> dict[str, object]:
    """A generation as the service shows it, without the address of its bytes."""
    return {
        "object": "video.generation",
        "id": output.id,
        "job_id": job.id,
        "created_at": int(output.done_at or job.created_at),
        "width": output.shot.width,
        "height": output.shot.height,
        "n_seconds": output.shot.seconds,
        "prompt": output.shot.prompt,
    }


def _rendering(output: RenderedOutput) -> Rendering:
    return output.rendering.result()


def _page(jobs: list[Job], limit: int, before: str | None, after: str | None) -> tuple[list[Job], bool]:
    """The part of a newest-first list after or before a cursor, and whether more follows."""
    ids = [job.id for job in jobs]
    for name, cursor in (("before", before), ("after", after)):
        if cursor is not None and cursor not in ids:
            raise intake.invalid(name, "the id of a job in this list")
    if after is not None:
        jobs = jobs[ids.index(after) + 1 :]
    if before is not None:
        newer = jobs[: [job.id for job in jobs].index(before)] if before in {job.id for job in jobs} else []
        return newer[-limit:], len(newer) > limit
    return jobs[:limit], len(jobs) > limit


def read_order(given: Intake) -> Order:
    """The order in a create's body, checked against the limits of its size. Raises ApiError."""
    prompt, model = given.text("prompt"), given.text("model")
    width, height = given.number("width"), given.number("height")
    seconds, variants = given.number("n_seconds", 5), given.number("n_variants", 1)
    if (width, height) not in _SIZES:
        names = ", ".join(f"{w}x{h}" for w, h in sorted(_SIZES))
        raise ApiError(
            400,
            f"Unsupported size {width}x{height}. Supported: {names}.",
            code="invalid_value",
            param="width",
        )
    most_seconds, most_variants = _LIMITS[min(width, height)]
    if not 1 <= seconds <= most_seconds:
        raise intake.invalid("n_seconds", f"1 to {most_seconds} at {width}x{height}")
    if not 1 <= variants <= most_variants:
        raise intake.invalid("n_variants", f"1 to {most_variants} at {width}x{height}")
    return Order(prompt, model, width, height, seconds, variants, inpaint_items=_inpaint_items(given))


def _inpaint_items(given: Intake) -> tuple[dict[str, object], ...]:
    """The items, which name the attached files: in a form one string of JSON."""
    files = given.files.get("files", [])
    if given.multipart and not files:
        raise intake.missing("files")
    text = given.fields.get("inpaint_items")
    if text is None:
        return ()
    try:
        items = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        items = None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise intake.invalid("inpaint_items", "a JSON array of objects, as one string in a multipart form")
    attached = {file.filename for file in files}
    for item in items:
        if not isinstance(item.get("frame_index"), int) or item.get("type") not in ("image", "video"):
            raise intake.invalid("inpaint_items", "a frame_index and the type image or video in each item")
        if item.get("file_name") not in attached:
            raise intake.invalid(
                "inpaint_items", f"file_name to be one of the attached files, not {item.get('file_name')!r}"
            )
    return tuple(items)
