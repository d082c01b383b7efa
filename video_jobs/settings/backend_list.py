"""Reads the backends and their keys from the environment: one by its own settings, several by `VIDEO_BACKENDS`, and one for each
provider whose key is set."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from video_jobs.domain.unrepeated import unrepeated
from video_jobs.settings.backends import DEFAULT_SCOPE, BackendSettings
from video_jobs.settings.providers import PROVIDERS


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
            elif not _is_key_alone(key, backend.api_key_setting) and not any(
                problem.startswith(backend.api_key_setting) for problem in problems
            ):
                problems.append(
                    f"{backend.api_key_setting} contains blanks or other characters that no API key has, or is an address. Copy "
                    f"it again: the key alone, without a word before it."
                )
            api_keys[backend.name] = key
    return api_keys


def _is_key_alone(key: str, setting: str) -> bool:
    is_line = key.startswith(f"{setting}=")  # of a file with settings
    return bool(re.fullmatch("[!-~]+", key)) and "://" not in key and not is_line


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


def _reason(error: Any) -> str:
    """What pydantic found, without repeating the value: it may be a secret in the wrong place."""
    return str(error["msg"]).removeprefix("Value error, ")
