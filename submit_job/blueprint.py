"""The binding: an HTTP request makes a job, or is answered with a problem."""

from __future__ import annotations

import azure.functions as func

from http_edge.answers import job_answer
from http_edge.operations import FORM, LOCATION, RETRY_AFTER, Answer, Body, Operation, Parameter
from http_edge.owner import owner_of
from http_edge.problems import answers_problems, problem
from http_edge.submissions import IdempotencyKey, large_body_turn
from http_edge.tracing import traced
from submit_job.request import IMAGES, SubmitRequest, read_submission
from video_jobs.lifecycle.submit import submit_job
from video_jobs.views.job_schema import JobWithHistory
from video_jobs.views.job_view import job_view
from video_jobs.wiring import get_services

blueprint = func.Blueprint()


@blueprint.function_name("submit_job")
@blueprint.route("jobs", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@Operation(
    "Submit a job",
    tag="Jobs",
    description="A field that you leave out, or send as null, takes the backend's default. A request that the model can't do is refused, and nothing is stored.",
    parameters=[
        Parameter(
            "Idempotency-Key",
            "header",
            "The same key with the same body gives the same job; with another body it is refused.",
            IdempotencyKey,
        )
    ],
    bodies=[Body(SubmitRequest), Body(SubmitRequest, FORM, files=IMAGES)],
    answers={202: Answer("The job is accepted", JobWithHistory, headers=[LOCATION, RETRY_AFTER])},
    problems={
        400: ["invalid_request", "invalid_json", "invalid_sign_in"],
        409: ["idempotency_key_reused"],
        411: ["length_required"],
        413: ["body_too_large"],
        415: ["unsupported_media_type"],
        422: ["model_retired", "moderation_blocked", "backend_rejected"],
        429: ["too_many_jobs"],
        503: ["busy"],
    },
)
@traced
@answers_problems
def submit_job_function(req: func.HttpRequest) -> func.HttpResponse:
    body = req.get_body()
    with large_body_turn(body) as end_turn:
        submission = read_submission(req.headers, body, lambda: (req.form, req.files))
        if not submission.brings_its_images:
            end_turn()
        services = get_services()
        job = submit_job(services, owner_of(req), submission)
        del submission
    if job.error is not None and job.was_refused:
        view = job_view(job, services.blobs)
        return problem(422, job.error.code, job.error.message, backend_code=job.error.backend_code, job=view)
    return job_answer(services, job, 202)
