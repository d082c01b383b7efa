"""The app with one provider as its only backend, on the simulator's imitation."""

from __future__ import annotations

import json
from typing import Any

from local.simulator.server import Simulator
from tests.pipeline import API_KEY, Pipeline
from video_jobs.settings.providers import PROVIDERS

PROMPT = "a paper boat"
SECONDS = 4


class ProviderApp(Pipeline):
    """`path`: what stands between the simulator's origin and the provider's paths. `key`: what the app is given."""

    def __init__(
        self, simulator: Simulator, provider_name: str, path: str, /, key: str = API_KEY, **backend: Any
    ) -> None:
        [provider] = [each for each in PROVIDERS if each.name == provider_name]
        entry = {
            "name": provider_name,
            "dialect": provider_name,
            "base_url": simulator.url + path,
            "model": provider.model,
            "api_key_setting": provider.key_setting,
            # Signed links lead to another origin, which here is no public one.
            "download_origins": [simulator.signed_origin],
            **backend,
        }
        environment = {"AZURE_OPENAI_ENDPOINT": "", provider.key_setting: key}
        super().__init__(simulator, provider_name, VIDEO_BACKENDS=json.dumps([entry]), **environment)

    def ask(self, **changes: Any) -> Any:
        return self.send({"prompt": PROMPT, "size": "1280x720", "seconds": SECONDS, **changes})
