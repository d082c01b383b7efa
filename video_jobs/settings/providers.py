"""The providers for which an API key is enough: the address of each API, and its default model."""

from __future__ import annotations

from typing import NamedTuple


class ProviderDefaults(NamedTuple):
    """`key_setting`: the provider's own usual name for its API key. `model_setting`: names another model."""

    name: str  #: the dialect's, and the backend's
    key_setting: str
    model_setting: str
    base_url: str
    model: str
    #: Others that a request may name; none if the provider lists its models itself.
    models: tuple[str, ...] = ()
    #: How long a video can be fetched after it is made: as long as its address works, or a poll gives a new one.
    retention_hours: float = 24


PROVIDERS = (
    ProviderDefaults(
        name="openrouter",
        key_setting="OPENROUTER_API_KEY",
        model_setting="OPENROUTER_VIDEO_MODEL",
        base_url="https://openrouter.ai/api/v1",
        model="google/veo-3.1",
    ),
    ProviderDefaults(
        name="runway",
        key_setting="RUNWAYML_API_SECRET",
        model_setting="RUNWAY_VIDEO_MODEL",
        base_url="https://api.dev.runwayml.com/v1",
        model="gen4.5",
        models=("gen4_turbo", "veo3.1", "veo3.1_fast", "seedance2_5"),
    ),
    ProviderDefaults(
        name="replicate",
        key_setting="REPLICATE_API_TOKEN",
        model_setting="REPLICATE_VIDEO_MODEL",
        base_url="https://api.replicate.com/v1",
        model="google/veo-3.1-fast",
        retention_hours=1,
    ),
    ProviderDefaults(
        name="fal",
        key_setting="FAL_KEY",
        model_setting="FAL_VIDEO_MODEL",
        base_url="https://queue.fal.run",
        model="fal-ai/veo3.1/fast",
        retention_hours=168,
    ),
    ProviderDefaults(
        name="xai",
        key_setting="XAI_API_KEY",
        model_setting="XAI_VIDEO_MODEL",
        base_url="https://api.x.ai/v1",
        model="grok-imagine-video-1.5",
    ),
    ProviderDefaults(
        name="gemini",
        key_setting="GEMINI_API_KEY",
        model_setting="GEMINI_VIDEO_MODEL",
        base_url="https://generativelanguage.googleapis.com/v1",
        model="gemini-omni-1.2-flash",
        retention_hours=48,
    ),
    ProviderDefaults(
        name="byteplus",
        key_setting="ARK_API_KEY",
        model_setting="ARK_VIDEO_MODEL",
        base_url="https://ark.ap-southeast.bytepluses.com/api/v3",
        model="dreamina-seedance-2-5-260628",
    ),
)
