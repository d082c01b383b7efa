"""The app's settings: read from the environment once, checked at start, never written anywhere.

docs/reference/settings.md has the table for people; `Settings.from_environment` is what it describes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from video_jobs.domain.errors import InvalidSettings
from video_jobs.domain.quota import MOST_AT_ONCE, OwnerLimits
from video_jobs.domain.unrepeated import unrepeated
from video_jobs.settings.api_keys import ApiKeys, read_compat_api_keys
from video_jobs.settings.backends import DEFAULT_SCOPE, BackendSettings
from video_jobs.settings.providers import PROVIDERS
from video_jobs.settings.sign_in import SignIn
from video_jobs.settings.storage import StorageSettings, read_storage
from video_jobs.settings.webhooks import WebhookSettings

DEFAULT_MAX_BYTES = 4 << 30
"""Bytes of one video. Today's models make about a hundredth of that."""

_SHORTEST_RETENTION = 0.042  # days

_LONGEST_NUMBER = 15  # characters; a key has more

_LARGEST_MAX_BYTES = 190 << 30  # what a block blob holds in the blocks that we stage


@dataclass(frozen=True)
class Settings:
    storage: StorageSettings
    backends: tuple[BackendSettings, ...]  #: the first is the default
    api_keys: Mapping[str, str] = field(repr=False)  #: backend name → key
    create_deadline: float  #: seconds for the whole paid call
    fetch_deadline: float  #: seconds for one download
    retention: timedelta | None  #: how long ended jobs are kept; None: for ever
    compat_api_keys: ApiKeys  #: of the OpenAI-compatible API
    sign_in: SignIn
    owner_limits: OwnerLimits
    webhooks: WebhookSettings
    max_bytes: int = DEFAULT_MAX_BYTES  #: of one video
    app_name: str | None = None  #: the function app's in Azure, and its slot's; None on other machines

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Raises InvalidSettings with every problem at once."""
        problems = _unresolved(environment) + _badly_pasted(environment)
        storage = read_storage(environment, problems)
        backends = read_backends(environment, problems)
        api_keys = read_api_keys(environment, backends, problems)
        create_deadline = _seconds(environment, "VIDEO_CREATE_DEADLINE_SECONDS", 90, 5, 200, problems)
        fetch_deadline = _seconds(environment, "VIDEO_FETCH_DEADLINE_SECONDS", 480, 10, 500, problems)
        days = _number(environment, "RETENTION_DAYS", 0, 0, 36500, problems, "days, or 0 for ever")
        if 0 < days < _SHORTEST_RETENTION:
            problems.append(
                f"RETENTION_DAYS is '{days:g}': videos would be deleted before anybody has them. Set {_SHORTEST_RETENTION:g} "
                f"(an hour) or more, or 0 to keep them for ever."
            )
        compat_api_keys = read_compat_api_keys(environment, problems)
        sign_in = SignIn.from_environment(environment, problems)
        owner_limits = _owner_limits(environment, problems)
        webhooks = WebhookSettings.read(environment, problems)
        max_bytes = _number(
            environment, "VIDEO_MAX_BYTES", DEFAULT_MAX_BYTES, 1 << 20, _LARGEST_MAX_BYTES, problems, "bytes"
        )
        if problems or storage is None:
            raise InvalidSettings(problems)
        retention = timedelta(days=days) if days else None
        return cls(
            storage,
            tuple(backends),
            api_keys,
            create_deadline,
            fetch_deadline,
            retention,
            compat_api_keys,
            sign_in,
            owner_limits,
            webhooks,
            int(max_bytes),
            _app_name(environment),
        )

    def backend(self, name: str) -> BackendSettings | None:
        return next((backend for backend in self.backends if backend.name == name), None)


def _app_name(environment: Mapping[str, str]) -> str | None:
    name, slot = (environment.get(f"WEBSITE_{what}_NAME", "").strip().lower() for what in ("SITE", "SLOT"))
    return f"{name}/{slot}" if name and slot not in ("", "production") else name or None


_OURS = (
    "AZURE_CLIENT_ID",
    "AZURE_OPENAI_",
    "AzureWebJobsStorage",
    "OPENAI_",
    "OPENROUTER_",
    "OWNER_",
    "RETENTION_",
    "RUNWAY",
    "SIGN_IN",
    "VIDEO_",
    "WEBHOOK_",
)
_OF_PROVIDERS = frozenset(
    name for provider in PROVIDERS for name in (provider.key_setting, provider.model_setting)
)
_QUOTES = "\"'`\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb"
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_REFERENCES = ("@Microsoft.KeyVault(", "@Microsoft.AppConfiguration(")


def _ours(environment: Mapping[str, str]) -> list[tuple[str, str]]:
    """Names and values of the settings that this app reads."""
    return [
        (name, value)
        for name, value in sorted(environment.items())
        if name.startswith(_OURS)
        or name in _OF_PROVIDERS
        or f'"{name}"' in environment.get("VIDEO_BACKENDS", "")
    ]


def _badly_pasted(environment: Mapping[str, str]) -> list[str]:
    """Characters that were pasted along with a value and belong to no setting."""
    problems = []
    for name, value in _ours(environment):
        text = value.strip()
        if text[:1] in _QUOTES and text[-1:] in _QUOTES and text:
            problems.append(f"{name} has quotes around it. Copy it again, without them.")
        elif _INVISIBLE.search(value):
            problems.append(f"{name} holds an invisible character. Copy it again, from plain text.")
    return problems


def _unresolved(environment: Mapping[str, str]) -> list[str]:
    """Settings that still contain a Key Vault reference instead of the secret. If such a text counted as a key, anybody who knows
    the format of references could call the app."""
    return [
        f"{name} is a reference that Azure could not resolve. Check what it names, and that the app's identity may read "
        f"it (role Key Vault Secrets User)."
        for name, value in _ours(environment)
        if any(reference.lower() in value.lower() for reference in _REFERENCES)
    ]


# --- backends ------------------------------------------------------------------------------------


def read_backends(environment: Mapping[str, str], problems: list[str]) -> list[BackendSettings]:
    found: list[BackendSettings] = []
    named = [
        name for name in ("AZURE_OPENAI_ENDPOINT", "VIDEO_BACKENDS") if environment.get(name, "").strip()
    ]
    if "AZURE_OPENAI_ENDPOINT" in named:
        found += _single_backend(environment, problems)
    if "VIDEO_BACKENDS" in named:
        found += _listed_backends(environment["VIDEO_BACKENDS"], problems)
    found += _providers(environment, found, problems)
    if not named and not found:
        problems.append(
            "No video API is configured: set AZURE_OPENAI_ENDPOINT, AZURE_OPENAI_DEPLOYMENT and VIDEO_DIALECT "
            "(and AZURE_OPENAI_API_KEY, unless an identity signs in), or VIDEO_BACKENDS, or a provider's key: "
            f"{', '.join(provider.key_setting for provider in PROVIDERS)}."
        )
    names = [backend.name for backend in found]
    problems += [
        f"Two backends are named '{name}'. Give each its own name in VIDEO_BACKENDS."
        for name in sorted({name for name in names if names.count(name) > 1})
    ]
    return found


def read_api_keys(
    environment: Mapping[str, str], backends: list[BackendSettings], problems: list[str]
) -> dict[str, str]:
    """Backend name → key, for those that take one; empty if the setting is missing."""
    api_keys = {}
    for backend in backends:
        if backend.api_key_setting:
            key = environment.get(backend.api_key_setting, "").strip()
            if not key:
                problems.append(
                    f"The backend '{backend.name}' takes its key from {backend.api_key_setting}, which is "
                    f"not set. Set it, or leave api_key_setting out to sign in with an identity."
                )
            elif not re.fullmatch("[!-~]+", key) and not any(
                problem.startswith(backend.api_key_setting) for problem in problems
            ):
                problems.append(
                    f"{backend.api_key_setting} contains blanks or other characters that no API key has. Copy it again: the "
                    f"key alone, without a word before it."
                )
            api_keys[backend.name] = key
    return api_keys


def _single_backend(environment: Mapping[str, str], problems: list[str]) -> list[BackendSettings]:
    endpoint = environment["AZURE_OPENAI_ENDPOINT"].strip().rstrip("/")
    dialect = environment.get("VIDEO_DIALECT", "").strip() or "azure-sora"
    paths = {"azure-sora": "/openai/v1/video/generations", "openai-videos": "/openai/v1"}
    if dialect not in paths:
        problems.append("VIDEO_DIALECT: it must be 'azure-sora' or 'openai-videos'.")
        return []
    if not environment.get("AZURE_OPENAI_DEPLOYMENT", "").strip():
        problems.append("AZURE_OPENAI_DEPLOYMENT is not set: name the deployment of the video model.")
        return []
    # People paste what the portal shows, which may end in the common part of every path.
    endpoint = re.sub(r"/openai(/v1(/video/generations|/videos)?)?$", "", endpoint)
    if _is_azures(endpoint) and not re.fullmatch("https://[^/]+", endpoint, re.I):
        problems.append(
            "AZURE_OPENAI_ENDPOINT: a resource of Azure is named by https and its host alone, like "
            "https://my-resource.openai.azure.com. Leave the path out."
        )
    raw = {
        "name": "default",
        "dialect": dialect,
        "base_url": endpoint + paths[dialect],
        "model": environment["AZURE_OPENAI_DEPLOYMENT"].strip(),
        "api_key_setting": "AZURE_OPENAI_API_KEY" if environment.get("AZURE_OPENAI_API_KEY") else None,
        "auth": "api-key" if environment.get("AZURE_OPENAI_API_KEY") else None,
        "token_scope": environment.get("AZURE_OPENAI_TOKEN_SCOPE", "").strip() or DEFAULT_SCOPE,
        "running_limit": environment.get("VIDEO_RUNNING_LIMIT", "").strip() or None,
        "creates_per_minute": environment.get("VIDEO_CREATES_PER_MINUTE", "").strip() or None,
        "download_origins": re.split(r"[\s,]+", environment.get("VIDEO_DOWNLOAD_ORIGINS", "").strip())
        if environment.get("VIDEO_DOWNLOAD_ORIGINS", "").strip()
        else (),
    }
    names = {
        "running_limit": "VIDEO_RUNNING_LIMIT",
        "creates_per_minute": "VIDEO_CREATES_PER_MINUTE",
        "base_url": "AZURE_OPENAI_ENDPOINT",
        "model": "AZURE_OPENAI_DEPLOYMENT",
        "token_scope": "AZURE_OPENAI_TOKEN_SCOPE",
        "download_origins": "VIDEO_DOWNLOAD_ORIGINS",
    }
    try:
        return [BackendSettings.model_validate(raw)]
    except ValidationError as error:
        problems += [f"{names.get(str(e['loc'][0]), e['loc'][0])}: {_reason(e)}." for e in error.errors()]
        return []


def _is_azures(endpoint: str) -> bool:
    """The operator's own gateway may have a path, and may be called by http."""
    return bool(re.match(r"https?://[^/?#@]+\.azure\.(com|us|cn)(:[0-9]+)?(/|$)", endpoint, re.I))


def _providers(
    environment: Mapping[str, str], others: list[BackendSettings], problems: list[str]
) -> list[BackendSettings]:
    """A backend for each provider whose key is set, unless another backend takes that key or has its name."""
    taken = {each.api_key_setting for each in others} | {each.name for each in others}
    found = []
    for provider in PROVIDERS:
        if not environment.get(provider.key_setting, "").strip():
            continue
        if not taken.isdisjoint((provider.key_setting, provider.name)):
            continue
        raw = {
            "name": provider.name,
            "dialect": provider.name,
            "model": environment.get(provider.model_setting, "").strip() or None,
        }
        try:
            found.append(BackendSettings.model_validate(raw))
        except ValidationError as error:
            problems += [f"{provider.model_setting}: {_reason(e)}." for e in error.errors()]
    return found


def _listed_backends(text: str, problems: list[str]) -> list[BackendSettings]:
    try:
        entries = json.loads(text, object_pairs_hook=unrepeated)
    except (ValueError, RecursionError) as error:
        problems.append(
            f"VIDEO_BACKENDS is not JSON ({error}). It is a list of objects; see docs/reference/settings.md."
        )
        return []
    if not isinstance(entries, list) or not entries or not all(isinstance(e, dict) for e in entries):
        problems.append(
            "VIDEO_BACKENDS must be a list of objects, one for each backend; see docs/reference/settings.md."
        )
        return []
    found = []
    for position, entry in enumerate(entries):
        try:
            found.append(BackendSettings.model_validate(entry))
        except ValidationError as error:
            problems += [f"VIDEO_BACKENDS[{position}].{e['loc'][0]}: {_reason(e)}." for e in error.errors()]
    return found


# --- owners, and numbers -------------------------------------------------------------------------


def _owner_limits(environment: Mapping[str, str], problems: list[str]) -> OwnerLimits:
    at_once = _jobs(environment, "OWNER_JOBS_AT_ONCE", MOST_AT_ONCE, problems)
    return OwnerLimits(at_once, _jobs(environment, "OWNER_JOBS_PER_DAY", 1_000_000, problems))


def _jobs(environment: Mapping[str, str], name: str, high: int, problems: list[str]) -> int | None:
    """None for 0: no limit."""
    text = environment.get(name, "").strip() or "0"
    if not (re.fullmatch("[0-9]{1,7}", text) and int(text) <= high):
        problems.append(
            f"{name} is {_shown(text)}: it must be a whole number of jobs, from 1 to {high}, or 0 for no limit."
        )
        return None
    return int(text) or None


def _seconds(
    environment: Mapping[str, str], name: str, default: float, low: float, high: float, problems: list[str]
) -> float:
    return _number(environment, name, default, low, high, problems, "seconds")


def _number(
    environment: Mapping[str, str],
    name: str,
    default: float,
    low: float,
    high: float,
    problems: list[str],
    unit: str,
) -> float:
    text = environment.get(name, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        problems.append(
            f"{name} is {_shown(text)}: it must be a number of {unit}, from {low:.15g} to {high:.15g}."
        )
        return default
    return value


def _shown(text: str) -> str:
    """A number that can't be used. A longer text is not shown: it may be a key in the wrong place."""
    return f"'{text}'" if len(text) <= _LONGEST_NUMBER else "no number"


def _reason(error: Any) -> str:
    """What pydantic found, without repeating the value: it may be a secret in the wrong place."""
    return str(error["msg"]).removeprefix("Value error, ")
