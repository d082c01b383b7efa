"""The bindings. The host lets everybody pass, since it doesn't read Bearer keys: the door's own key is asked for."""

from __future__ import annotations

import azure.functions as func

from http_edge.answers import json_answer, retry_after
from openai_api.caller import caller_of
from openai_api.create import create_video
from openai_api.errors import DoorError, answers_openai, error_answer
from openai_api.read import content_url, find_video, list_videos
from openai_api.request import is_repeat, read_create
from openai_api.video import DeletedVideo, video_of
from video_jobs.job import Job
from video_jobs.repair import bury
from video_jobs.services import Services, get_services

blueprint = func.Blueprint()

_LONGEST_POLL = 5  # seconds: OpenAI's package keeps to the first hint that it gets


@blueprint.function_name("create_video")
@blueprint.route("v1/videos", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@answers_openai
def create_video_function(req: func.HttpRequest) -> func.HttpResponse:
    services = get_services()
    arrived_at = services.clock()
    key = caller_of(req.headers, services.door_keys)
    submission = read_create(req.headers, req.get_body(), lambda: (req.form, req.files), services.backends)
    job = create_video(services, key, submission, arrived_at, repeat=is_repeat(req.headers))
    if job.error is not None and job.was_refused:
        return error_answer(400, job.error.code, f"{job.error.message} (The video {job.id} keeps this.)")
    return _video_answer(services, job)


@blueprint.function_name("retrieve_video")
@blueprint.route("v1/videos/{id}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@answers_openai
def retrieve_video_function(req: func.HttpRequest) -> func.HttpResponse:
    services = get_services()
    key = caller_of(req.headers, services.door_keys)
    return _video_answer(services, find_video(services, key.owner, req.route_params["id"]).job)


@blueprint.function_name("retrieve_video_content")
@blueprint.route("v1/videos/{id}/content", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@answers_openai
def retrieve_video_content_function(req: func.HttpRequest) -> func.HttpResponse:
    services = get_services()
    key = caller_of(req.headers, services.door_keys)
    job = find_video(services, key.owner, req.route_params["id"]).job
    url = content_url(services, job, req.params.get("variant", "video"))
    return func.HttpResponse(status_code=302, headers={"Location": url, "Cache-Control": "no-store"})


@blueprint.function_name("list_videos")
@blueprint.route("v1/videos", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@answers_openai
def list_videos_function(req: func.HttpRequest) -> func.HttpResponse:
    services = get_services()
    key = caller_of(req.headers, services.door_keys)
    return json_answer(list_videos(services, key.owner, req.params))


@blueprint.function_name("delete_video")
@blueprint.route("v1/videos/{id}", methods=["DELETE"], auth_level=func.AuthLevel.ANONYMOUS)
@answers_openai
def delete_video_function(req: func.HttpRequest) -> func.HttpResponse:
    services = get_services()
    key = caller_of(req.headers, services.door_keys)
    job = bury(services, find_video(services, key.owner, req.route_params["id"], deleted_too=True))
    deleted: DeletedVideo = {"id": job.id, "object": "video.deleted", "deleted": True}
    return json_answer(deleted)


@blueprint.function_name("unknown_openai_path")
@blueprint.route("v1/{*path}", auth_level=func.AuthLevel.ANONYMOUS)
@answers_openai
def unknown_openai_path_function(req: func.HttpRequest) -> func.HttpResponse:
    caller_of(req.headers, get_services().door_keys)
    raise DoorError(
        404,
        "unknown_url",
        "There is no such call here. There are POST and GET /videos, GET and DELETE /videos/{id}, and "
        "GET /videos/{id}/content.",
    )


def _video_answer(services: Services, job: Job) -> func.HttpResponse:
    headers = {}
    if not job.is_terminal:
        headers["openai-poll-after-ms"] = str(1000 * min(int(retry_after(job)), _LONGEST_POLL))
    return json_answer(video_of(job, services.retention), headers=headers)
