"""The bindings: a request to a job, a list, a redirect to a video, or something done with a job."""

from __future__ import annotations

import azure.functions as func

from http_edge.answers import job_answer, json_answer, retry_after
from http_edge.owner import owner_of
from http_edge.problems import HttpProblem, answers_problems, problem
from job_api.act import cancel_job, delete_job, repair_job
from job_api.health import check_health
from job_api.import_job import import_job, read_import
from job_api.options import list_options
from job_api.read import list_jobs, read_output
from job_api.retry import retry_job
from video_jobs.job_view import job_view
from video_jobs.lookup import find_job
from video_jobs.ports import VideoPlace
from video_jobs.services import get_services

blueprint = func.Blueprint()


@blueprint.function_name("get_job")
@blueprint.route("jobs/{id}", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@answers_problems
def get_job_function(req: func.HttpRequest) -> func.HttpResponse:
    services = get_services()
    return job_answer(services, find_job(services, owner_of(req), req.route_params["id"]).job)


@blueprint.function_name("list_jobs")
@blueprint.route("jobs", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@answers_problems
def list_jobs_function(req: func.HttpRequest) -> func.HttpResponse:
    services = get_services()
    jobs, cursor = list_jobs(services, owner_of(req), req.params)
    return json_answer({"jobs": [job_view(job, services.blobs) for job in jobs], "next_cursor": cursor})


@blueprint.function_name("get_video")
@blueprint.route("jobs/{id}/videos/{index}", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@answers_problems
def get_video_function(req: func.HttpRequest) -> func.HttpResponse:
    services = get_services()
    job, output = read_output(services, owner_of(req), req.route_params["id"], req.route_params["index"])
    if output.stored is None:
        state = (
            "was deleted by the video API before it could be fetched" if output.lost else "is not stored yet"
        )
        wait = None if job.is_terminal else {"Retry-After": retry_after(job)}
        raise HttpProblem(404, "video_not_stored", f"Video {output.index} of {job.id} {state}.", wait)
    return _redirect(services.blobs.sign_video(VideoPlace(job.owner, job.id, output.index)).url)


@blueprint.function_name("get_thumbnail")
@blueprint.route("jobs/{id}/videos/{index}/thumbnail", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@answers_problems
def get_thumbnail_function(req: func.HttpRequest) -> func.HttpResponse:
    services = get_services()
    job, output = read_output(services, owner_of(req), req.route_params["id"], req.route_params["index"])
    if output.thumbnail is None:
        raise HttpProblem(404, "no_thumbnail", f"Video {output.index} of {job.id} has no still.")
    place = VideoPlace(job.owner, job.id, output.index)
    return _redirect(services.blobs.sign_thumbnail(place, output.thumbnail).url)


@blueprint.function_name("cancel_job")
@blueprint.route("jobs/{id}/cancel", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@answers_problems
def cancel_job_function(req: func.HttpRequest) -> func.HttpResponse:
    services = get_services()
    return job_answer(services, cancel_job(services, owner_of(req), req.route_params["id"]), 202)


@blueprint.function_name("retry_job")
@blueprint.route("jobs/{id}/retry", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@answers_problems
def retry_job_function(req: func.HttpRequest) -> func.HttpResponse:
    services = get_services()
    return job_answer(services, retry_job(services, owner_of(req), req.route_params["id"]), 202)


@blueprint.function_name("repair_job")
@blueprint.route("jobs/{id}/repair", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@answers_problems
def repair_job_function(req: func.HttpRequest) -> func.HttpResponse:
    services = get_services()
    return job_answer(services, repair_job(services, owner_of(req), req.route_params["id"]), 202)


@blueprint.function_name("delete_job")
@blueprint.route("jobs/{id}", methods=["DELETE"], auth_level=func.AuthLevel.FUNCTION)
@answers_problems
def delete_job_function(req: func.HttpRequest) -> func.HttpResponse:
    job = delete_job(get_services(), owner_of(req), req.route_params["id"])
    return json_answer({"id": job.id, "deleted": True}, 202)


@blueprint.function_name("import_job")
@blueprint.route("jobs/import", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@answers_problems
def import_job_function(req: func.HttpRequest) -> func.HttpResponse:
    services = get_services()
    return job_answer(services, import_job(services, owner_of(req), read_import(req.get_body())), 202)


@blueprint.function_name("list_options")
@blueprint.route("options", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@answers_problems
def list_options_function(req: func.HttpRequest) -> func.HttpResponse:
    return json_answer({"backends": list_options(get_services())})


@blueprint.function_name("health")
@blueprint.route("health", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@answers_problems
def health_function(req: func.HttpRequest) -> func.HttpResponse:
    reasons = check_health()
    if reasons:
        return problem(503, "unhealthy", "Something that every job needs does not work.", reasons=reasons)
    return json_answer({"status": "healthy"})


def _redirect(url: str) -> func.HttpResponse:
    return func.HttpResponse(status_code=303, headers={"Location": url, "Cache-Control": "no-store"})
