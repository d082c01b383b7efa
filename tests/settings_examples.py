"""Settings that are right, and what is wrong with others."""

from __future__ import annotations

import json

import pytest

from video_jobs.backends.registry import Backends
from video_jobs.domain.errors import (
    InvalidSettings,
)
from video_jobs.settings.app import Settings

BACKENDS = Backends(
    Settings.from_environment(
        {
            "AzureWebJobsStorage": "UseDevelopmentStorage=true",
            "VIDEO_BACKENDS": json.dumps(
                [
                    {"name": name, "dialect": "openai-videos", "base_url": "http://x.invalid", "model": model}
                    for name, model in (("first", "wan"), ("second", "ltx"), ("wan", "hunyuan"))
                ]
            ),
        }
    )
)

KEY = "3f0c9a7be1d24568"

ACCOUNT_KEY = "c2VjcmV0LW9mLXRoZS1hY2NvdW50"

CONNECTION = f"DefaultEndpointsProtocol=https;AccountName=clips;AccountKey={ACCOUNT_KEY};EndpointSuffix=core.windows.net"

GOOD = {
    "AzureWebJobsStorage": CONNECTION,
    "AZURE_OPENAI_ENDPOINT": "https://clips.openai.azure.com",
    "AZURE_OPENAI_DEPLOYMENT": "sora",
    "AZURE_OPENAI_API_KEY": KEY,
}


def read(**changes: str | None) -> Settings:
    environment = {**GOOD, **changes}
    return Settings.from_environment({k: v for k, v in environment.items() if v is not None})


def problems_of(**changes: str | None) -> list[str]:
    with pytest.raises(InvalidSettings) as error:
        read(**changes)
    assert str(error.value) == " ".join(error.value.problems)
    return error.value.problems
