"""The bindings: a request reads a job or a list, leads to a video, or acts on a job."""

from __future__ import annotations

import azure.functions as func

from http_edge.answers import job_answer, json_answer, retry_after, see_jobs, without_signatures
from http_edge.etags import etag_of
from http_edge.fields import refuse_unreadable
from http_edge.operations import (
    ETAG,
    IF_NONE_MATCH,
    JOB_ID,
    JOB_PROBLEMS,
    LOCATION,
    RETRY_AFTER,
    Answer,
    Body,
    Header,
    Operation,
    Parameter,
)
from http_edge.owner import owner_of
from http_edge.packing import PACKED, VARY, packed_answer
from http_edge.pages import Limit
from http_edge.problems import HttpProblem, answers_problems, dump, problem
from http_edge.tracing import on_thread, with_threads
from job_api.act import Deleted, cancel_job, delete_job, repair_job, send_webhook
from job_api.health import Health, check_health
from job_api.import_job import ImportRequest, import_job, read_import
from job_api.options import OptionsView, list_options
from job_api.read import (
    Cursor,
    Day,
    Index,
    JobPageView,
    Name,
    WithUrls,
    list_jobs,
    read_input_image,
    read_output,
    read_with_urls,
)
from job_api.retry import retry_job
from job_api.wait import Wait, follow_job, read_wait
from video_jobs.domain.errors import InputMissing
from video_jobs.domain.job import Status
from video_jobs.ports import VideoKey
from video_jobs.views.job_schema import JobWithHistory, Url
from video_jobs.wiring import get_services

blueprint = func.Blueprint()

_ACCEPTED = Answer("The job as it is now", JobWithHistory, headers=[LOCATION, RETRY_AFTER])
_INDEX = Parameter("index", "path", "The number of one of the job's videos, from 0.", Index)
_OUTPUT_PROBLEMS = {400: ["invalid_job_id", "invalid_index", "invalid_sign_in"]}
_TO_A_BLOB = Answer(
    "Redirect to a read-only URL that expires",
    headers=[Header("Location", "The bytes.", Url)],
)


@blueprint.function_name("get_job")
@blueprint.route("jobs/{id}", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@Operation(
    "One job",
    tag="Jobs",
    description=(
        "With `wait`, the answer comes when the job has changed, or when the seconds are over. Changed means: its ETag is "
        "not in `If-None-Match` or, without that header, it differs from the moment of the request. A job that has "
        "ended is answered at once, and so is every request while too many wait."
    ),
    parameters=[
        JOB_ID,
        Parameter("wait", "query", "Seconds to wait for a change.", Wait),
        IF_NONE_MATCH,
    ],
    answers={
        200: Answer("The job, finished or not", JobWithHistory, headers=[ETAG, RETRY_AFTER]),
        304: Answer("Your copy is current", headers=[ETAG, RETRY_AFTER]),
    },
    problems={**JOB_PROBLEMS, 400: ["invalid_job_id", "invalid_request", "invalid_sign_in"]},
)
@with_threads
@answers_problems
async def get_job_function(req: func.HttpRequest) -> func.HttpResponse:
    seconds = read_wait(req.params.get("wait", ""))
    services = await on_thread(get_services)
    seen, known = await follow_job(
        services,
        owner_of(req),
        req.route_params["id"],
        named=req.headers.get("if-none-match"),
        seconds=seconds,
    )
    # Only the client's own cache may keep it, and must ask each time: the answer has URLs that expire.
    headers = {"ETag": seen.etag, "Cache-Control": "private, no-cache", **seen.headers}
    if known:
        return func.HttpResponse(status_code=304, headers=headers)
    return json_answer(seen.body, headers=headers)


@blueprint.function_name("list_jobs")
@blueprint.route("jobs", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@Operation(
    "The jobs, newest first",
    tag="Jobs",
    parameters=[
        Parameter("limit", "query", "How many at most.", Limit),
        Parameter("status", "query", "Only jobs with one of these statuses.", list[Status]),
        Parameter("backend", "query", "Only jobs of one backend.", Name),
        Parameter("day", "query", "Only jobs created on one day, in UTC.", Day),
        Parameter(
            "cursor",
            "query",
            "The `next_cursor` of the page before, with the same `status`, `backend` and `day`.",
            Cursor,
        ),
        Parameter("urls", "query", "`false` leaves the signed URLs out.", WithUrls),
        IF_NONE_MATCH,
    ],
    answers={
        200: Answer("A page", JobPageView, headers=[ETAG, *PACKED]),
        304: Answer("Your copy is current", headers=[ETAG, VARY]),
    },
    problems={400: ["invalid_request", "invalid_cursor", "invalid_sign_in"]},
)
@answers_problems
def list_jobs_function(req: func.HttpRequest) -> func.HttpResponse:
    services = get_services()
    with_urls = read_with_urls(req.params.get("urls", ""))
    jobs, cursor = list_jobs(services, owner_of(req), req.params)
    page: JobPageView = {"jobs": see_jobs(services, jobs, with_urls=with_urls), "next_cursor": cursor}
    unsigned = {"jobs": [without_signatures(job) for job in page["jobs"]], "next_cursor": cursor}
    return packed_answer(req, page, etag_of(dump(unsigned)))


@blueprint.function_name("get_video")
@blueprint.route("jobs/{id}/videos/{index}", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@Operation(
    "The bytes of a video",
    tag="Jobs",
    parameters=[JOB_ID, _INDEX],
    answers={303: _TO_A_BLOB},
    problems={**_OUTPUT_PROBLEMS, 404: ["job_not_found", "video_not_stored"]},
    retry_after_on=[404],
)
@answers_problems
def get_video_function(req: func.HttpRequest) -> func.HttpResponse:
    services = get_services()
    job, output = read_output(services, owner_of(req), req.route_params["id"], req.route_params["index"])
    if output.stored is None:
        state = (
            "was deleted by the video API before it could be fetched" if output.lost else "is not stored yet"
        )
        wait = None if job.is_terminal else {"Retry-After": retry_after(services, job)}
        raise HttpProblem(404, "video_not_stored", f"Video {output.index} of {job.id} {state}.", wait)
    return _redirect(services.blobs.sign_video(VideoKey(job.owner, job.id, output.index)).url)


@blueprint.function_name("get_thumbnail")
@blueprint.route("jobs/{id}/videos/{index}/thumbnail", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@Operation(
    "The thumbnail of a video",
    tag="Jobs",
    parameters=[JOB_ID, _INDEX],
    answers={303: _TO_A_BLOB},
    problems={**_OUTPUT_PROBLEMS, 404: ["job_not_found", "no_thumbnail"]},
)
@answers_problems
def get_thumbnail_function(req: func.HttpRequest) -> func.HttpResponse:
    services = get_services()
    job, output = read_output(services, owner_of(req), req.route_params["id"], req.route_params["index"])
    if output.thumbnail is None:
        raise HttpProblem(404, "no_thumbnail", f"Video {output.index} of {job.id} has no thumbnail.")
    key = VideoKey(job.owner, job.id, output.index)
    return _redirect(services.blobs.sign_thumbnail(key, output.thumbnail).url)


@blueprint.function_name("get_input_image")
@blueprint.route("jobs/{id}/image", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@Operation(
    "The input image of a job",
    tag="Jobs",
    parameters=[JOB_ID],
    answers={200: Answer("The image's bytes, with their content type", media_type="*/*")},
    problems={**JOB_PROBLEMS, 404: ["job_not_found", "no_image"]},
)
@answers_problems
def get_input_image_function(req: func.HttpRequest) -> func.HttpResponse:
    try:
        kind, content = read_input_image(get_services(), owner_of(req), req.route_params["id"])
    except InputMissing as missing:
        raise HttpProblem(404, "no_image", str(missing)) from missing
    return func.HttpResponse(content, mimetype=kind, headers={"Cache-Control": "no-store"})


@blueprint.function_name("cancel_job")
@blueprint.route("jobs/{id}/cancel", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@Operation(
    "Stop a job",
    tag="Jobs",
    description="Videos that are generated already are kept. If the video API does not stop, `cancel_refused` says why.",
    parameters=[JOB_ID],
    answers={202: _ACCEPTED},
    problems=JOB_PROBLEMS,
)
@answers_problems
def cancel_job_function(req: func.HttpRequest) -> func.HttpResponse:
    services = get_services()
    return job_answer(services, cancel_job(services, owner_of(req), req.route_params["id"]), 202)


@blueprint.function_name("retry_job")
@blueprint.route("jobs/{id}/retry", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@Operation(
    "Retry a job that ended without its videos",
    tag="Jobs",
    description="Repeated requests give the same new job. A job that waits for its download is downloaded now and stays the same job.",
    parameters=[JOB_ID],
    answers={202: Answer("The new job, or the same", JobWithHistory, headers=[LOCATION, RETRY_AFTER])},
    problems={**JOB_PROBLEMS, 409: ["not_retriable"], 429: ["too_many_jobs"]},
)
@answers_problems
def retry_job_function(req: func.HttpRequest) -> func.HttpResponse:
    services = get_services()
    return job_answer(services, retry_job(services, owner_of(req), req.route_params["id"]), 202)


@blueprint.function_name("repair_job")
@blueprint.route("jobs/{id}/repair", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@Operation(
    "Poll a job, and download its videos, now",
    tag="Jobs",
    parameters=[JOB_ID],
    answers={202: _ACCEPTED},
    problems=JOB_PROBLEMS,
)
@answers_problems
def repair_job_function(req: func.HttpRequest) -> func.HttpResponse:
    services = get_services()
    return job_answer(services, repair_job(services, owner_of(req), req.route_params["id"]), 202)


@blueprint.function_name("send_webhook")
@blueprint.route("jobs/{id}/webhook", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@Operation(
    "Send a job's webhook again",
    tag="Jobs",
    description="Sends it at once and then by the schedule until it is delivered, also if the receiver has turned the webhook off.",
    parameters=[JOB_ID],
    answers={202: Answer("The job", JobWithHistory, headers=[LOCATION])},
    problems={**JOB_PROBLEMS, 409: ["nothing_to_send"]},
)
@answers_problems
def send_webhook_function(req: func.HttpRequest) -> func.HttpResponse:
    services = get_services()
    return job_answer(services, send_webhook(services, owner_of(req), req.route_params["id"]), 202)


@blueprint.function_name("delete_job")
@blueprint.route("jobs/{id}", methods=["DELETE"], auth_level=func.AuthLevel.FUNCTION)
@Operation(
    "Delete a job and its videos",
    tag="Jobs",
    description="The job is hidden at once. Its videos and rows are deleted after the answer.",
    parameters=[JOB_ID],
    answers={202: Answer("The job is being deleted", Deleted)},
    problems=JOB_PROBLEMS,
)
@answers_problems
def delete_job_function(req: func.HttpRequest) -> func.HttpResponse:
    job = delete_job(get_services(), owner_of(req), req.route_params["id"])
    deleted: Deleted = {"id": job.id, "deleted": True}
    return json_answer(deleted, 202)


@blueprint.function_name("import_job")
@blueprint.route("jobs/import", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@Operation(
    "Import a job that was made elsewhere",
    tag="Jobs",
    bodies=[Body(ImportRequest)],
    answers={
        202: Answer(
            "A new job, or the one that has it already", JobWithHistory, headers=[LOCATION, RETRY_AFTER]
        )
    },
    problems={
        400: ["invalid_request", "invalid_json", "invalid_sign_in"],
        404: ["backend_job_not_found"],
        411: ["length_required"],
        413: ["body_too_large"],
        415: ["unsupported_media_type"],
        429: ["too_many_jobs"],
        503: ["backend_unavailable"],
    },
)
@answers_problems
def import_job_function(req: func.HttpRequest) -> func.HttpResponse:
    body = req.get_body()
    refuse_unreadable(req.headers, body)
    services = get_services()
    return job_answer(services, import_job(services, owner_of(req), read_import(body)), 202)


@blueprint.function_name("list_options")
@blueprint.route("options", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@Operation(
    "What a request may ask for",
    tag="Jobs",
    answers={200: Answer("Each backend, the default one first", OptionsView)},
    problems={400: ["invalid_sign_in"]},
)
@answers_problems
def list_options_function(req: func.HttpRequest) -> func.HttpResponse:
    options: OptionsView = {"backends": list_options(get_services(), owner_of(req))}
    return json_answer(options)


@blueprint.function_name("health")
@blueprint.route("health", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@Operation(
    "The app's health",
    tag="Operation",
    answers={200: Answer("Settings and storage are usable", Health)},
    problems={503: ["unhealthy"]},
)
@answers_problems
def health_function(req: func.HttpRequest) -> func.HttpResponse:
    reasons = check_health()
    if reasons:
        return problem(503, "unhealthy", "A part that every job needs does not work.", reasons=reasons)
    healthy: Health = {"status": "healthy"}
    return json_answer(healthy)


def _redirect(url: str) -> func.HttpResponse:
    return func.HttpResponse(status_code=303, headers={"Location": url, "Cache-Control": "no-store"})
