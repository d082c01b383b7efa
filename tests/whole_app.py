"""The whole app in this process: on the function host, Azurite and a simulated video API."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import azure.functions as func
import pytest

import function_app
from local.azurite_process import Azurite
from local.function_host.host import FunctionHost
from local.function_host.host_json import HostJson
from local.function_host.keys import AccessKeys
from local.simulator.server import Simulator
from tests.pipeline import environment_for
from video_jobs import wiring
from video_jobs.storage.connection import connect

ROOT = Path(__file__).resolve().parents[1]


def fresh_app() -> func.FunctionApp:
    """`function_app.app` once more: an app gives its functions once, to one host."""
    app = func.FunctionApp()
    for blueprint in function_app.blueprints:
        app.register_functions(blueprint)
    return app


@contextmanager
def running_app(
    azurite: Azurite, simulator: Simulator, keys: AccessKeys | None = None, **changes: str
) -> Iterator[FunctionHost]:
    """With the settings for the simulator and these changes; what other tests left in the queues is gone."""
    with pytest.MonkeyPatch.context() as patch, wiring.use(None):
        for name in list(os.environ):
            if name.startswith(("AZURE_OPENAI_", "OPENAI_", "VIDEO_", "AzureWebJobsStorage")):
                patch.delenv(name)
        environment = environment_for(
            simulator, "azure-sora", AzureWebJobsStorage=azurite.connection_string, **changes
        )
        for name, value in environment.items():
            patch.setenv(name, value)
        queues = connect(wiring.Settings.from_environment(environment).storage).queues
        for queue in queues.list_queues():
            queues.get_queue_client(queue.name).clear_messages()
        options = json.loads((ROOT / "host.json").read_text())
        # Between the tries of a message that fails lies half a minute, for which tests have no time.
        options["extensions"]["queues"]["visibilityTimeout"] = "00:00:00"
        with FunctionHost(fresh_app(), host_json=HostJson.parse(options), keys=keys) as host:
            yield host
