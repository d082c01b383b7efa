"""The bindings. They are anonymous, since the host does not read Bearer keys; each handler checks the API's own key."""

from __future__ import annotations

from typing import Annotated

import azure.functions as func
from pydantic import Field

from http_edge.answers import json_answer
from http_edge.operations import FORM, Answer, Body, Header, Operation, Parameter
from http_edge.pages import Limit
from http_edge.submissions import IdempotencyKey, large_body_turn
from http_edge.tracing import traced
from openai_api.caller import caller_of
from openai_api.create import create_video
from openai_api.errors import OpenAiError, answers_openai, error_answer, error_answers
from openai_api.images import FILES
from openai_api.models import ModelList, list_models
from openai_api.read import Order, Variant, content_url, find_video, list_videos
from openai_api.request import CreateVideo, is_repeat, read_create
from openai_api.video import DeletedVideo, Video, VideoList, video_of
from video_jobs.domain.ids import JOB_ID_PATTERN
from video_jobs.domain.job import Job
from video_jobs.domain.retry_after import ask_again_in
from video_jobs.lifecycle.repair import mark_deleted
from video_jobs.services import Services
from video_jobs.views.job_schema import Url
from video_jobs.wiring import get_services

blueprint = func.Blueprint()

_TAG = "OpenAI videos"
_After = Annotated[str, Field(pattern=f"^({JOB_ID_PATTERN})?$")]  # empty: the first page
_LONGEST_POLL = 5  # seconds: OpenAI's package uses the first hint for all its polls
_VIDEO_ID = Parameter("id", "path", "A video's id. It is the id of its job.")
_POLL_AFTER = Header(
    "openai-poll-after-ms",
    "Milliseconds until the next poll. Absent if nothing will change again.",
    int,
    required=False,
)


@blueprint.function_name("create_video")
@blueprint.route("v1/videos", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@Operation(
    "Create a video",
    tag=_TAG,
    description="Unknown fields are ignored, unless they ask for another video: those are refused.",
    security="api_key",
    parameters=[
        Parameter("Idempotency-Key", "header", "As in the job API.", IdempotencyKey),
        Parameter(
            "x-stainless-retry-count",
            "header",
            "Above 0: a repeat of an earlier request; it gives the same video.",
        ),
    ],
    bodies=[Body(CreateVideo), Body(CreateVideo, FORM, files=FILES)],
    answers={
        200: Answer("The video", Video, headers=[_POLL_AFTER]),
        **error_answers(400, 409, 411, 413, 415, 429),
    },
    answers_problems=False,
)
@traced
@answers_openai
def create_video_function(req: func.HttpRequest) -> func.HttpResponse:
    services = get_services()
    arrived_at = services.clock()
    key = caller_of(req.headers, services.compat_api_keys)
    body = req.get_body()
    with large_body_turn(body) as end_turn:
        submission = read_create(req.headers, body, lambda: (req.form, req.files), services.backends)
        if not submission.brings_its_images:
            end_turn()
        job = create_video(services, key, submission, arrived_at, repeat=is_repeat(req.headers))
        del submission
    if job.error is not None and job.was_refused:
        return error_answer(400, job.error.code, f"{job.error.message} (The video {job.id} keeps this.)")
    return _video_answer(services, job)


@blueprint.function_name("retrieve_video")
@blueprint.route("v1/videos/{id}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@Operation(
    "One video",
    tag=_TAG,
    security="api_key",
    parameters=[_VIDEO_ID],
    answers={200: Answer("The video", Video, headers=[_POLL_AFTER]), **error_answers(404)},
    answers_problems=False,
)
@answers_openai
def retrieve_video_function(req: func.HttpRequest) -> func.HttpResponse:
    services = get_services()
    key = caller_of(req.headers, services.compat_api_keys)
    return _video_answer(services, find_video(services, key.owner, req.route_params["id"]).job)


@blueprint.function_name("retrieve_video_content")
@blueprint.route("v1/videos/{id}/content", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@Operation(
    "The bytes of a video, or its thumbnail",
    tag=_TAG,
    security="api_key",
    parameters=[_VIDEO_ID, Parameter("variant", "query", "`video` (the default) or `thumbnail`.", Variant)],
    answers={
        302: Answer(
            "Redirect to a read-only URL that expires", headers=[Header("Location", "The bytes.", Url)]
        ),
        **error_answers(400, 404),
    },
    answers_problems=False,
)
@answers_openai
def retrieve_video_content_function(req: func.HttpRequest) -> func.HttpResponse:
    services = get_services()
    key = caller_of(req.headers, services.compat_api_keys)
    job = find_video(services, key.owner, req.route_params["id"]).job
    url = content_url(services, job, req.params.get("variant", "video"))
    return func.HttpResponse(status_code=302, headers={"Location": url, "Cache-Control": "no-store"})


@blueprint.function_name("list_videos")
@blueprint.route("v1/videos", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@Operation(
    "The videos",
    tag=_TAG,
    security="api_key",
    parameters=[
        Parameter("limit", "query", "How many at most.", Limit),
        Parameter("after", "query", "The `last_id` of the page before, in the same order.", _After),
        Parameter("order", "query", "The order by creation time; newest first by default.", Order),
    ],
    answers={200: Answer("A page", VideoList), **error_answers(400)},
    answers_problems=False,
)
@answers_openai
def list_videos_function(req: func.HttpRequest) -> func.HttpResponse:
    services = get_services()
    key = caller_of(req.headers, services.compat_api_keys)
    return json_answer(list_videos(services, key.owner, req.params))


@blueprint.function_name("delete_video")
@blueprint.route("v1/videos/{id}", methods=["DELETE"], auth_level=func.AuthLevel.ANONYMOUS)
@Operation(
    "Delete a video, and cancel it if it is not finished",
    tag=_TAG,
    security="api_key",
    parameters=[_VIDEO_ID],
    answers={200: Answer("The video is hidden; the app deletes it", DeletedVideo), **error_answers(404)},
    answers_problems=False,
)
@answers_openai
def delete_video_function(req: func.HttpRequest) -> func.HttpResponse:
    services = get_services()
    key = caller_of(req.headers, services.compat_api_keys)
    job = mark_deleted(services, find_video(services, key.owner, req.route_params["id"], deleted_too=True))
    deleted: DeletedVideo = {"id": job.id, "object": "video.deleted", "deleted": True}
    return json_answer(deleted)


@blueprint.function_name("list_models")
@blueprint.route("v1/models", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@Operation(
    "The models that a request may name",
    tag=_TAG,
    security="api_key",
    answers={200: Answer("The models of all backends", ModelList), **error_answers()},
    answers_problems=False,
)
@answers_openai
def list_models_function(req: func.HttpRequest) -> func.HttpResponse:
    services = get_services()
    caller_of(req.headers, services.compat_api_keys)
    return json_answer(list_models(services.backends))


@blueprint.function_name("unknown_openai_path")
@blueprint.route(
    "v1/{*path}",
    methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
    auth_level=func.AuthLevel.ANONYMOUS,
)
@Operation(
    "Any other path",
    tag=_TAG,
    security="api_key",
    answers=error_answers(404),
    answers_problems=False,
    listed=False,
)
@answers_openai
def unknown_openai_path_function(req: func.HttpRequest) -> func.HttpResponse:
    caller_of(req.headers, get_services().compat_api_keys)
    raise OpenAiError(
        404,
        "unknown_url",
        "There is no such call here. The calls are POST and GET /videos, GET and DELETE /videos/{id}, "
        "GET /videos/{id}/content, and GET /models.",
    )


def _video_answer(services: Services, job: Job) -> func.HttpResponse:
    wait = ask_again_in(job, services.clock())
    headers = {} if wait is None else {"openai-poll-after-ms": str(1000 * min(wait, _LONGEST_POLL))}
    return json_answer(video_of(job, services.retention), headers=headers)
