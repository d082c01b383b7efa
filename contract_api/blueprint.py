"""The bindings. They need no key: they show only what the public documentation shows."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import azure.functions as func

from contract_api.reference import FILES, HEADERS, PAGE, cache_control
from http_edge.etags import etag_of, has_already
from http_edge.operations import ETAG, IF_NONE_MATCH, JSON, Answer, Operation, Parameter
from http_edge.problems import answers_problems, dump
from http_edge.static_files import FILE_ANSWERS, PAGE_ANSWERS

_UNCHANGED = Answer("Your copy is current", headers=[ETAG])


def blueprint_of(others: Iterable[func.Blueprint]) -> func.Blueprint:
    """The blueprint that serves the contract of `others` and of itself."""
    blueprint = func.Blueprint()

    @cache
    def document() -> tuple[bytes, str]:
        from contract_api.openapi import openapi  # imported here: a cold start does not need it

        content = dump(openapi([*others, blueprint]))
        return content, etag_of(content)

    @blueprint.function_name("get_openapi")
    @blueprint.route("openapi.json", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
    @Operation(
        "This document",
        tag="Contract",
        parameters=[IF_NONE_MATCH],
        answers={
            200: Answer("OpenAPI 3.1", dict[str, object], headers=[ETAG]),
            304: _UNCHANGED,
        },
    )
    @answers_problems
    def get_openapi_function(req: func.HttpRequest) -> func.HttpResponse:
        content, etag = document()
        headers = {"ETag": etag, "Cache-Control": "public, max-age=300"}
        if has_already(req.headers, etag):
            return func.HttpResponse(status_code=304, headers=headers)
        return func.HttpResponse(content, mimetype=JSON, headers=headers)

    @blueprint.function_name("get_reference")
    @blueprint.route("reference", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
    @Operation(
        "This document, to read and to try out",
        tag="Contract",
        parameters=[IF_NONE_MATCH],
        answers=PAGE_ANSWERS,
    )
    @answers_problems
    def get_reference_function(req: func.HttpRequest) -> func.HttpResponse:
        return _file(req, PAGE)

    @blueprint.function_name("get_reference_file")
    @blueprint.route("reference/{name}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
    @Operation(
        "A file of the reference page",
        tag="Contract",
        parameters=[Parameter("name", "path", "A script, a style sheet or a picture."), IF_NONE_MATCH],
        answers=FILE_ANSWERS,
        problems={404: ["page_not_found"]},
    )
    @answers_problems
    def get_reference_file_function(req: func.HttpRequest) -> func.HttpResponse:
        return _file(req, req.route_params["name"])

    return blueprint


def _file(req: func.HttpRequest, name: str) -> func.HttpResponse:
    return FILES.answer(req, name, HEADERS, cache_control(name))
