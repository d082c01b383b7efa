"""The app with one provider as its only backend, on the simulator's imitation."""

from __future__ import annotations

import base64
import io
import json
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

from backend_api.gates import list_backends
from local.simulator.server import Simulator
from tests.pipeline import API_KEY, Pipeline
from video_jobs.domain.gate import ClosureReason
from video_jobs.domain.job import Status
from video_jobs.settings.providers import PROVIDERS

PROMPT = "a paper boat"
SECONDS = 4


def picture() -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (1280, 720), "navy").save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


class ProviderApp(Pipeline):
    """`key`: what the app is given. `backend`: further settings of the backend."""

    def __init__(
        self, simulator: Simulator, provider_name: str, /, key: str = API_KEY, **backend: Any
    ) -> None:
        [provider] = [each for each in PROVIDERS if each.name == provider_name]
        entry = {
            "name": provider_name,
            "dialect": provider_name,
            "base_url": simulator.url + urlsplit(provider.base_url).path,
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

    def closes_for(self, why: ClosureReason) -> None:
        """Asserts that a create leaves the job waiting behind the gate, and costs nothing."""
        job = self.ask()
        self.deliver(self.take_next())
        assert self.job(job).status is Status.WAITING
        [backend] = list_backends(self.services)
        assert backend["closed"] is not None
        assert backend["closed"]["why"] == why
        assert self.backend_jobs() == 0
