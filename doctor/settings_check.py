"""Checks the settings: reports all problems at once, where each backend's values come from, and what is unusual."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from doctor.configuration import Configuration
from doctor.environment import Environment
from doctor.findings import Finding, right, warning, wrong
from doctor.network import is_local
from video_jobs.media.images import LARGEST_BODY
from video_jobs.settings.app import Settings
from video_jobs.settings.backends import BackendSettings
from video_jobs.settings.providers import PROVIDERS
from video_jobs.settings.storage import StorageSettings

NAMES = (
    "AZURE_OPENAI_ENDPOINT",
    "AZURE_OPENAI_API_KEY",
    "AZURE_OPENAI_DEPLOYMENT",
    "AZURE_OPENAI_TOKEN_SCOPE",
    "OPENAI_COMPAT_API_KEYS",
    "OWNER_JOBS_AT_ONCE",
    "OWNER_JOBS_PER_DAY",
    "RETENTION_DAYS",
    "SIGN_IN",
    *(name for provider in PROVIDERS for name in (provider.key_setting, provider.model_setting)),
    "VIDEO_BACKENDS",
    "VIDEO_CREATE_DEADLINE_SECONDS",
    "VIDEO_CREATES_PER_MINUTE",
    "VIDEO_DIALECT",
    "VIDEO_DOWNLOAD_ORIGINS",
    "VIDEO_FETCH_DEADLINE_SECONDS",
    "VIDEO_MAX_BYTES",
    "VIDEO_RUNNING_LIMIT",
    "WEBHOOK_ALLOW_HTTP_LOOPBACK",
    "WEBHOOK_SECRETS",
    "WEBHOOK_URL",
)
"""The settings that the app reads under its prefixes. Any other name with such a prefix is probably misspelt."""

_PREFIXES = ("AZURE_OPENAI_", "OPENAI_COMPAT_API", "OWNER_JOBS", "RETENTION", "SIGN_IN", "VIDEO_", "WEBHOOK")
_ANSWERS_END = 230  # seconds, after which Azure cuts an HTTP answer off
_SHORT_CREATE = 30  # seconds; a create with a picture takes several
_SHORT_FETCH = 60  # seconds
_TO_SPARE = 60  # seconds between a download's deadline and the function's
_SLOWEST_POLLING = 10  # seconds


_TURNED_OFF = re.compile(r"AzureWebJobs[._](\w+)[._]Disabled", re.IGNORECASE)  # the portal's button sets it
_IN_HOST_JSON = "AzureFunctionsJobHost__"  # before the path of a value that counts instead of the file's
_BODY_LIMIT = "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"
_FITTING_BODY_LIMIT = (
    32 << 20
)  # bytes: a little more than the app takes, so that it says itself what is too large


def check_settings(environment: Environment, configuration: Configuration, app: Path) -> Iterator[Finding]:
    """`app` is the folder with function_app.py and host.json."""
    yield from environment.findings
    for problem in configuration.problems:
        yield wrong("settings", problem)
    if not configuration.problems:
        yield right("settings", "complete and well-formed: the app can start")
    if configuration.storage is not None:
        yield _storage_origin(environment, configuration.storage)
    for backend in configuration.backends:
        yield _backend_origin(environment, configuration, backend)
        yield from _odd_about(backend, configuration)
    yield from _misspelt(environment)
    yield from _runtime(environment)
    yield from check_host_json(app / "host.json", configuration.settings, environment.values)
    if configuration.settings is not None:
        yield from _tight_deadlines(configuration.settings)


def _storage_origin(environment: Environment, storage: StorageSettings) -> Finding:
    name = "AzureWebJobsStorage"
    if storage.connection_string is None:
        account = environment.values.get(f"{name}__accountName")
        user = ", a user-assigned one" if storage.client_id else ""
        where = f"account '{account}'" if account else f"at {storage.blob_endpoint}"
        return right("storage", f"{where}, signed in to with the app's identity{user}")
    named = re.search(r"AccountName=([a-z0-9]+)", storage.connection_string)
    words = f"account '{named[1] if named else '?'}', with its key"
    return right("storage", f"{words}, from {name} ({environment.origin(name)})")


def _backend_origin(
    environment: Environment, configuration: Configuration, backend: BackendSettings
) -> Finding:
    single = backend.name == "default" and environment.values.get("AZURE_OPENAI_ENDPOINT", "").strip()
    listed = f'"{backend.name}"' in environment.values.get("VIDEO_BACKENDS", "")
    by_key = not listed and any(provider.name == backend.name for provider in PROVIDERS)
    name = "AZURE_OPENAI_ENDPOINT" if single else "VIDEO_BACKENDS"
    if by_key and backend.api_key_setting:
        name = backend.api_key_setting
    key = backend.api_key_setting
    if backend.auth == "none":
        signed = "no key is sent"
    elif key is None:
        signed = "an Entra identity signs in"
    elif configuration.key_is_missing(backend):
        signed = f"its key, {key}, is missing"
    else:
        signed = f"key from {key} ({environment.origin(key)})"
    first = " (the default)" if backend == configuration.backends[0] else ""
    return right(
        "backend",
        f"'{backend.name}'{first}: {backend.dialect}, '{backend.model}' at {backend.base_url}, from {name} "
        f"({environment.origin(name)}); {signed}",
    )


def _odd_about(backend: BackendSettings, configuration: Configuration) -> Iterator[Finding]:
    parts = urlsplit(backend.base_url)
    host = parts.hostname or ""
    if "your-resource" in host.lower():
        advice = "Put your resource's endpoint into AZURE_OPENAI_ENDPOINT: the portal shows it under 'Keys and Endpoint'."
        yield wrong("backend", f"'{backend.name}' still has the example's address.", advice)
    if parts.scheme == "http" and not is_local(backend.base_url):
        what = "prompts and videos" if backend.auth == "none" else "the key, prompts and videos"
        words = f"'{backend.name}' is spoken to over http://: {what} travel unencrypted to {host}."
        yield warning("backend", words, "Use https://, unless the whole way lies in a network of your own.")
    if backend.auth == "none" and backend.api_key_setting:
        words = (
            f"'{backend.name}' names a key, {backend.api_key_setting}, and auth 'none', so it is never sent."
        )
        yield warning("backend", words, "Leave one of the two out.")
    if host == "api.openai.com" and "/openai/" in parts.path:
        words = f"'{backend.name}' is Azure's path at OpenAI's host, which has no such path."
        yield wrong(
            "backend",
            words,
            "Name https://api.openai.com/v1 in VIDEO_BACKENDS, not in AZURE_OPENAI_ENDPOINT.",
        )
    if backend.dialect == "azure-sora" and (host == "api.openai.com" or re.search(r"sora-?2", backend.model)):
        words = f"'{backend.name}' speaks azure-sora, the protocol of Azure's first Sora only."
        yield warning("backend", words, f"For '{backend.model}' at {host} set the dialect openai-videos.")


def _misspelt(environment: Environment) -> Iterator[Finding]:
    for name in sorted(environment.values):
        if name.startswith(_PREFIXES) and name not in NAMES and not _is_a_key(environment, name):
            near = difflib.get_close_matches(name, NAMES, 1, 0.75)
            hint = (
                f"Did you mean {near[0]}?"
                if near
                else "Take it away, or find its name in docs/reference/settings.md."
            )
            yield warning("settings", f"{name} is set, and nothing reads it.", hint)


def _is_a_key(environment: Environment, name: str) -> bool:
    """Backends may give any name to the settings with their keys."""
    return f'"{name}"' in environment.values.get("VIDEO_BACKENDS", "")


def _runtime(environment: Environment) -> Iterator[Finding]:
    """What the Functions host needs, if there is one: in Azure, or with the file of Core Tools."""
    values = environment.values
    runtime = values.get("FUNCTIONS_WORKER_RUNTIME", "").strip()
    hosted = "WEBSITE_SITE_NAME" in values or bool(environment.from_file)
    flex = (
        values.get("WEBSITE_SKU") == "FlexConsumption"
    )  # there functionAppConfig says it, and the setting is rejected
    if runtime != "python" and (runtime or (hosted and not flex)):
        said = f"is '{runtime}'" if runtime else "is not set"
        yield wrong(
            "host",
            f"FUNCTIONS_WORKER_RUNTIME {said}: the host would not start this app.",
            "Set it to python.",
        )
    if hosted and not values.get("PYTHON_THREADPOOL_THREAD_COUNT", "").strip():
        words = "PYTHON_THREADPOOL_THREAD_COUNT is not set: on one core five handlers run at once, downloads included."
        yield warning("host", words, "Set it to 32.")
    for name, value in values.items():
        if (off := _TURNED_OFF.fullmatch(name)) and value.strip().lower() in ("true", "1"):
            words = f"the function {off[1]} is turned off by {name}: what it does is not done."
            yield wrong("host", words, "Delete that setting.")
    if flex:
        yield from _on_flex(values)
    if hosted or _BODY_LIMIT in values:
        yield from _body_limit(values.get(_BODY_LIMIT, "").strip())


def _on_flex(values: Mapping[str, str]) -> Iterator[Finding]:
    if values.get("AzureWebJobsDisableHomepage", "").strip().lower() != "true":
        words = "AzureWebJobsDisableHomepage is not true: the host's own page answers at the app's address."
        yield warning("host", words, "Set it to true.")


def _body_limit(text: str) -> Iterator[Finding]:
    """The host copies a whole body into its own memory and the worker's, before the app can check it."""
    advice = f"Set it to {_FITTING_BODY_LIMIT} (bytes)."
    if not text:
        words = f"{_BODY_LIMIT} is not set: a body of 100 MB, sent by anybody, takes 2.6 GB of memory."
        yield warning("host", words, advice)
    elif not (text.isascii() and text.isdecimal() and len(text) < 16):
        yield wrong("host", f"{_BODY_LIMIT} is no number of bytes.", advice)
    elif int(text) < LARGEST_BODY:
        words = (
            f"{_BODY_LIMIT} is {int(text)}, and the app takes {LARGEST_BODY}: larger images get a bare 500."
        )
        yield warning("host", words, advice)
    elif int(text) > 2 * _FITTING_BODY_LIMIT:
        words = f"{_BODY_LIMIT} is {int(text)}: the app refuses what has more than {LARGEST_BODY}, after it is in memory."
        yield warning("host", words, advice)


def check_host_json(path: Path, settings: Settings | None, values: Mapping[str, str]) -> Iterator[Finding]:
    """`values`: of all settings, which may have values in place of the file's."""
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
        for name, value in values.items():
            if name.startswith(_IN_HOST_JSON):
                *sections, last = name.removeprefix(_IN_HOST_JSON).split("__")
                part = document
                for section in sections:
                    part = part.setdefault(section, {})
                part[last] = value
        queues = document.get("extensions", {}).get("queues", {})
        encoding, polling = (
            queues.get("messageEncoding", "base64"),
            _seconds(queues.get("maxPollingInterval"), 60),
        )
        function_ends = _seconds(document.get("functionTimeout"), 300)
        prefix = document.get("extensions", {}).get("http", {}).get("routePrefix", "api")
    except FileNotFoundError:
        yield wrong(
            "host.json", f"{path} is missing: the host's own defaults don't fit this app.", "Put ours back."
        )
        return
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        yield wrong("host.json", f"{path} can't be read as host.json.", "Put ours back.")
        return
    findings = []
    if encoding != "base64":
        words = f"queues.messageEncoding is '{encoding}', and the app's messages are base64: none would be understood."
        findings.append(wrong("host.json", words, "Set it to base64."))
    if polling > _SLOWEST_POLLING:
        words = f"queues.maxPollingInterval is {polling:g} s: each step of a job may wait that long."
        findings.append(warning("host.json", words, "Set it to 00:00:02."))
    if settings is not None and function_ends < settings.fetch_deadline + _TO_SPARE:
        words = (
            f"functionTimeout is {function_ends:g} s and VIDEO_FETCH_DEADLINE_SECONDS {settings.fetch_deadline:g}: a "
            f"slow download may take its whole worker process along."
        )
        advice = f"Keep {_TO_SPARE} s between them: a lower deadline, or a longer functionTimeout."
        findings.append(warning("host.json", words, advice))
    if prefix != "api":
        words = f"http.routePrefix is '{prefix}', and the app's Location headers say /api."
        findings.append(warning("host.json", words, "Set it to api."))
    yield from findings or [
        right("host.json", f"fits: functions have {function_ends:g} s, queues are read every {polling:g} s")
    ]


def _seconds(text: object, default: float) -> float:
    """Seconds from `[days.]hh:mm:ss`; -1 means no limit."""
    if text is None:
        return default
    if str(text) == "-1":
        return float("inf")
    days, hours, minutes, seconds = re.fullmatch(r"(?:(\d+)\.)?(\d+):(\d+):([\d.]+)", str(text)).groups()  # type: ignore[union-attr]
    return ((float(days or 0) * 24 + float(hours)) * 60 + float(minutes)) * 60 + float(seconds)


def _tight_deadlines(settings: Settings) -> Iterator[Finding]:
    create, fetch = settings.create_deadline, settings.fetch_deadline
    if create > _ANSWERS_END - 50:
        words = f"VIDEO_CREATE_DEADLINE_SECONDS is {create:g}: Azure cuts the client's answer off at {_ANSWERS_END} s."
        yield warning("deadlines", words, "90 is enough for every video API that we know.")
    if create < _SHORT_CREATE:
        words = f"VIDEO_CREATE_DEADLINE_SECONDS is {create:g}: a slow create becomes an unknown outcome, and is not repeated."
        yield warning("deadlines", words, "Leave it at 90, unless your backend always answers at once.")
    if fetch < _SHORT_FETCH:
        words = f"VIDEO_FETCH_DEADLINE_SECONDS is {fetch:g}: a long video may never be fetched within it."
        yield warning("deadlines", words, "Leave it at 480.")
