"""The bindings. They require the host's master key: gates and queues are shared, and the jobs are of all owners."""

from __future__ import annotations

import azure.functions as func

from backend_api.gates import GatesView, GateView, list_backends, pause_backend, resume_backend
from backend_api.live import (
    Cursor,
    OperatorJobsView,
    OperatorJobView,
    Owner,
    OwnerOrDefault,
    Show,
    list_deliveries,
    list_live,
    operator_view,
)
from backend_api.mending import repair_any, resend_any
from backend_api.queues import QueuesView, list_queues
from http_edge.answers import json_answer
from http_edge.operations import Answer, JobId, Operation, Parameter
from http_edge.problems import answers_problems
from video_jobs.wiring import get_services

blueprint = func.Blueprint()

_NAME = Parameter("name", "path", "A backend's name, from the settings.")
_CURSOR = Parameter("cursor", "query", "The `next_cursor` of the answer before.", Cursor)
_WHOSE = [
    Parameter("owner", "path", "Whose job it is.", Owner),
    Parameter("job", "path", "A job's id.", JobId),
]
_JOB_PROBLEMS = {400: ["invalid_job_id"], 404: ["job_not_found"]}


@blueprint.function_name("list_backends")
@blueprint.route("backends", methods=["GET"], auth_level=func.AuthLevel.ADMIN)
@Operation(
    "The gates of the backends",
    tag="Operation",
    answers={200: Answer("Each backend's gate", GatesView)},
)
@answers_problems
def list_backends_function(req: func.HttpRequest) -> func.HttpResponse:
    gates: GatesView = {"backends": list_backends(get_services())}
    return json_answer(gates)


@blueprint.function_name("pause_backend")
@blueprint.route("backends/{name}/pause", methods=["POST"], auth_level=func.AuthLevel.ADMIN)
@Operation(
    "Submit nothing new to a backend",
    tag="Operation",
    description="Jobs that the backend has already are polled and fetched as usual.",
    parameters=[_NAME],
    answers={200: Answer("The gate, paused", GateView)},
    problems={404: ["backend_not_found"]},
)
@answers_problems
def pause_backend_function(req: func.HttpRequest) -> func.HttpResponse:
    return json_answer(pause_backend(get_services(), req.route_params["name"]))


@blueprint.function_name("resume_backend")
@blueprint.route("backends/{name}/resume", methods=["POST"], auth_level=func.AuthLevel.ADMIN)
@Operation(
    "Open a backend's gate, whatever closed it",
    tag="Operation",
    parameters=[_NAME],
    answers={200: Answer("The gate, open", GateView)},
    problems={404: ["backend_not_found"]},
)
@answers_problems
def resume_backend_function(req: func.HttpRequest) -> func.HttpResponse:
    return json_answer(resume_backend(get_services(), req.route_params["name"]))


@blueprint.function_name("list_queues")
@blueprint.route("operations/queues", methods=["GET"], auth_level=func.AuthLevel.ADMIN)
@Operation(
    "How many messages the queues hold",
    tag="Operation",
    answers={200: Answer("Each queue", QueuesView)},
)
@answers_problems
def list_queues_function(req: func.HttpRequest) -> func.HttpResponse:
    queues: QueuesView = {"queues": list_queues(get_services())}
    return json_answer(queues)


@blueprint.function_name("list_live_jobs")
@blueprint.route("operations/jobs", methods=["GET"], auth_level=func.AuthLevel.ADMIN)
@Operation(
    "Jobs that wait, that need attention, or whose webhook was given up",
    tag="Operation",
    description=(
        "`waiting`: the twenty jobs of each backend that have waited longest. `attention`: of the next hundred live jobs, "
        "those with an alarm, a failed poll or download, a poisoned message, an unknown outcome, or a webhook that is "
        "not told yet. `given_up`: of all owners, newest first, the next fifty jobs whose webhook could not be delivered "
        "in three days. An answer reads a hundred rows at most."
    ),
    parameters=[Parameter("show", "query", "Which of them.", Show), _CURSOR],
    answers={200: Answer("Some jobs, without prompts and images", OperatorJobsView)},
    problems={400: ["invalid_request", "invalid_cursor"]},
)
@answers_problems
def list_live_jobs_function(req: func.HttpRequest) -> func.HttpResponse:
    return json_answer(list_live(get_services(), req.params))


@blueprint.function_name("list_deliveries")
@blueprint.route("operations/webhooks", methods=["GET"], auth_level=func.AuthLevel.ADMIN)
@Operation(
    "The webhooks of an owner's newest jobs",
    tag="Operation",
    description="Of the owner's next fifty jobs, newest first, those that have a webhook.",
    parameters=[Parameter("owner", "query", "Whose jobs.", OwnerOrDefault), _CURSOR],
    answers={200: Answer("Some jobs, without prompts and images", OperatorJobsView)},
    problems={400: ["invalid_request", "invalid_cursor"]},
)
@answers_problems
def list_deliveries_function(req: func.HttpRequest) -> func.HttpResponse:
    return json_answer(list_deliveries(get_services(), req.params))


@blueprint.function_name("repair_any_job")
@blueprint.route("operations/jobs/{owner}/{job}/repair", methods=["POST"], auth_level=func.AuthLevel.ADMIN)
@Operation(
    "Poll any owner's job now, and download its missing videos now",
    tag="Operation",
    parameters=_WHOSE,
    answers={202: Answer("The job as it is now", OperatorJobView)},
    problems=_JOB_PROBLEMS,
)
@answers_problems
def repair_any_job_function(req: func.HttpRequest) -> func.HttpResponse:
    job = repair_any(get_services(), req.route_params["owner"], req.route_params["job"])
    return json_answer(operator_view(job), 202)


@blueprint.function_name("resend_any_webhook")
@blueprint.route("operations/jobs/{owner}/{job}/webhook", methods=["POST"], auth_level=func.AuthLevel.ADMIN)
@Operation(
    "Send the webhook of any owner's job again",
    tag="Operation",
    parameters=_WHOSE,
    answers={202: Answer("The job as it is now", OperatorJobView)},
    problems={**_JOB_PROBLEMS, 409: ["nothing_to_send"]},
)
@answers_problems
def resend_any_webhook_function(req: func.HttpRequest) -> func.HttpResponse:
    job = resend_any(get_services(), req.route_params["owner"], req.route_params["job"])
    return json_answer(operator_view(job), 202)
