"""Schemathesis finds no request that the running app answers otherwise than the contract says."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import requests

from job_api import wait
from local.azurite_process import Azurite
from local.function_host.host import FunctionHost
from local.simulator.server import Simulator
from tests.contract.fuzzing import KEYS, SETTINGS, fuzz
from tests.pipeline import API_KEY
from tests.whole_app import running_app


@pytest.fixture
def host(azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> Iterator[FunctionHost]:
    # Nothing that it may ask for takes longer than a moment, waiting included.
    monkeypatch.setattr("job_api.blueprint.read_wait", lambda text: wait.read_wait(text) / 1000)
    with (
        Simulator(api_key=API_KEY, speed=1000, running_limit=None) as simulator,
        running_app(azurite, simulator, KEYS, **SETTINGS) as running,
    ):
        yield running


# Half a minute of one core; on a machine that does much else besides, it takes its time.
@pytest.mark.exhaustive
@pytest.mark.timeout(400)
def test_schemathesis_finds_nothing(host: FunctionHost) -> None:
    run = fuzz(
        host.url, "--max-examples=1", "--generation-deterministic", "--continue-on-failure", timeout=380
    )
    assert run.returncode == 0, run.stdout
    generated = re.search(r"(\d+) generated", run.stdout)
    assert generated is not None, run.stdout
    assert int(generated[1]) > 200, run.stdout
    page = requests.get(f"{host.url}/api/jobs?code={KEYS.function}", timeout=10).json()
    assert page["jobs"], "it never came as far as a job"
