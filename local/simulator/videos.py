"""The dialect openai-videos: one job is one video, as OpenAI and many compatible servers have it."""

import base64
import binascii
import re
from collections.abc import Sequence
from urllib.parse import quote

from werkzeug.wrappers import Request

from . import errors, intake
from .answers import Answer, Body, Route, json_answer, media_answer, padded_mp4
from .errors import ApiError
from .intake import Intake
from .job import OPENAI_VIDEOS, Job, Order, Phase, Snapshot
from .render import render_sheet
from .signed import SignedLinks
from .world import LimitReachedError, PromptRejectedError, StillRunningError, World

_BASES = (["openai", "v1", "videos"], ["v1", "videos"])
_SIZES = ("720x1280", "1280x720", "1024x1792", "1792x1024")
_SECONDS = ("4", "8", "12")
_LONGEST_PROMPT = 32_000
_VARIANTS = ("video", "thumbnail", "spritesheet")

_STATUSES = {Phase.QUEUED: "queued", Phase.SUCCEEDED: "completed", Phase.FAILED: "failed"}
_MODERATED = ("moderation_blocked", "Your request was blocked by our moderation system.")
_BROKEN = ("internal_error", "The video could not be generated because of an internal error.")


class Videos:
    """Answers the operations of openai-videos from a World."""

    name = OPENAI_VIDEOS

    def __init__(self, world: World, links: SignedLinks) -> None:
        self._world = world
        self._links = links

    def find(self, method: str, segments: Sequence[str]) -> Route | None:
        """The operation behind a path under either base, or None."""
        base = next((base for base in _BASES if list(segments[: len(base)]) == base), None)
        if base is None:
            return None
        match method, *segments[len(base) :]:
            case ["POST"]:
                return Route("create")
            case ["GET"]:
                return Route("list")
            case (("GET" | "DELETE"), video_id):
                return Route("get" if method == "GET" else "delete", video_id)
            case "POST", video_id, "remix":
                return Route("remix", video_id)
            case "GET", video_id, "content":
                return Route("video", video_id)
        return None

    def refine(self, route: Route, request: Request) -> Route:
        """The same route under the name of what it downloads: that is in the query, not in the path."""
        variant = request.args.get("variant")
        return Route(variant, route.target) if route.operation == "video" and variant in _VARIANTS else route

    def answer(self, route: Route, request: Request) -> Answer:
        """Carry the operation out."""
        try:
            match route.operation, route.target or "":
                case "create", _:
                    return self._create(request, None)
                case "remix", video_id:
                    return self._create(request, self._job(video_id))
                case "list", _:
                    return self._list(request)
                case "get", video_id:
                    return self._shown_alone(self._job(video_id), request)
                case "delete", video_id:
                    return self._delete(self._job(video_id))
                case _, video_id:
                    return self._content(self._job(video_id), request)
        except LimitReachedError as limit:
            error = errors.limited(limit)
        except PromptRejectedError:
            error = errors.filtered()
        except StillRunningError:
            error = errors.still_running()
        except ApiError as refused:
            error = refused
        return errors.wrapped(error, self._world.settings)

    def _create(self, request: Request, source: Job | None) -> Answer:
        settings = self._world.settings
        given = intake.read(request)
        if settings.multipart_only and not given.multipart:
            raise ApiError(400, "This server takes multipart/form-data only.", code="invalid_content_type")
        if settings.json_only and given.multipart:
            raise ApiError(400, "This server takes application/json only.", code="invalid_content_type")
        order = read_remix(given, source) if source else read_order(given, settings.any_size)
        if settings.retired:
            raise errors.retired(order.model)
        if settings.deployments is not None and order.model not in settings.deployments:
            raise errors.no_deployment(order.model)
        return self._shown_alone(self._world.create(OPENAI_VIDEOS, order), request)

    def _list(self, request: Request) -> Answer:
        limit, direction = request.args.get("limit", "20"), request.args.get("order", "desc")
        if not limit.isdecimal() or int(limit) > 100:
            raise intake.invalid("limit", "an integer from 0 to 100")
        if direction not in ("asc", "desc"):
            raise intake.invalid("order", "asc or desc")
        jobs = self._world.jobs(OPENAI_VIDEOS)
        if direction == "asc":
            jobs.reverse()
        after = request.args.get("after")
        if after is not None:
            ids = [job.id for job in jobs]
            if after not in ids:
                raise intake.invalid("after", "the id of a video in this list")
            jobs = jobs[ids.index(after) + 1 :]
        page = jobs[: int(limit)]
        return json_answer(
            {
                "object": "list",
                "data": [self._shown(job, self._world.snapshot(job), request) for job in page],
                "first_id": page[0].id if page else None,
                "last_id": page[-1].id if page else None,
                "has_more": len(jobs) > len(page),
            }
        )

    def _delete(self, job: Job) -> Answer:
        self._world.delete(job)
        if self._world.settings.delete_says_status:
            return json_answer({"id": job.id, "object": "video", "status": "deleted"})
        return json_answer({"id": job.id, "object": "video.deleted", "deleted": True})

    def _content(self, job: Job, request: Request) -> Answer:
        variant = request.args.get("variant", "video")
        if variant not in _VARIANTS:
            raise intake.invalid("variant", f"one of {', '.join(_VARIANTS)}")
        self._refuse_without_content(job)
        if self._world.settings.content_redirect:
            return Answer(
                302, headers={"location": self._links.issue(lambda other: self._file(job, variant, other))}
            )
        return self._file(job, variant, request)

    def _refuse_without_content(self, job: Job) -> None:
        phase = self._world.snapshot(job).phase
        if not phase.over:
            status = self._world.settings.not_ready_status
            raise ApiError(
                status, f"Video '{job.id}' is not ready yet; its status is not completed.", code="not_ready"
            )
        if phase is Phase.FAILED or self._world.output(job.id, OPENAI_VIDEOS) is None:
            raise ApiError(404, f"Video '{job.id}' has no content, or it has expired.", code="not_found")

    def _file(self, job: Job, variant: str, request: Request) -> Answer:
        output = job.outputs[0]
        files, modified = output.rendering.result(), output.done_at or job.created_at
        if variant == "video":
            return media_answer(request, padded_mp4(files.mp4, job.pad_to_bytes), "video/mp4", modified)
        picture = files.webp if variant == "thumbnail" else render_sheet(output.shot)
        return media_answer(request, Body(picture), "image/webp", modified)

    def _job(self, video_id: str) -> Job:
        job = self._world.job(video_id, OPENAI_VIDEOS)
        if job is None:
            raise ApiError(404, f"Video with id '{video_id}' not found.", code="not_found", param="video_id")
        return job

    def _shown_alone(self, job: Job, request: Request) -> Answer:
        snapshot, hint = self._world.snapshot(job), self._world.settings.poll_after_ms
        headers = {} if hint is None or snapshot.phase.over else {"openai-poll-after-ms": str(hint)}
        return json_answer(self._shown(job, snapshot, request), headers=headers, job_id=job.id)

    def _shown(self, job: Job, snapshot: Snapshot, request: Request) -> dict[str, object]:
        order, settings = job.order, self._world.settings
        shown: dict[str, object] = {
            "id": job.id,
            "object": "video",
            "model": order.model,
            "status": _STATUSES.get(snapshot.phase, "in_progress"),
            "progress": snapshot.progress,
            "created_at": int(job.created_at),
            "completed_at": None if snapshot.finished_at is None else int(snapshot.finished_at),
            "expires_at": int(job.expires_at),
            "prompt": None if settings.hide_prompt else order.prompt,
            "size": f"{order.width}x{order.height}",
            "seconds": str(order.seconds),
            "remixed_from_video_id": order.remixed_from,
            "error": self._failure(snapshot),
        }
        if settings.carry_url and snapshot.phase is Phase.SUCCEEDED:
            address = f"{request.base_url.split('/videos')[0]}/videos/{quote(job.id, safe='')}/content"
            shown |= {"url": address, "video_url": address}
        return (
            {name: value for name, value in shown.items() if value is not None} if settings.sparse else shown
        )

    def _failure(self, snapshot: Snapshot) -> dict[str, object] | None:
        if snapshot.failure is None:
            return None
        moderated = snapshot.failure != "internal_error"
        code, message = _MODERATED if moderated else _BROKEN
        if self._world.settings.error_without_code:
            return {"message": message}
        if self._world.settings.error_code_int:
            return {"code": 400 if moderated else 500, "message": message}
        return {"code": code, "message": message}


def read_order(given: Intake, any_size: bool) -> Order:
    """The order in a create's body. Raises ApiError."""
    prompt = _prompt(given)
    size, seconds = given.text("size", "720x1280"), given.fields.get("seconds", "4")
    if not isinstance(seconds, str) and not (any_size and isinstance(seconds, int)):
        raise ApiError(
            400,
            "Invalid type for 'seconds': expected a string such as \"4\", but got something else instead.",
            code="invalid_type",
            param="seconds",
        )
    seconds = str(seconds)
    numbers = re.fullmatch(r"([1-9]\d{1,3})x([1-9]\d{1,3})", size)
    if numbers is None or (not any_size and size not in _SIZES):
        raise intake.invalid("size", f"one of {', '.join(_SIZES)}")
    width, height = int(numbers[1]), int(numbers[2])
    if width % 2 or height % 2 or min(width, height) < 64 or max(width, height) > 4096:
        raise intake.invalid("size", "even numbers of pixels from 64 to 4096")
    if any_size and not (re.fullmatch(r"[1-9]\d?", seconds) and int(seconds) <= 60):
        raise intake.invalid("seconds", "a whole number from 1 to 60")
    if not any_size and seconds not in _SECONDS:
        raise intake.invalid("seconds", f"one of {', '.join(_SECONDS)}")
    _check_reference(given, width, height)
    return Order(prompt, given.text("model", "sora-2"), width, height, int(seconds))


def read_remix(given: Intake, source: Job) -> Order:
    """The order of a video that changes `source` with another prompt. Raises ApiError."""
    old = source.order
    return Order(_prompt(given), old.model, old.width, old.height, old.seconds, remixed_from=source.id)


def _prompt(given: Intake) -> str:
    prompt = given.text("prompt")
    if len(prompt) > _LONGEST_PROMPT:
        raise intake.invalid("prompt", f"at most {_LONGEST_PROMPT} characters")
    return prompt


def _check_reference(given: Intake, width: int, height: int) -> None:
    """Refuse a reference picture that does not have the video's size, if it can be read. A URL that isn't a data URL,
    or the id of an uploaded file, is accepted without a check."""
    for file in given.files.get("input_reference", []):
        intake.check_image(file.read(), width, height, "input_reference")
    named = given.fields.get("input_reference")
    if named is None or given.multipart:
        return
    if not isinstance(named, dict) or len(named.keys() & {"image_url", "file_id"}) != 1:
        raise intake.invalid("input_reference", "an object with either image_url or file_id")
    url = named.get("image_url")
    if isinstance(url, str) and url.startswith("data:"):
        try:
            data = base64.b64decode(url.partition(",")[2], validate=True)
        except binascii.Error as error:
            raise intake.invalid("input_reference", "a data URL in Base64") from error
        intake.check_image(data, width, height, "input_reference")
