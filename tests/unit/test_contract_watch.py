"""The watch over the contract: it sees what it is there for."""

from __future__ import annotations

import azure.functions as func
import pytest
import requests

from http_edge.operations import Answer as Promise
from http_edge.operations import Operation
from http_edge.problems import problem, unsniffed
from local.function_host.calls import Answer, answer_of
from local.function_host.host import FunctionHost
from tests.contract_watch import Contract, ContractWatch

HEALTHY = b'{"status":"healthy"}'
UNSNIFFED = ("X-Content-Type-Options", "nosniff")
JSON = [("Content-Type", "application/json"), UNSNIFFED]


@pytest.fixture(scope="module")
def contract() -> Contract:
    return Contract()


def test_an_answer_as_promised_passes(contract: Contract) -> None:
    assert contract.wrong_with("health", "GET", Answer(200, JSON, HEALTHY)) == []
    missing = answer_of(unsniffed(problem(404, "job_not_found", "There is none.")))
    assert contract.wrong_with("get_job", "GET", missing) == []


WRONG: dict[str, tuple[Answer, str]] = {
    "a status": (Answer(201, JSON, HEALTHY), "the status is not in the contract"),
    "a content type": (
        Answer(200, [("Content-Type", "text/plain"), UNSNIFFED], HEALTHY),
        "content type text/plain",
    ),
    "no JSON": (Answer(200, JSON, b"healthy"), "not JSON"),
    "a value": (Answer(200, JSON, b'{"status":"fine"}'), "status"),
    "a field too many": (Answer(200, JSON, b'{"status":"healthy","since":1}'), "since"),
    "a field too few": (Answer(200, JSON, b"{}"), "status"),
    "a header too few": (Answer(200, JSON[:1], HEALTHY), "x-content-type-options is missing"),
    "a header": (Answer(200, [*JSON, ("X-Other", "1")], HEALTHY), "x-other is not in the contract"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_not_in_the_contract_is_found(contract: Contract, what: str) -> None:
    answer, words = WRONG[what]
    [found] = contract.wrong_with("health", "GET", answer)
    assert words in found


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"Retry-After": "0"}, "retry-after"),
        ({"Retry-After": "soon"}, "retry-after"),
        ({}, ""),
    ],
)
def test_headers_are_held_to_their_schemas(contract: Contract, headers: dict[str, str], words: str) -> None:
    answer = answer_of(unsniffed(problem(503, "storage_unavailable", "Away.", headers)))
    found = contract.wrong_with("get_job", "GET", answer)
    assert len(found) == bool(words)
    assert all(words in what for what in found)


def test_a_redirect_without_its_location_is_found(contract: Contract) -> None:
    assert (
        contract.wrong_with("get_video", "GET", Answer(303, [("Location", "https://x/y"), UNSNIFFED])) == []
    )
    assert "location is missing" in contract.wrong_with("get_video", "GET", Answer(303, [UNSNIFFED]))[0]


def test_a_problem_with_a_code_of_another_operation_is_found(contract: Contract) -> None:
    answer = answer_of(unsniffed(problem(404, "backend_not_found", "There is none.")))
    assert contract.wrong_with("list_backends", "GET", answer)
    assert contract.wrong_with("get_job", "GET", answer)
    assert contract.wrong_with("pause_backend", "POST", answer) == []


def test_a_host_in_this_process_is_watched(contract_watch: ContractWatch) -> None:
    app = func.FunctionApp()

    @app.function_name("health")
    @app.route("health", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
    @Operation("The app's health", tag="Operation", answers={200: Promise("Yes")})
    def health(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(status_code=418)

    with FunctionHost(app) as host:
        assert requests.get(f"{host.url}/api/health", timeout=10).status_code == 418
    with pytest.raises(AssertionError, match="GET /health 418: the status is not in the contract"):
        contract_watch.refuse()
