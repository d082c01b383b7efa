"""The app under Microsoft's own Python worker library, which Azure runs from Python 3.13 on."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.storage.queue import QueueServiceClient, TextBase64DecodePolicy

from local.azurite_process import Azurite
from local.simulator.server import Simulator
from tests.azure_worker import invoke, start, stop
from tests.pipeline import environment_for
from video_jobs import wiring
from video_jobs.settings.app import Settings

if sys.version_info < (3, 13):
    pytest.skip(
        "azure-functions-runtime needs Python 3.13; 'make test-runtime PYTHON=python3.13' runs these tests there",
        allow_module_level=True,
    )

from azure_functions_runtime.bindings.datumdef import Datum

ROOT = Path(__file__).resolve().parents[2]

BINDINGS = {
    "submit_job": ("httpTrigger", {"route": "jobs", "methods": ["POST"], "authLevel": "FUNCTION"}),
    "get_job": ("httpTrigger", {"route": "jobs/{id}", "methods": ["GET"], "authLevel": "FUNCTION"}),
    "list_jobs": ("httpTrigger", {"route": "jobs", "methods": ["GET"], "authLevel": "FUNCTION"}),
    "get_video": ("httpTrigger", {"route": "jobs/{id}/videos/{index}", "authLevel": "FUNCTION"}),
    "get_thumbnail": (
        "httpTrigger",
        {"route": "jobs/{id}/videos/{index}/thumbnail", "authLevel": "FUNCTION"},
    ),
    "get_input_image": ("httpTrigger", {"route": "jobs/{id}/image", "authLevel": "FUNCTION"}),
    "cancel_job": (
        "httpTrigger",
        {"route": "jobs/{id}/cancel", "methods": ["POST"], "authLevel": "FUNCTION"},
    ),
    "retry_job": ("httpTrigger", {"route": "jobs/{id}/retry", "methods": ["POST"], "authLevel": "FUNCTION"}),
    "repair_job": (
        "httpTrigger",
        {"route": "jobs/{id}/repair", "methods": ["POST"], "authLevel": "FUNCTION"},
    ),
    "send_webhook": (
        "httpTrigger",
        {"route": "jobs/{id}/webhook", "methods": ["POST"], "authLevel": "FUNCTION"},
    ),
    "delete_job": ("httpTrigger", {"route": "jobs/{id}", "methods": ["DELETE"], "authLevel": "FUNCTION"}),
    "import_job": ("httpTrigger", {"route": "jobs/import", "methods": ["POST"], "authLevel": "FUNCTION"}),
    "list_options": ("httpTrigger", {"route": "options", "methods": ["GET"], "authLevel": "FUNCTION"}),
    "health": ("httpTrigger", {"route": "health", "authLevel": "FUNCTION"}),
    "list_backends": ("httpTrigger", {"route": "backends", "methods": ["GET"], "authLevel": "ADMIN"}),
    "pause_backend": (
        "httpTrigger",
        {"route": "backends/{name}/pause", "methods": ["POST"], "authLevel": "ADMIN"},
    ),
    "resume_backend": (
        "httpTrigger",
        {"route": "backends/{name}/resume", "methods": ["POST"], "authLevel": "ADMIN"},
    ),
    "list_queues": ("httpTrigger", {"route": "operations/queues", "authLevel": "ADMIN"}),
    "list_live_jobs": ("httpTrigger", {"route": "operations/jobs", "authLevel": "ADMIN"}),
    "list_deliveries": ("httpTrigger", {"route": "operations/webhooks", "authLevel": "ADMIN"}),
    "repair_any_job": (
        "httpTrigger",
        {"route": "operations/jobs/{owner}/{job}/repair", "authLevel": "ADMIN"},
    ),
    "resend_any_webhook": (
        "httpTrigger",
        {"route": "operations/jobs/{owner}/{job}/webhook", "authLevel": "ADMIN"},
    ),
    "get_operations_page": ("httpTrigger", {"route": "studio/operations", "authLevel": "ANONYMOUS"}),
    "get_help_page": ("httpTrigger", {"route": "studio/help", "authLevel": "ANONYMOUS"}),
    "get_studio": ("httpTrigger", {"route": "studio", "methods": ["GET"], "authLevel": "ANONYMOUS"}),
    "get_studio_file": (
        "httpTrigger",
        {"route": "studio/{name}", "methods": ["GET"], "authLevel": "ANONYMOUS"},
    ),
    "create_video": ("httpTrigger", {"route": "v1/videos", "methods": ["POST"], "authLevel": "ANONYMOUS"}),
    "list_videos": ("httpTrigger", {"route": "v1/videos", "methods": ["GET"], "authLevel": "ANONYMOUS"}),
    "retrieve_video": (
        "httpTrigger",
        {"route": "v1/videos/{id}", "methods": ["GET"], "authLevel": "ANONYMOUS"},
    ),
    "retrieve_video_content": (
        "httpTrigger",
        {"route": "v1/videos/{id}/content", "methods": ["GET"], "authLevel": "ANONYMOUS"},
    ),
    "delete_video": (
        "httpTrigger",
        {"route": "v1/videos/{id}", "methods": ["DELETE"], "authLevel": "ANONYMOUS"},
    ),
    "list_models": ("httpTrigger", {"route": "v1/models", "methods": ["GET"], "authLevel": "ANONYMOUS"}),
    "unknown_openai_path": ("httpTrigger", {"route": "v1/{*path}", "authLevel": "ANONYMOUS"}),
    "get_openapi": ("httpTrigger", {"route": "openapi.json", "methods": ["GET"], "authLevel": "ANONYMOUS"}),
    "get_reference": ("httpTrigger", {"route": "reference", "authLevel": "ANONYMOUS"}),
    "get_reference_file": ("httpTrigger", {"route": "reference/{name}", "authLevel": "ANONYMOUS"}),
    "sweep_jobs": ("timerTrigger", {"schedule": "0 * * * * *"}),
    "apply_retention": ("timerTrigger", {"schedule": "0 7 * * * *"}),
    "poll_job": ("queueTrigger", {"queueName": "video-poll", "connection": "AzureWebJobsStorage"}),
    "fetch_video": ("queueTrigger", {"queueName": "video-fetch", "connection": "AzureWebJobsStorage"}),
    "notify_client": ("queueTrigger", {"queueName": "video-notify", "connection": "AzureWebJobsStorage"}),
}


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(api_key="sim-key", speed=30) as running:
        yield running


@pytest.fixture(scope="module")
def functions(azurite: Azurite, simulator: Simulator) -> Iterator[dict[str, Any]]:
    """The app as the worker has indexed it: function metadata by name."""
    with pytest.MonkeyPatch.context() as patch, wiring.use(None):
        for name in list(os.environ):
            if name.startswith(("AZURE_OPENAI_", "VIDEO_", "AzureWebJobsStorage")):
                patch.delenv(name)
        environment = environment_for(simulator, "azure-sora", AzureWebJobsStorage=azurite.connection_string)
        for name, value in environment.items():
            patch.setenv(name, value)
        wiring.build(Settings.from_environment(environment))
        yield start(ROOT)
        stop()


def call(function: Any, method: str, path: str, body: Any = None, **route: str) -> tuple[int, Any]:
    text = {name: Datum(value, "string") for name, value in route.items()}
    http = {
        "method": Datum(method, "string"),
        "url": Datum(f"http://localhost/api/{path}", "string"),
        "headers": {"content-type": Datum("application/json", "string")},
        "query": {},
        "params": text,
        "body": Datum(json.dumps(body).encode() if body is not None else b"", "bytes"),
    }
    result = invoke(function, "req", Datum(http, "http")).value
    return int(result["status_code"].value), json.loads(result["body"].value or b"null")


def test_every_function_is_indexed_with_its_bindings(functions: dict[str, Any]) -> None:
    seen = {}
    for name, function in functions.items():
        bindings = [json.loads(text) for text in function.raw_bindings]
        [trigger] = [b for b in bindings if b["type"].endswith("Trigger")]
        seen[name] = trigger
    assert seen.keys() == BINDINGS.keys()
    for name, (kind, expected) in BINDINGS.items():
        assert seen[name]["type"] == kind
        assert {key: seen[name][key] for key in expected} == expected


def test_a_job_is_submitted_polled_and_fetched(functions: dict[str, Any], azurite: Azurite) -> None:
    queues = QueueServiceClient.from_connection_string(azurite.connection_string)
    triggers = {
        queues.get_queue_client(name, message_decode_policy=TextBase64DecodePolicy()): functions[function]
        for name, function in (("video-poll", "poll_job"), ("video-fetch", "fetch_video"))
    }
    for queue in triggers:
        queue.clear_messages()
    body = {"prompt": "a paper boat", "size": "480x480", "seconds": 1}
    status, job = call(functions["submit_job"], "POST", "jobs", body)
    assert (status, job["status"]) == (202, "queued")
    deadline = time.monotonic() + 60
    while job["status"] not in ("succeeded", "failed", "expired"):
        assert time.monotonic() < deadline, job
        for queue, function in triggers.items():
            for message in queue.receive_messages(visibility_timeout=30):
                metadata = {
                    "Id": Datum(message.id, "string"),
                    "DequeueCount": Datum(str(message.dequeue_count), "string"),
                    "PopReceipt": Datum(message.pop_receipt, "string"),
                }
                invoke(function, "message", Datum(message.content, "string"), metadata)
                queue.delete_message(message)
        status, job = call(functions["get_job"], "GET", f"jobs/{job['id']}", id=job["id"])
        assert status == 200
    assert job["status"] == "succeeded", job["error"]
    assert job["videos"][0]["length"] > 1000


def test_a_problem_is_answered_as_a_problem(functions: dict[str, Any]) -> None:
    status, problem = call(functions["submit_job"], "POST", "jobs", {})
    assert (status, problem["errors"][0]["field"]) == (400, "prompt")
