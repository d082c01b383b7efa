"""xAI: the package `@ai-sdk/xai` 3.0.138 (npm), unmodified, and the app, each against the imitation.

xAI's own package for Python speaks gRPC, which is another wire.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from job_api.act import cancel_job
from local.azurite_process import find_node
from local.simulator.server import Simulator
from tests.pipeline import API_KEY
from tests.providers.provider_app import PROMPT, SECONDS, ProviderApp
from video_jobs.backends.providers import xai
from video_jobs.domain.backend_job import BackendState
from video_jobs.domain.cost import Cost
from video_jobs.domain.errors import InvalidRequest
from video_jobs.domain.job import Status

PACKAGE = Path(__file__).parent / "xai"


@pytest.fixture
def app(simulator: Simulator) -> ProviderApp:
    return ProviderApp(simulator, "xai")


def generated(simulator: Simulator, prompt: str, key: str = API_KEY) -> dict[str, Any]:
    """What the package makes of it."""
    assert (PACKAGE / "node_modules").exists(), (
        "make .venv/.dev-ready, or: npm ci --prefix tests/providers/xai"
    )
    script = [find_node(), "generate.mjs", f"{simulator.url}/v1", key, prompt]
    ran = subprocess.run(script, cwd=PACKAGE, capture_output=True, text=True, timeout=110)
    assert ran.returncode == 0, ran.stderr
    said: dict[str, Any] = json.loads(ran.stdout)
    return said


# --- the package, against the imitation ---


def test_the_package_creates_polls_and_downloads(simulator: Simulator) -> None:
    simulator.world.change({"speed": 50.0})
    made = generated(simulator, PROMPT)
    assert made["kind"] == "ftyp"
    assert made["told"]["costInUsdTicks"] == 2_000_000_000
    polls = [call["status"] for call in simulator.world.ledger.calls() if call["operation"] == "get"]
    assert polls[0] == 202
    assert polls[-1] == 200


def test_the_package_understands_a_blocked_video_and_a_failure(simulator: Simulator) -> None:
    simulator.world.change({"speed": 50.0})
    assert generated(simulator, f"{PROMPT} blocked-output")["name"] == "XAI_VIDEO_MODERATION_ERROR"
    assert generated(simulator, f"{PROMPT} internal-failure")["name"] == "XAI_VIDEO_GENERATION_FAILED"


def test_the_package_understands_the_refusals(simulator: Simulator) -> None:
    assert generated(simulator, PROMPT, key="wrong-key-1")["status"] == 401
    simulator.world.change({"out_of_credit": True})
    assert "credits" in generated(simulator, PROMPT)["message"]


# --- the app, against the same imitation ---


def test_the_job_keeps_what_it_cost(app: ProviderApp) -> None:
    assert app.run(app.ask()).cost == Cost(0.05 * SECONDS, "USD")


def test_what_xai_would_pass_over_is_refused_before_anything_is_paid(app: ProviderApp) -> None:
    for wrong in ({"size": "1280x704"}, {"seconds": 16}):
        with pytest.raises(InvalidRequest):
            app.ask(**wrong)
    assert not app.calls("create")


def test_a_video_without_a_status_is_done_and_a_blocked_one_has_failed() -> None:
    video = {"url": "https://files.example/1.mp4"}
    assert xai.API.state({"video": video}) is BackendState.SUCCEEDED
    blocked = {"status": "done", "video": {**video, "respect_moderation": False}}
    assert xai.API.state(blocked) is BackendState.FAILED


def test_a_running_job_can_not_be_cancelled_and_its_video_is_kept(app: ProviderApp) -> None:
    job = app.run_until(app.ask(), Status.QUEUED)
    cancel_job(app.services, job.owner, job.id)
    assert app.run(job).status is Status.SUCCEEDED


def test_a_task_that_expired_ends_the_job_as_expired(app: ProviderApp) -> None:
    job = app.run_until(app.ask(), Status.QUEUED)
    app.fault("get", replace_body={"status": "expired"}, times=-1)
    assert app.run(job).status is Status.EXPIRED
