"""When the models and APIs of these dialects end, and when somebody looked it up."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from doctor.findings import Finding, right, warning, wrong
from video_jobs.settings.backends import BackendSettings

LOOKED_UP = "November 2026"

WHAT_NOW = (
    "The protocol lives on in servers of your own (vLLM-Omni, SGLang) and in gateways to other models (LiteLLM and "
    "others): add one to VIDEO_BACKENDS with the dialect openai-videos. docs/reference/settings.md has what to set."
)

_AZURE_HOSTS = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")


@dataclass(frozen=True)
class Retirement:
    what: str
    ends: datetime


_SORA_1 = Retirement("Azure's model sora", datetime(2026, 2, 28, tzinfo=UTC))
_SORA_2 = Retirement("Azure's model sora-2", datetime(2026, 10, 15, tzinfo=UTC))
_OPENAI = Retirement("OpenAI's videos API, with all its models,", datetime(2026, 9, 24, tzinfo=UTC))


def is_azure(base_url: str) -> bool:
    return (urlsplit(base_url).hostname or "").endswith(_AZURE_HOSTS)


def known_retirement(backend: BackendSettings) -> Retirement | None:
    """Found by host and dialect: a deployment may have any name, and each dialect had one model at Azure."""
    if urlsplit(backend.base_url).hostname == "api.openai.com":
        return _OPENAI
    if is_azure(backend.base_url):
        return _SORA_1 if backend.dialect == "azure-sora" else _SORA_2
    return None


def check_retirement(
    backend: BackendSettings, models: Mapping[str, Any] | None, model: str | None, now: datetime
) -> Iterator[Finding]:
    """The resource's own answer about its models counts more than what is known in general.

    Args:
        models: the body of Azure's list of models, if it could be read.
        model: the deployment's model, if known.
    """
    told = _told(models, model or ("sora" if backend.dialect == "azure-sora" else "sora-2"))
    if told is not None:
        if told <= now:
            words = f"the resource says that the model has been retired since {told:%Y-%m-%d}."
            yield wrong("retirement", words, WHAT_NOW)
        else:
            yield right("retirement", f"the resource says that the model is served until {told:%Y-%m-%d}")
        return
    known = list(check_known_end(backend, now))
    yield from known or [right("retirement", f"nothing is known of an end (looked up in {LOOKED_UP})")]


def check_known_end(backend: BackendSettings, now: datetime) -> Iterator[Finding]:
    """What is known without a request. It may explain why nothing answers any more; empty if nothing is known."""
    known = known_retirement(backend)
    if known is None:
        return
    over = known.ends <= now
    words = (
        f"{known.what} {'has been' if over else 'is'} announced to end on {known.ends:%Y-%m-%d} (looked up in "
        f"{LOOKED_UP}){': creates answer 410 or 404 from then on' if over else ''}."
    )
    yield warning("retirement", words, WHAT_NOW)


def _told(models: Mapping[str, Any] | None, model: str) -> datetime | None:
    """The end of the model's last version that Azure lists, or None."""
    entries = (models or {}).get("data")
    ends = []
    for entry in entries if isinstance(entries, list) else []:
        named = entry.get("id") if isinstance(entry, dict) else None
        if isinstance(named, str) and re.fullmatch(rf"{re.escape(model)}(-\d{{4}}-\d\d-\d\d)?", named):
            deprecation = entry.get("deprecation")
            at = deprecation.get("inference") if isinstance(deprecation, dict) else None
            if isinstance(at, int) and 0 < at < 4_000_000_000:
                ends.append(datetime.fromtimestamp(at, UTC))
    return max(ends, default=None)
