"""Builds the contract, which `GET /api/openapi.json` answers, from the operations and their bindings.

OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.1). Objects in answers allow more fields, since later versions may add some.
Objects in requests do not, like the models that read them.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from http import HTTPStatus
from typing import Any, Literal, NamedTuple

import azure.functions as func
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

from contract_api.security import BY_LEVEL, LETS_IN, SCHEMES
from http_edge.operations import (
    ALWAYS,
    PROBLEM,
    RETRY_AFTER,
    Answer,
    Body,
    Header,
    Operation,
    Parameter,
    Problem,
    Security,
    Shape,
)

VERSION = "1"
"""The version of the API. Later versions add paths and fields and remove none."""

PREFIX = "/api"
"""The same as in host.json. `Location` headers need it, too."""

_WAITS = (429, 503)
_UNSNIFFED = {
    "X-Content-Type-Options": {
        "description": "The browser must not guess another content type.",
        "required": True,
        "schema": {"type": "string", "const": "nosniff"},
    }
}
"""The headers of every answer."""


class HttpFunction(NamedTuple):
    """An HTTP function: its binding and its `Operation`."""

    name: str
    path: str  #: below the prefix, with its parameters in braces
    methods: tuple[str, ...]  #: lower case
    level: str
    operation: Operation | None

    @property
    def security(self) -> Security:
        named = self.operation.security if self.operation else None
        return named or BY_LEVEL[self.level]


def http_functions(blueprints: Iterable[func.Blueprint]) -> Iterator[HttpFunction]:
    """All HTTP functions, in the order of their registration."""
    # A separate app: an app gives its functions only once, and the host has taken the real app's.
    app = func.FunctionApp()
    for blueprint in blueprints:
        app.register_functions(blueprint)
    for function in app.get_functions():
        for binding in json.loads(function.get_function_json())["bindings"]:
            if binding["type"] == "httpTrigger":
                name = str(function.get_function_name())
                yield HttpFunction(
                    name,
                    "/" + re.sub(r"\{\**(\w+)[^}]*\}", r"{\1}", (binding.get("route") or name).strip("/")),
                    tuple(method.lower() for method in binding.get("methods") or ()),
                    str(binding.get("authLevel", "function")).lower(),
                    Operation.of(function.get_user_function()),
                )


# pydantic parses source for the docstrings of fields. If two threads parse at once, Python 3.11 sometimes raises SystemError
# ("AST constructor recursion depth mismatch", CPython's issue 106905).
_one_at_a_time = threading.Lock()


def openapi(blueprints: Iterable[func.Blueprint]) -> dict[str, Any]:
    """The document. A function without an `Operation` is left out; a test makes sure that there is none."""
    functions = [each for each in http_functions(blueprints) if each.operation and each.operation.listed]
    with _one_at_a_time:
        schemas = _Schemas(functions)
    paths: dict[str, dict[str, Any]] = {}
    for function in functions:
        for method in function.methods:
            paths.setdefault(function.path, {})[method] = _operation(function, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Reelkeep",
            "version": VERSION,
            "summary": "Turns 'generate this video' into a video that stays.",
            "description": (
                "Submit a video-generation job, follow it, and find its videos in your own storage. Times are RFC "
                "3339 in UTC. Errors are RFC 9457 problems with a stable `code`. All requests are safe to repeat; two POSTs without an Idempotency-Key make two jobs. "
                "Later versions may add fields to answers: ignore fields that you don't know."
            ),
        },
        "servers": [{"url": PREFIX}],
        "tags": [{"name": tag} for tag in dict.fromkeys(f.operation.tag for f in functions if f.operation)],
        "paths": paths,
        "components": {"schemas": schemas.components, "securitySchemes": deepcopy(dict(SCHEMES))},
    }


def _operation(function: HttpFunction, schemas: _Schemas) -> dict[str, Any]:
    operation = function.operation
    assert operation is not None
    answers = {str(status): _answer(answer, schemas) for status, answer in operation.answers.items()}
    answers |= {
        str(status): _problems(status, codes, operation, schemas)
        for status, codes in sorted(_all_problems(operation).items())
    }
    for answer in answers.values():
        answer["headers"] = {**answer.get("headers", {}), **deepcopy(_UNSNIFFED)}
    if function.security in ("function_key", "master_key"):
        answers["401"] = {
            "description": "No key, or a wrong one. The Functions host answers this, without a body."
        }
    described: dict[str, Any] = {
        "operationId": function.name,
        "summary": operation.summary,
        "tags": [operation.tag],
        "security": deepcopy(LETS_IN[function.security]),
        "responses": dict(sorted(answers.items())),
    }
    if operation.description:
        described["description"] = operation.description
    if operation.parameters:
        described["parameters"] = [_parameter(each, schemas) for each in operation.parameters]
    if operation.bodies:
        content = {body.media_type: {"schema": schemas.body(body)} for body in operation.bodies}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _all_problems(operation: Operation) -> dict[int, list[str]]:
    merged: dict[int, list[str]] = {status: list(codes) for status, codes in operation.problems.items()}
    for status, codes in ALWAYS.items() if operation.answers_problems else ():
        merged[status] = [*merged.get(status, ()), *codes]
    return merged


def _answer(answer: Answer, schemas: _Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {"description": answer.description}
    if answer.headers:
        described["headers"] = _headers(answer.headers, schemas)
    if answer.shape is not None:
        described["content"] = {answer.media_type or "application/json": {"schema": schemas.of(answer.shape)}}
    elif answer.media_type is not None:
        described["content"] = {answer.media_type: {}}
    return described


def _problems(status: int, codes: Iterable[str], operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    # With types, since generators of clients leave out an error whose parts they can't join.
    allowed = {
        "status": {"type": "integer", "enum": [status]},
        "code": {"type": "string", "enum": list(codes)},
    }
    described: dict[str, Any] = {
        "description": HTTPStatus(status).phrase,
        "content": {PROBLEM: {"schema": {"allOf": [schemas.of(Problem), {"properties": allowed}]}}},
    }
    if status in (*_WAITS, *operation.retry_after_on):
        described["headers"] = _headers([RETRY_AFTER], schemas)
    return described


def _headers(headers: Iterable[Header], schemas: _Schemas) -> dict[str, Any]:
    return {
        header.name: {
            "description": header.description,
            "required": header.required,
            "schema": schemas.of(header.shape),
        }
        for header in headers
    }


def _parameter(parameter: Parameter, schemas: _Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": parameter.name,
        "in": parameter.location,
        "description": parameter.description,
        "required": parameter.location == "path",
        "schema": schemas.of(parameter.shape, "validation"),
    }
    if described["schema"].get("type") == "array":
        described |= {"style": "form", "explode": False}  # with commas
    return described


class _NoTitles(GenerateJsonSchema):
    """Leaves out titles, which only repeat the fields' names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


class _Schemas:
    """The schemas of all shapes. They are generated together, so that a shared part appears once."""

    def __init__(self, functions: Iterable[HttpFunction]) -> None:
        found = dict.fromkeys(
            key for function in functions if function.operation for key in _shapes(function.operation)
        )
        self._by_key, definitions = TypeAdapter.json_schemas(
            [(key, key[1], TypeAdapter(key[0])) for key in found],
            ref_template="#/components/schemas/{model}",
            schema_generator=_NoTitles,
        )
        self.components: dict[str, Any] = definitions.get("$defs", {})

    def of(self, shape: Shape, mode: JsonSchemaMode = "serialization") -> dict[str, Any]:
        return deepcopy(dict(self._by_key[(shape, mode), mode]))

    def body(self, body: Body) -> dict[str, Any]:
        schema = self.of(body.shape, "validation")
        if not body.files:
            return schema
        # A form has the same fields, except for its files, and can't express null.
        name = schema["$ref"].rpartition("/")[2]
        form = deepcopy(self.components[name])
        form["properties"] = {field: _without_null(part) for field, part in form["properties"].items()}
        for file in body.files:
            part = form["properties"][file]
            described = {key: text for key, text in part.items() if key in ("description", "maxItems")}
            content = {"type": "string", "format": "binary"}
            several = part.get("type") == "array"
            form["properties"][file] = {
                **({"type": "array", "items": content} if several else content),
                **described,
            }
        return dict(form)


def _without_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    rest = {key: part for key, part in schema.items() if key not in ("anyOf", "default")}
    choices = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
    return {**choices[0], **rest} if len(choices) == 1 else rest | ({"anyOf": choices} if choices else {})


Key = tuple[Shape, Literal["validation", "serialization"]]


def _shapes(operation: Operation) -> Iterator[Key]:
    yield from ((body.shape, "validation") for body in operation.bodies)
    yield from ((parameter.shape, "validation") for parameter in operation.parameters)
    headers = [RETRY_AFTER]
    for answer in operation.answers.values():
        headers += answer.headers
        if answer.shape is not None:
            yield answer.shape, "serialization"
    yield from ((header.shape, "serialization") for header in headers)
    yield Problem, "serialization"
