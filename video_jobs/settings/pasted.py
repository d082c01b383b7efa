"""Finds settings that were pasted badly, before anything is read from them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from video_jobs.settings.providers import PROVIDERS

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


def badly_pasted(environment: Mapping[str, str]) -> list[str]:
    """Characters that were pasted along with a value and belong to no setting."""
    problems = []
    for name, value in _ours(environment):
        text = value.strip()
        if text[:1] in _QUOTES and text[-1:] in _QUOTES and text:
            problems.append(f"{name} has quotes around it. Copy it again, without them.")
        elif _INVISIBLE.search(value):
            problems.append(f"{name} holds an invisible character. Copy it again, from plain text.")
    return problems


def unresolved(environment: Mapping[str, str]) -> list[str]:
    """Settings that still contain a Key Vault reference instead of the secret. If such a text counted as a key, anybody who knows
    the format of references could call the app."""
    return [
        f"{name} is a reference that Azure could not resolve. Check what it names, and that the app's identity may read "
        f"it (role Key Vault Secrets User)."
        for name, value in _ours(environment)
        if any(reference.lower() in value.lower() for reference in _REFERENCES)
    ]
