"""The binding: a request to a job, or to a problem."""

from __future__ import annotations

import azure.functions as func

from http_edge.answers import job_answer
from http_edge.owner import owner_of
from http_edge.problems import answers_problems, problem
from submit_job.request import read_submission
from video_jobs.job_view import job_view
from video_jobs.services import get_services
from video_jobs.submit import submit_job

blueprint = func.Blueprint()


@blueprint.function_name("submit_job")
@blueprint.route("jobs", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@answers_problems
def submit_job_function(req: func.HttpRequest) -> func.HttpResponse:
    submission = read_submission(req.headers, req.get_body(), lambda: (req.form, req.files))
    services = get_services()
    job = submit_job(services, owner_of(req), submission)
    if job.error is not None and job.was_refused:
        view = job_view(job, services.blobs)
        return problem(422, job.error.code, job.error.message, backend_code=job.error.backend_code, job=view)
    return job_answer(services, job, 202)
