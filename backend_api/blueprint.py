"""The bindings. They want the host's master key: a gate is everybody's."""

from __future__ import annotations

import azure.functions as func

from backend_api.gates import GatesView, GateView, list_backends, pause_backend, resume_backend
from http_edge.answers import json_answer
from http_edge.operations import Answer, Operation, Parameter
from http_edge.problems import answers_problems
from video_jobs.wiring import get_services

blueprint = func.Blueprint()

_NAME = Parameter("name", "path", "A backend's name, from the settings.")


@blueprint.function_name("list_backends")
@blueprint.route("backends", methods=["GET"], auth_level=func.AuthLevel.ADMIN)
@Operation(
    "What stands before the backends",
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
    description="What it has is polled and fetched.",
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
