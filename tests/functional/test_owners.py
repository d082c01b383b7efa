"""Who is who: each owner sees their own jobs, and of those of others not even that they are there (I8)."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import json
import logging
from typing import Any

import azure.functions as func
import pytest

import function_app
from http_edge.principal import PRINCIPAL_HEADER, owner_named_in
from local.simulator.server import Simulator
from tests.pipeline import OWNER, SMALL, Pipeline, UseServices
from tests.principals import header
from tests.steps import made_elsewhere, picture_for
from video_jobs.domain.job import Job, Status
from video_jobs.domain.quota import OwnerLimits
from video_jobs.settings.api_keys import ApiKey, ApiKeys
from video_jobs.settings.sign_in import SignIn

SIGNED_IN = {name: header(claims={"oid": name, "tid": "t"}) for name in ("ada", "bob")}
EVERYBODY = (*SIGNED_IN, OWNER)
PAIRS = list(itertools.permutations(EVERYBODY, 2))


def http_functions() -> dict[str, Any]:
    """By name: what a client can call, but for the API that has keys of its own."""
    app, found = func.FunctionApp(), {}  # of its own: one gives its functions once
    for blueprint in function_app.blueprints:
        app.register_functions(blueprint)
    for function in app.get_functions():
        trigger = function.get_trigger()
        if trigger.type == "httpTrigger" and not str(trigger.route).startswith("v1/"):
            found[function.get_function_name()] = function
    return found


FUNCTIONS = http_functions()
OF_ONE_JOB = sorted(name for name, found in FUNCTIONS.items() if "{id}" in found.get_trigger().route)


@pytest.fixture
def app(simulator: Simulator, use_services: UseServices) -> Pipeline:
    """The whole app's functions on a pipeline's services, with sign-in on."""
    simulator.world.change({"running_limit": None})
    both = {"SIGN_IN": "easy-auth", "WEBSITE_AUTH_ENABLED": "True"}
    pipeline = Pipeline(simulator, "azure-sora", VIDEO_RUNNING_LIMIT="0", **both)
    use_services(pipeline.services)
    return pipeline


def ask(
    who: str, function: str, body: Any = None, *, headers: dict[str, str] | None = None, **route: str
) -> tuple[int, dict[str, Any], func.HttpResponse]:
    """Call a function as the host does, for somebody whom the platform has signed in, or has not."""
    sent = {"content-type": "application/json", **(headers or {})}
    if who in SIGNED_IN:
        sent[PRINCIPAL_HEADER] = SIGNED_IN[who]
    params = {name: route.pop(name) for name in ("cursor", "limit") if name in route}
    request = func.HttpRequest(
        FUNCTIONS[function].get_trigger().methods[0],
        "/api",
        headers=sent,
        params=params,
        route_params=route,
        body=b"" if body is None else json.dumps(body).encode(),
    )
    answer = FUNCTIONS[function].get_user_function()(request)
    if inspect.isawaitable(answer):
        answer = asyncio.run(_awaited(answer))
    text = answer.get_body()
    return answer.status_code, json.loads(text) if text else {}, answer


async def _awaited(answer: Any) -> Any:
    return await answer


def submit(app: Pipeline, who: str, *, headers: dict[str, str] | None = None, **changes: Any) -> Job:
    status, job, _ = ask(who, "submit_job", {**SMALL["azure-sora"], **changes}, headers=headers)
    assert status == 202, job
    return app.jobs.get(owner(who), job["id"]).job


def owner(who: str) -> str:
    return owner_named_in(SIGNED_IN[who]) if who in SIGNED_IN else OWNER


def stored(app: Pipeline) -> Any:
    jobs = {found.job.id: found for found in app.jobs.everything()}
    return jobs, len(app.messages.queued), set(app.blobs.videos), set(app.blobs.inputs)


# --- each their own ------------------------------------------------------------------------------


def test_there_are_functions_of_one_job_to_try() -> None:
    known = {"get_job", "get_video", "get_thumbnail", "cancel_job", "retry_job", "repair_job", "delete_job"}
    assert known <= set(OF_ONE_JOB)


@pytest.mark.promise("I8")
@pytest.mark.parametrize("function", OF_ONE_JOB)
def test_another_owners_job_is_404_in_every_function_as_one_that_never_was(
    app: Pipeline, function: str
) -> None:
    jobs = {who: app.run(submit(app, who)) for who in EVERYBODY}
    app.drain()
    failed = {who: submit(app, who) for who in EVERYBODY}
    before = stored(app)
    for who, other in PAIRS:
        for job in (jobs[other], failed[other]):
            never_was = job.id[:-1] + ("0" if job.id[-1] != "0" else "1")
            status, problem, answer = ask(who, function, id=job.id, index="0")
            assert (status, problem["code"]) == (404, "job_not_found"), (who, other)
            _, other_problem, other_answer = ask(who, function, id=never_was, index="0")
            assert json.dumps(problem).replace(job.id, never_was) == json.dumps(other_problem)
            assert dict(answer.headers) == dict(other_answer.headers)
    assert stored(app) == before
    for who, job in jobs.items():
        assert ask(who, function, id=job.id, index="0")[1].get("code") != "job_not_found"


def test_each_list_holds_ones_own_jobs_and_its_cursors_are_for_nobody_else(app: Pipeline) -> None:
    mine = {who: {submit(app, who).id for _ in range(3)} for who in EVERYBODY}
    cursors = {}
    for who in EVERYBODY:
        _, page, _ = ask(who, "list_jobs", limit="2")
        cursors[who] = page["next_cursor"]
        _, rest, _ = ask(who, "list_jobs", limit="2", cursor=cursors[who])
        assert {job["id"] for job in (*page["jobs"], *rest["jobs"])} == mine[who]
    for who, other in PAIRS:
        status, problem, _ = ask(who, "list_jobs", limit="2", cursor=cursors[other])
        assert (status, problem["code"]) == (400, "invalid_cursor")


def test_an_idempotency_key_of_one_owner_is_nothing_to_another(app: Pipeline) -> None:
    key = {"idempotency-key": "the-same"}
    jobs = {who: submit(app, who, headers=key) for who in EVERYBODY}
    assert len({job.id for job in jobs.values()}) == len(EVERYBODY)
    for who, job in jobs.items():
        assert submit(app, who, headers=key).id == job.id
        assert ask(who, "submit_job", {**SMALL["azure-sora"], "seconds": 2}, headers=key)[0] == 409


def test_what_one_owner_has_another_can_not_import(app: Pipeline) -> None:
    for holder in EVERYBODY:
        made = app.run(submit(app, holder))
        elsewhere = made_elsewhere(app)
        assert ask(holder, "import_job", {"backend_job_id": elsewhere.id})[0] == 202
        before = stored(app)
        for who in set(EVERYBODY) - {holder}:
            for backend_job_id in (made.backend_job_id, elsewhere.id):
                status, problem, _ = ask(who, "import_job", {"backend_job_id": backend_job_id})
                assert (status, problem["code"]) == (404, "backend_job_not_found")
            there, never_was = made.outputs[0].generation_id, "gen_never0was"
            answers = [ask(who, "import_job", {"generation_id": name})[:2] for name in (there, never_was)]
            assert json.dumps(answers[0]).replace(there, never_was) == json.dumps(answers[1])
        assert stored(app) == before


def test_limits_are_each_owners_own_and_answered_with_429_and_when_to_come_again(
    app: Pipeline, use_services: UseServices
) -> None:
    use_services(app.services._replace(owner_limits=OwnerLimits(at_once=1)))
    for who in EVERYBODY:
        submit(app, who)
        status, problem, answer = ask(who, "submit_job", SMALL["azure-sora"])
        assert (status, problem["code"]) == (429, "too_many_jobs")
        assert int(answer.headers["Retry-After"]) > 0


# --- who is asked for ----------------------------------------------------------------------------


@pytest.mark.parametrize("sign_in", [SignIn(), SignIn(wanted=True), SignIn(by_platform=True)])
@pytest.mark.parametrize("said", [SIGNED_IN["ada"], "not base64!"])
def test_a_header_that_a_client_sends_while_authentication_is_off_changes_nothing(
    app: Pipeline, use_services: UseServices, sign_in: SignIn, said: str
) -> None:
    job = submit(app, OWNER)
    use_services(app.services._replace(sign_in=sign_in))
    status, seen, _ = ask(OWNER, "get_job", headers={PRINCIPAL_HEADER: said}, id=job.id)
    assert (status, seen["id"]) == (200, job.id)


@pytest.mark.parametrize("function", sorted({*OF_ONE_JOB, "list_jobs", "submit_job", "import_job"}))
def test_a_header_that_names_nobody_makes_its_sender_nobody_and_never_the_default(
    app: Pipeline, function: str
) -> None:
    job = submit(app, OWNER)
    body = {"submit_job": SMALL["azure-sora"], "import_job": {"backend_job_id": job.backend_job_id}}
    before = stored(app)
    status, problem, _ = ask(
        OWNER, function, body.get(function), headers={PRINCIPAL_HEADER: "e30="}, id=job.id, index="0"
    )
    assert (status, problem["code"]) == (400, "invalid_sign_in")
    assert stored(app) == before


def test_health_says_that_our_setting_alone_signs_nobody_in(app: Pipeline, use_services: UseServices) -> None:
    assert ask(OWNER, "health")[0] == 200
    use_services(app.services._replace(sign_in=SignIn(wanted=True)))
    status, problem, _ = ask(OWNER, "health")
    assert (status, problem["code"]) == (503, "unhealthy")
    assert "WEBSITE_AUTH_ENABLED" in problem["reasons"][0]


# --- what an operator sees -----------------------------------------------------------------------


API = ApiKeys((ApiKey("carol", "ab" * 32),))


@pytest.mark.parametrize(
    "several", [{}, {"sign_in": SignIn(), "compat_api_keys": API}], ids=["sign-in", "api"]
)
def test_what_an_unconfirmed_job_may_be_is_told_to_the_operator_and_to_no_owner(
    app: Pipeline, use_services: UseServices, caplog: pytest.LogCaptureFixture, several: dict[str, Any]
) -> None:
    app.services = app.services._replace(**several)
    use_services(app.services)
    app.fault("create", lost_answer=True)
    job = submit(app, OWNER, input_image=picture_for(app))
    ended = app.run(job)
    assert (ended.status, ended.error and ended.error.code) == (Status.FAILED, "submission_unconfirmed")
    [made] = app.simulator.world.everything()
    assert made.id not in json.dumps(ask(OWNER, "get_job", id=job.id)[1])
    [line] = [record.getMessage() for record in caplog.records if made.id in record.getMessage()]
    assert job.id in line


def test_what_the_video_api_said_of_one_owners_job_is_shown_to_that_owner_alone(app: Pipeline) -> None:
    told = {"error": {"code": "401", "message": "Denied: 'a secret boat' by this key"}}
    app.fault("create", status=401, body=told)
    mine = submit(app, "ada", prompt="a secret boat")
    other = submit(app, "bob")
    assert "a secret boat" in ask("ada", "get_job", id=mine.id)[1]["reason"]
    seen = ask("bob", "get_job", id=other.id)[1]
    assert (seen["status"], "does not let the app in" in seen["reason"]) == ("waiting", True)
    assert "a secret boat" not in json.dumps(seen)


def test_logs_name_an_owner_by_the_hash_alone(app: Pipeline, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    app.run(submit(app, "ada"))
    assert owner("ada") in caplog.text
    assert SIGNED_IN["ada"] not in caplog.text
    assert '"oid"' not in caplog.text
