"""The bindings: the pages and their files. They need no key; the API that gives them data does."""

from __future__ import annotations

import azure.functions as func

from http_edge.operations import IF_NONE_MATCH, Operation, Parameter
from http_edge.problems import answers_problems
from http_edge.static_files import FILE_ANSWERS, PAGE_ANSWERS
from video_jobs.wiring import storage_origin
from web.files import FILES, HELP, OPERATIONS, SHELL
from web.policy import security_headers

blueprint = func.Blueprint()


@blueprint.function_name("get_studio")
@blueprint.route("studio", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@Operation(
    "The page for people",
    tag="Page",
    parameters=[IF_NONE_MATCH],
    answers=PAGE_ANSWERS,
)
@answers_problems
def get_studio_function(req: func.HttpRequest) -> func.HttpResponse:
    return _file(req, SHELL)


@blueprint.function_name("get_operations_page")
@blueprint.route("studio/operations", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@Operation(
    "The page for operators",
    tag="Page",
    description="The page itself contains no data; it reads them with the master key.",
    parameters=[IF_NONE_MATCH],
    answers=PAGE_ANSWERS,
)
@answers_problems
def get_operations_page_function(req: func.HttpRequest) -> func.HttpResponse:
    return _file(req, OPERATIONS)


@blueprint.function_name("get_help_page")
@blueprint.route("studio/help", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@Operation(
    "Help for people who use the page",
    tag="Page",
    parameters=[IF_NONE_MATCH],
    answers=PAGE_ANSWERS,
)
@answers_problems
def get_help_page_function(req: func.HttpRequest) -> func.HttpResponse:
    return _file(req, HELP)


@blueprint.function_name("get_studio_file")
@blueprint.route("studio/{name}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@Operation(
    "One of the page's files",
    tag="Page",
    parameters=[Parameter("name", "path", "A script, a style sheet or a drawing."), IF_NONE_MATCH],
    answers=FILE_ANSWERS,
    problems={404: ["page_not_found"]},
)
@answers_problems
def get_studio_file_function(req: func.HttpRequest) -> func.HttpResponse:
    return _file(req, req.route_params["name"])


def _file(req: func.HttpRequest, name: str) -> func.HttpResponse:
    return FILES.answer(req, name, security_headers(storage_origin()))
