"""The settings of one video API: its address, its dialect, and its deviations."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from video_jobs.domain.gate import GateLimits
from video_jobs.net.web_address import read_address
from video_jobs.settings.providers import PROVIDERS

Dialect = Literal[
    "azure-sora", "openai-videos", "openrouter", "runway", "replicate", "fal", "xai", "gemini", "byteplus"
]

DEFAULT_SCOPE = "https://cognitiveservices.azure.com/.default"
# Azure runs two jobs at once for a resource; other servers have their own limits, and say 429.
_AT_ONCE: dict[Dialect, int] = {"azure-sora": 2}


def _size(text: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]{1,4}x[1-9][0-9]{1,4}", text):
        raise ValueError("a size is written WIDTHxHEIGHT, like 1280x720")
    return text


def base_url(text: str) -> str:
    """In one spelling: claims are kept by it, and a job must be found by whoever claims it, however the host is written."""
    wrong = ValueError("it must be a full URL, like https://my-resource.openai.azure.com")
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise wrong from None  # its own words repeat the URL, credentials and all
    if not usable or re.search(r"\s", text):
        raise wrong
    if parts.query or parts.fragment or parts.username or parts.password:
        raise ValueError("it must hold no query, fragment or credentials")
    try:
        address = read_address(text)  # as the HTTP library reads it
    except ValueError:
        raise wrong from None
    if not re.fullmatch(r"[a-z0-9._-]+|[0-9a-f:.]+", address.host) or parts.path.startswith("//"):
        raise wrong
    return f"{address.scheme}://{address.netloc}{parts.path}".rstrip("/")


def _token_scope(text: str) -> str:
    if not re.fullmatch(r"[!-~]+", text.strip()):
        raise ValueError(f"it must be one scope without white space, like {DEFAULT_SCOPE}")
    return text.strip()


def _setting_name(text: str) -> str:
    if not re.fullmatch(r"[A-Z][A-Z0-9_]{0,63}", text):
        raise ValueError(
            "it must be the name of another app setting, in capitals, like OPENAI_API_KEY: never the key itself"
        )
    return text


def _origin(text: str) -> str:
    try:
        address = read_address(text)
    except ValueError as error:
        raise ValueError(f"it must be an origin, like https://files.example.internal: {error}") from None
    if address.target != "/":
        raise ValueError("it must be an origin without a path, like https://files.example.internal")
    return text.rstrip("/")


class BackendSettings(BaseModel):
    """One video API: its address, its dialect, and its deviations.

    The API key itself is never in here: `api_key_setting` names the app setting that holds it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    dialect: Dialect
    #: Everything before `/jobs` (azure-sora) or `/videos` (openai-videos, openrouter).
    base_url: Annotated[str, AfterValidator(base_url)]
    #: The deployment's name at Azure, the model's elsewhere.
    model: str = Field(min_length=1, max_length=200)
    #: Others that a request may name beside it; a provider that tells its models needs none.
    models: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = Field(
        default=(), max_length=100
    )
    #: Name of the app setting with the key; without it an Entra identity signs in.
    api_key_setting: Annotated[str, AfterValidator(_setting_name)] | None = None
    #: How the key is sent; azure-sora's default is api-key, openai-videos' is bearer. "none": not at all,
    #: nor does an identity sign in, as for a server of one's own.
    auth: Literal["api-key", "bearer", "none"] | None = None
    token_scope: Annotated[str, AfterValidator(_token_scope)] = DEFAULT_SCOPE
    #: How openai-videos' create without an image is sent. Most take both; older SGLang wants json, vLLM-Omni
    #: multipart. One with an image is always multipart.
    body: Literal["json", "multipart"] = "multipart"
    #: What openai-videos' model makes, if that isn't OpenAI's list; "any" leaves it to the server.
    sizes: tuple[Annotated[str, AfterValidator(_size)], ...] | Literal["any"] | None = None
    seconds: tuple[Annotated[int, Field(ge=1, le=3600)], ...] | Literal["any"] | None = None
    #: How long the backend keeps a job, if its answers don't say.
    retention_hours: float = Field(default=24, gt=0, le=24 * 365)
    #: Jobs that it works on at once, and creates that it takes in a minute; 0: no limit.
    #: azure-sora's default is two at once.
    running_limit: int | None = Field(default=None, ge=0, le=1000)
    creates_per_minute: int | None = Field(default=None, ge=0, le=1000)
    #: Private origins from which its videos may be fetched, such as a gateway's own store.
    download_origins: tuple[Annotated[str, AfterValidator(_origin)], ...] = Field(default=(), max_length=20)

    @model_validator(mode="before")
    @classmethod
    def _of_the_provider(cls, entry: Any) -> Any:
        """A provider's name is enough: the address of its API, and the setting of its key, are known. An Entra token
        must never be sent there."""
        for provider in PROVIDERS:
            if isinstance(entry, dict) and entry.get("dialect") == provider.name:
                known: dict[str, Any] = {
                    "base_url": provider.base_url,
                    "model": provider.model,
                    "models": provider.models,
                    "retention_hours": provider.retention_hours,
                }
                if entry.get("auth") != "none":
                    known["api_key_setting"] = provider.key_setting
                return known | {name: value for name, value in entry.items() if value is not None}
        return entry

    @property
    def trusted_origins(self) -> list[tuple[str, str, int]]:
        return [read_address(text).origin for text in self.download_origins]

    @property
    def retention(self) -> timedelta:
        return timedelta(hours=self.retention_hours)

    @property
    def gate_limits(self) -> GateLimits:
        running = _AT_ONCE.get(self.dialect, 0) if self.running_limit is None else self.running_limit
        return GateLimits(running or None, self.creates_per_minute or None)
