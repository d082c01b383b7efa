"""The document at `GET /api/openapi.json`: complete, well-formed, and true to the bindings."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest
import schemathesis
from jsonschema import Draft202012Validator

import function_app
from contract_api.openapi import PREFIX, http_functions, openapi
from http_edge.operations import Operation
from http_edge.problems import dump
from job_api.import_job import read_import
from openai_api.request import read_create
from submit_job.request import read_submission
from tests.settings_examples import BACKENDS
from video_jobs.domain.errors import InvalidRequest

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = list(http_functions(function_app.blueprints))


def built_functions() -> list[Any]:
    app = func.FunctionApp()
    for blueprint in function_app.blueprints:
        app.register_functions(blueprint)
    return list(app.get_functions())


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi(function_app.blueprints)


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    schemathesis.openapi.from_dict(document).validate()


def test_every_schema_is_a_valid_json_schema_without_a_dangling_reference(document: dict[str, Any]) -> None:
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    names = re.findall(r'"\$ref":"#/components/schemas/([^"]+)"', dump(document).decode())
    assert set(names) <= document["components"]["schemas"].keys()


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_every_http_function_is_described(function: Any) -> None:
    assert function.operation is not None, f"{function.name} has no @Operation: see http_edge/operations.py"
    assert function.methods, "its binding names no method, and so answers every one"


def test_paths_methods_and_keys_are_those_of_the_bindings(document: dict[str, Any]) -> None:
    described = {
        (path, method, operation["operationId"], json.dumps(operation["security"]))
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    bound = set()
    for built in built_functions():
        binding = next(b for b in json.loads(built.get_function_json())["bindings"] if "direction" in b)
        operation = Operation.of(built.get_user_function())
        if binding["type"] != "httpTrigger" or (operation and not operation.listed):
            continue
        level = str(binding["authLevel"]).lower()
        security = {
            "function": [{"function_key": []}, {"function_key_in_query": []}],
            "admin": [{"master_key": []}],
            "anonymous": [],
        }[level]
        name = built.get_function_name()
        path = "/" + re.sub(r"\{\*", "{", binding["route"])
        bound |= {(path, method.lower(), name, json.dumps(security)) for method in binding["methods"]}
    apis = {entry for entry in described if "api_key" in entry[3]}  # open at the host; keys of their own
    assert {entry[:3] for entry in bound} == {entry[:3] for entry in described}
    assert described - apis <= bound
    host = json.loads((ROOT / "host.json").read_text())
    assert "/" + host["extensions"]["http"]["routePrefix"] == PREFIX
    assert document["servers"] == [{"url": PREFIX}]


def test_each_path_parameter_is_described_and_no_other(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for operation in operations.values():
            named = [p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"]
            assert named == re.findall(r"\{(\w+)\}", path), path


def test_requests_are_closed_and_answers_are_open(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["SubmitRequest"]["additionalProperties"] is False
    assert schemas["ImportRequest"]["additionalProperties"] is False
    assert "additionalProperties" not in schemas["JobView"]


JSON = {"content-type": "application/json"}
READERS: dict[str, tuple[Callable[[bytes], Any], list[dict[str, Any]]]] = {
    "/jobs": (lambda body: read_submission(JSON, body, lambda: ({}, {})), [{"prompt": "a boat"}]),
    "/jobs/import": (
        lambda body: read_import(body).model_dump(),
        [{"backend_job_id": "task_1"}, {"generation_id": "gen_1"}],
    ),
    "/v1/videos": (lambda body: read_create(JSON, body, lambda: ({}, {}), BACKENDS), [{"prompt": "a boat"}]),
}
"""For each path that takes a body: what reads it, and the shortest bodies."""


def test_null_in_an_optional_field_means_that_it_was_not_given(document: dict[str, Any]) -> None:
    bodies = {
        path: operations["post"]["requestBody"]["content"]["application/json"]["schema"]
        for path, operations in document["paths"].items()
        if "requestBody" in operations.get("post", {})
    }
    assert bodies.keys() == READERS.keys()
    for path, (read, shortest) in READERS.items():
        valid = Draft202012Validator({**bodies[path], "components": document["components"]})
        fields = document["components"]["schemas"][bodies[path]["$ref"].rpartition("/")[2]]
        optional = fields["properties"].keys() - set(fields.get("required", ()))
        tried = set()
        for body in shortest:
            for name in optional - body.keys():
                valid.validate({**body, name: None})
                # A submission has its fingerprint, by which requests with the same idempotency key are compared.
                assert read(dump({**body, name: None})) == read(dump(body)), (path, name)
                tried.add(name)
        assert tried == optional


def test_a_form_has_the_fields_of_the_json_body_with_the_image_as_a_file(document: dict[str, Any]) -> None:
    content = document["paths"]["/jobs"]["post"]["requestBody"]["content"]
    form = content["multipart/form-data"]["schema"]
    assert (
        form["properties"].keys() == document["components"]["schemas"]["SubmitRequest"]["properties"].keys()
    )
    assert form["properties"]["input_image"]["format"] == "binary"


def test_what_an_answer_allows_of_a_problem_is_a_list_of_the_problems_own_type(
    document: dict[str, Any],
) -> None:
    """openapi-python-client can't join an integer with a constant, and left out every error."""
    problem = document["components"]["schemas"]["Problem"]["properties"]
    answer = document["paths"]["/jobs/{id}"]["get"]["responses"]["404"]
    _, allowed = answer["content"]["application/problem+json"]["schema"]["allOf"]
    assert allowed["properties"]["status"] == {"type": problem["status"]["type"], "enum": [404]}
    assert allowed["properties"]["code"] == {"type": problem["code"]["type"], "enum": ["job_not_found"]}


def test_each_enum_is_of_one_type_and_its_values_make_different_names(document: dict[str, Any]) -> None:
    """openapi-python-client left out a call with another enum, or made no client at all."""
    enums, left = [], [document]
    while left:
        each = left.pop()
        inner = each.values() if isinstance(each, dict) else each
        left += [value for value in inner if isinstance(value, dict | list)]
        if isinstance(each, dict) and isinstance(each.get("enum"), list):
            enums.append(each["enum"])
    assert enums
    for enum in enums:
        assert len({type(value) for value in enum}) == 1, enum
        assert len({str(value).upper() for value in enum}) == len(enum), enum


def test_an_import_has_one_of_two_ids_and_no_part_of_its_shape_is_a_type_of_its_own(
    document: dict[str, Any],
) -> None:
    """For the parts of a oneOf, openapi-python-client and others make types without the other fields."""
    schema = document["components"]["schemas"]["ImportRequest"]
    assert not schema.keys() & {"oneOf", "anyOf", "allOf"}
    valid = Draft202012Validator({**schema, "components": document["components"]})
    job, generation = {"backend_job_id": "task_1"}, {"generation_id": "gen_1"}
    for body in (job, generation, {**job, "generation_id": None}, {"backend_job_id": None, **generation}):
        assert valid.is_valid(body), body
        assert read_import(dump(body)).named
    for body in ({}, {**job, **generation}, {"backend_job_id": None}, {"generation_id": None}):
        assert not valid.is_valid(body), body
        with pytest.raises(InvalidRequest):
            read_import(dump(body))


def test_every_code_of_the_contract_is_explained_and_the_other_way_round(document: dict[str, Any]) -> None:
    page = (ROOT / "docs" / "reference" / "errors.md").read_text()
    codes = {
        code
        for operations in document["paths"].values()
        for operation in operations.values()
        for answer in operation["responses"].values()
        for media in answer.get("content", {}).values()
        for part in media.get("schema", {}).get("allOf", ())
        for code in part.get("properties", {}).get("code", {}).get("enum", ())
    }
    assert len(codes) > 15
    assert {code for code in codes if f"`{code}`" not in page} == set()
    table = page.partition("\n## ")[0]
    assert set(re.findall(r"`([a-z]+_[a-z_]+)`", table)) <= codes


def test_starting_the_app_makes_no_schema() -> None:
    code = (
        "import function_app; from submit_job.request import SubmitRequest;"
        " print(SubmitRequest.__pydantic_complete__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "False"


def call(function: str, **headers: str) -> func.HttpResponse:
    [built] = [f for f in built_functions() if f.get_function_name() == function]
    answer = built.get_user_function()(
        func.HttpRequest("GET", "/api/openapi.json", headers=headers, body=b"")
    )
    assert isinstance(answer, func.HttpResponse)
    return answer


def test_it_is_answered_whole_once_and_with_304_while_it_is_the_same(document: dict[str, Any]) -> None:
    whole = call("get_openapi")
    assert (whole.status_code, whole.mimetype) == (200, "application/json")
    assert json.loads(whole.get_body()) == json.loads(dump(document))
    etag = whole.headers["ETag"]
    for seen in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = call("get_openapi", **{"if-none-match": seen})
        assert (again.status_code, again.get_body(), again.headers["ETag"]) == (304, b"", etag)
    for unseen in ('"other"', "", "nonsense", etag.strip('"')):
        assert call("get_openapi", **{"if-none-match": unseen}).status_code == 200
