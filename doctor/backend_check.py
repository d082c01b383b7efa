"""Checks a video API: the connection, the key, its models, and which of them will end soon. Nothing here costs money.

It sends only GETs. Only a create could tell whether the video API accepts creates.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from doctor.findings import Finding, Mark, right, unknown, warning, wrong
from doctor.network import check_way
from doctor.retirement import WHAT_NOW, check_known_end, check_retirement, is_azure
from doctor.wire import Response, Wire
from video_jobs.backends.credentials import Sign, signer
from video_jobs.backends.providers import TASK_APIS
from video_jobs.backends.task_api import path_of
from video_jobs.domain.errors import NotSent
from video_jobs.domain.refusal_kinds import is_wrong_key
from video_jobs.settings.backends import BackendSettings
from video_jobs.settings.providers import PROVIDERS

_NOWHERE = "doctor0000000000000000000000"  # an id that no job has
_LONGEST_LIST = 2 << 20  # bytes of a list of models
_NO_LIST = (404, 405, 501)
_UNDERSTOOD = (400, 404, 410, 422)
"""An API's own words about an id that it does not know."""


def check_backend(backend: BackendSettings, api_key: str | None, now: datetime) -> Iterator[Finding]:
    """`api_key` is empty if the setting that should hold it is empty, and None if no key is needed."""
    setting = "AZURE_OPENAI_ENDPOINT" if backend.name == "default" else "VIDEO_BACKENDS"
    known = any(backend.base_url == provider.base_url for provider in PROVIDERS)
    way = check_way(backend.base_url, None if known else setting)
    yield from way
    if any(finding.mark is Mark.WRONG for finding in way):
        yield from check_known_end(backend, now)
        yield unknown("API", "nothing more can be told before that is mended.")
        return
    if api_key == "":
        yield from check_known_end(backend, now)
        yield unknown("key", f"{backend.api_key_setting} is missing, so nothing more can be asked.")
        return
    try:
        sign = signer(backend, api_key)
        sign()
    except NotSent as error:
        yield wrong("identity", str(error), "On your own machine: az login.")
        yield from check_known_end(backend, now)
        return
    yield from check_api(backend, sign, now)


def check_api(backend: BackendSettings, sign: Sign, now: datetime) -> Iterator[Finding]:
    api = TASK_APIS.get(backend.dialect)
    wire = Wire(backend.base_url, sign)
    if api is None or api.tasks is not None:
        response = wire.get(_job_url(backend, "", "limit=1"), _LONGEST_LIST)
        findings = list(_judge_list(response, backend))
    else:
        response, findings = Response(), []
    if not findings:  # no list: the answer to an unknown id shows whether there is an API at all
        findings = list(_judge_unknown_id(response, wire.get(_job_url(backend, f"/{_NOWHERE}")), backend))
    yield from findings
    if any(finding.mark is Mark.WRONG for finding in findings):
        yield from check_known_end(backend, now)
        return
    models = None
    model = None
    if is_azure(backend.base_url) or backend.dialect == "azure-sora":
        root = _resource(backend)
        # Only this version has the call. It is no longer documented, but still served.
        deployments = _body(
            wire.get(f"{root}/openai/deployments?api-version=2023-03-15-preview", _LONGEST_LIST)
        )
        finding, model = _judge_deployments(deployments, backend)
        yield finding
        models = _body(wire.get(f"{root}/openai/models?api-version=2024-10-21", _LONGEST_LIST))
    elif api is not None and backend.dialect != "openrouter":
        words = f"it lists no video models, so whether it has '{backend.model}', only a job can tell."
        yield unknown("model", words)
    else:
        yield _judge_models(_body(wire.get(_models_url(backend), _LONGEST_LIST)), backend)
    yield from check_retirement(backend, models, model, now)
    yield unknown("create", "whether a job is taken, only a job can tell, and it costs money: not tried.")


def _job_url(backend: BackendSettings, path: str, query: str = "") -> str:
    if backend.dialect == "azure-sora":
        return f"{backend.base_url}/jobs{path}?api-version=preview" + (f"&{query}" if query else "")
    api = TASK_APIS.get(backend.dialect)
    if api is None:
        return f"{backend.base_url}/videos{path}" + (f"?{query}" if query else "")
    if path or api.tasks is None:
        return backend.base_url + path_of(api.job_path, backend.model, path.strip("/"))
    return f"{backend.base_url}{api.tasks.path}?{urlencode(api.tasks.query(None))}"


def _models_url(backend: BackendSettings) -> str:
    """OpenRouter's `/models` lists the models for text; those for videos have a list of their own."""
    return f"{backend.base_url}{'/videos' if backend.dialect == 'openrouter' else ''}/models"


def _resource(backend: BackendSettings) -> str:
    """The endpoint with which all of a resource's URLs begin."""
    return backend.base_url.partition("/openai/")[0]


# --- who we are, and whether this is the API ---


def _judge_list(response: Response, backend: BackendSettings) -> Iterator[Finding]:
    """No finding if the answer says that there is no such list."""
    body = _body(response)
    if response.status is None:
        yield wrong(
            "API", f"{response.problem}.", "Does the server answer others? Does a proxy stand in the way?"
        )
    elif response.redirects:
        words = f"it redirects to {response.redirect_host} ({response.status}): this is not the API's own address."
        yield wrong(
            "API",
            words,
            "Set the address that the documentation of the API names; a create follows no redirect.",
        )
    elif response.status in (401, 403):
        yield _refused(response, backend)
    elif response.status == 410 or "retired" in response.said.lower():
        yield wrong("retirement", f"it answers {response.in_words}: it is gone for good.", WHAT_NOW)
    elif "deployment" in response.said.lower() and response.status == 404:
        yield _no_deployment(backend, f"it answers {response.in_words}", [])
    elif response.status == 429:
        yield warning("API", f"it is busy ({response.in_words}).", "Wait a minute and ask again.")
    elif response.status >= 500 and response.status not in _NO_LIST:
        yield wrong(
            "API",
            f"it answers {response.in_words}: it can't right now.",
            "Try again later; nothing is lost meanwhile.",
        )
    elif response.kind == "HTML":
        yield _web_page(response)
    elif response.status == 200 and isinstance((body or {}).get(_entries(backend)), list):
        yield right("key" if _sends_key(backend) else "access", _accepted(backend))
        yield _shows_prompts(backend, (body or {})[_entries(backend)])
    elif response.status == 200:
        words = f"it answers 200 with {response.kind or 'nothing'} where a list of jobs was asked for: no video API of {backend.dialect}."
        yield wrong("API", words, "Is the address right, and the dialect?")
    elif response.status not in (*_NO_LIST, *_UNDERSTOOD):
        yield wrong("API", f"it answers {response.in_words}.", "Is the address right, and the dialect?")


def _entries(backend: BackendSettings) -> str:
    """The field that has the jobs in an answer with a list."""
    api = TASK_APIS.get(backend.dialect)
    return "data" if api is None or api.tasks is None else api.tasks.entries


def _shows_prompts(backend: BackendSettings, entries: list[Any]) -> Finding:
    """Only a list with prompts shows whether one of its jobs may belong to this app."""
    api = TASK_APIS.get(backend.dialect)
    tasks = None if api is None else api.tasks
    shown = [
        entry.get("prompt") if tasks is None else tasks.asked(entry).prompt
        for entry in entries
        if isinstance(entry, dict)
    ]
    if not shown:
        words = "its list of jobs can be read. It is empty, so whether it shows prompts can't be told."
        return right("list", words)
    if any(isinstance(prompt, str) and prompt for prompt in shown):
        words = "its list of jobs can be read, and shows prompts: unknown outcomes are cleared up from it"
        return right("list", words)
    words = "its list of jobs can be read, and shows no prompts: a create whose answer is lost can't be told from others."
    return warning("list", words, "Such a job ends as submission_unconfirmed and names its candidates.")


def _judge_unknown_id(listed: Response, response: Response, backend: BackendSettings) -> Iterator[Finding]:
    """What the API answers about a job that does not exist, if it has no list."""
    if response.status in (401, 403) or is_wrong_key(response.status, response.said):
        yield _refused(response, backend)
    elif response.status in _UNDERSTOOD and response.kind == "JSON" and not _is_no_path(response, backend):
        yield right("key" if _sends_key(backend) else "access", _accepted(backend))
        answered = f" (it answers {listed.status})" if listed.status else ""
        words = f"it keeps no list of jobs{answered}: a create whose answer is lost can't be found again."
        advice = "Such a job ends as submission_unconfirmed and names no candidates. Nothing to mend, if it is so made."
        yield warning("list", words, advice)
    elif response.kind == "HTML":
        yield _web_page(response)
    else:
        words = f"it knows no path of {backend.dialect} below {backend.base_url} (it answers {response.in_words})."
        if is_azure(backend.base_url):
            advice = "Is it the endpoint of an Azure OpenAI resource whose region has the model? Is the dialect right?"
        else:
            advice = "Is the address right (often it ends in /v1), and the dialect?"
        yield wrong("API", words, advice)


def _is_no_path(response: Response, backend: BackendSettings) -> bool:
    """Whether the 404 comes from a gateway or framework, so that no video API has seen the request."""
    said = response.said.lower()
    if backend.dialect in TASK_APIS:  # some send the status as the code of each error
        said = said.replace("404: ", "")
    return response.status == 404 and (
        not said
        or any(
            sign in said for sign in ("404: ", "resource not found", "invalid url", "(not found)", "no route")
        )
    )


def _web_page(response: Response) -> Finding:
    words = f"it answers {response.in_words}: a web page, where an API would answer JSON."
    return wrong(
        "API", words, "Is it a portal's address, or does a proxy or a sign-in page stand in the way?"
    )


def _refused(response: Response, backend: BackendSettings) -> Finding:
    said = f"it answers {response.in_words}"
    if backend.auth == "none":
        words, advice = (
            f"{said}: it wants a key, and auth is 'none'.",
            "Name the key's setting in api_key_setting.",
        )
    elif response.status in (400, 401) and backend.api_key_setting:
        words = f"{said}: it does not take the key."
        advice = (
            f"Copy the key again into {backend.api_key_setting}; it must belong to this resource, "
            f"and no other region's."
        )
        if not is_azure(backend.base_url) and backend.auth == "api-key":
            advice += " Does this server want auth 'bearer'?"
    elif response.status == 401:
        words = f"{said}: it does not take the identity's token."
        advice = (
            "Is the resource in the identity's tenant? Some want the scope https://ai.azure.com/.default: set "
            "AZURE_OPENAI_TOKEN_SCOPE."
        )
    elif backend.api_key_setting:
        words = f"{said}: the key is known, and this is not allowed with it."
        advice = "Do the resource's network rules let this machine in? Is access by key turned off there?"
    else:
        words = f"{said}: the identity is known, and not allowed."
        advice = (
            "Give it the role Cognitive Services User on the resource; it takes some minutes. Do the resource's "
            "network rules let this machine in?"
        )
    return wrong("key" if backend.api_key_setting else "access", words, advice)


def _sends_key(backend: BackendSettings) -> bool:
    return backend.api_key_setting is not None and backend.auth != "none"


def _accepted(backend: BackendSettings) -> str:
    if backend.auth == "none":
        return "it answers, without a key"
    return "the key is accepted" if backend.api_key_setting else "the identity is accepted"


# --- what it has ---


def _judge_deployments(body: dict[str, Any] | None, backend: BackendSettings) -> tuple[Finding, str | None]:
    """The finding names the deployment's model, if the API tells it."""
    if body is None or not isinstance(body.get("data"), list):
        words = (
            f"the resource does not list its deployments, so whether '{backend.model}' exists can't be told."
        )
        return unknown(
            "deployment", words, "The portal shows them. If it is missing, creates answer 404."
        ), None
    entries = [entry for entry in body["data"] if isinstance(entry, dict)]
    for entry in entries:
        if entry.get("id") == backend.model:
            model = entry.get("model")
            of = f", of the model '{model}'" if isinstance(model, str) else ""
            status = entry.get("status", "succeeded")
            if status != "succeeded":
                words = f"'{backend.model}' exists{of}, and its status is '{status}'."
                return warning(
                    "deployment", words, "Wait until it is 'succeeded', or look in the portal."
                ), None
            return right("deployment", f"'{backend.model}' exists{of}"), model if isinstance(
                model, str
            ) else None
    named = [str(entry.get("id")) for entry in entries]
    return _no_deployment(backend, "the resource has no such deployment", named), None


def _no_deployment(backend: BackendSettings, said: str, named: list[str]) -> Finding:
    setting = "AZURE_OPENAI_DEPLOYMENT" if backend.name == "default" else "model in VIDEO_BACKENDS"
    there_are = f"; it has: {', '.join(named[:8])}" if named else ""
    advice = (
        f"Set {setting} to the deployment's own name (not the model's), or deploy the model. A new one is "
        f"known after some minutes. If its model is retired, deploying is refused: {WHAT_NOW}"
    )
    return wrong("deployment", f"'{backend.model}' is missing: {said}{there_are}.", advice)


def _judge_models(body: dict[str, Any] | None, backend: BackendSettings) -> Finding:
    entries = (body or {}).get("data")
    if not isinstance(entries, list):
        words = f"the server does not list its models, so whether it has '{backend.model}' can't be told."
        return unknown("model", words)
    named = [str(entry.get("id")) for entry in entries if isinstance(entry, dict)]
    if backend.model in named:
        return right("model", f"'{backend.model}' is among those that the server lists")
    words = f"'{backend.model}' is not among those that the server lists: {', '.join(named[:8]) or 'none'}."
    advice = f"Set one of them as the model of '{backend.name}'. Some servers list less than they take."
    return warning("model", words, advice)


def _body(response: Response) -> dict[str, Any] | None:
    if response.status != 200:
        return None
    try:
        body = json.loads(response.body)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None
