"""The bindings. Both are open to all: they tell what anybody may read in the documentation."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import azure.functions as func

from http_edge.contract import openapi
from http_edge.etags import etag_of, has_already
from http_edge.operations import ETAG, IF_NONE_MATCH, JSON, Answer, Operation
from http_edge.problems import answers_problems, dump


def blueprint_of(others: Iterable[func.Blueprint]) -> func.Blueprint:
    """The contract of an app that has the other blueprints and this one."""
    blueprint = func.Blueprint()

    @cache
    def document() -> tuple[bytes, str]:
        content = dump(openapi([*others, blueprint]))
        return content, etag_of(content)

    @blueprint.function_name("openapi")
    @blueprint.route("openapi.json", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
    @Operation(
        "This document",
        tag="Contract",
        parameters=[IF_NONE_MATCH],
        answers={
            200: Answer("OpenAPI 3.1", dict[str, object], headers=[ETAG]),
            304: Answer("You have it already", headers=[ETAG]),
        },
    )
    @answers_problems
    def openapi_function(req: func.HttpRequest) -> func.HttpResponse:
        content, etag = document()
        headers = {"ETag": etag, "Cache-Control": "public, max-age=300"}
        if has_already(req.headers, etag):
            return func.HttpResponse(status_code=304, headers=headers)
        return func.HttpResponse(content, mimetype=JSON, headers=headers)

    return blueprint
