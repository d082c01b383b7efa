"""infra/ compiles without a warning, and each setting in it is one that the app or the host reads."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from doctor.environment import Environment
from doctor.settings_check import _runtime

ROOT = Path(__file__).resolve().parents[2]
COMPILER = ROOT.parent / "shared" / "azure" / "bicep"

HOST_READS = {
    "AzureWebJobsStorage__credential",
    "AzureWebJobsDisableHomepage",
    "AzureFunctionsJobHost__extensions__queues__batchSize",
    "AzureFunctionsJobHost__extensions__queues__newBatchThreshold",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "PYTHON_THREADPOOL_THREAD_COUNT",
    "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT",
    "AzureWebJobsStorage__clientId",
    "AzureWebJobsStorage__blobServiceUri",
    "AzureWebJobsStorage__queueServiceUri",
    "AzureWebJobsStorage__tableServiceUri",
}


def set_by_infra() -> set[str]:
    text = (ROOT / "infra" / "app.bicep").read_text(encoding="utf-8")
    block = text[text.index("resource settings ") :]
    block = block[block.index("union(") : block.index("appSettings\n")]
    return set(re.findall(r"^ +(\w+): ", block, re.MULTILINE))


def test_each_setting_of_infra_is_read_by_the_app_or_the_host() -> None:
    names = set_by_infra()
    assert "AZURE_CLIENT_ID" in names
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "video_jobs").rglob("*.py"))
    assert {name for name in names - HOST_READS if name not in code} == set()


def test_flex_gets_no_setting_that_it_rejects_and_storage_no_key() -> None:
    assert not set_by_infra() & {"FUNCTIONS_WORKER_RUNTIME", "AzureWebJobsStorage"}


@pytest.mark.skipif(not COMPILER.is_file(), reason="the Bicep compiler is not there")
@pytest.mark.parametrize("command", [("build", "--stdout"), ("lint",)])
def test_infra_compiles_without_a_warning(command: tuple[str, ...]) -> None:
    ran = subprocess.run(
        [COMPILER, *command, "--no-restore", ROOT / "infra" / "main.bicep"],
        env={**os.environ, "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    if command[0] == "build":
        assert json.loads(ran.stdout)["resources"]


@pytest.mark.parametrize(("sku", "demanded"), [("FlexConsumption", False), ("Dynamic", True)])
def test_the_doctor_demands_the_worker_runtime_everywhere_but_on_flex(sku: str, demanded: bool) -> None:
    environment = Environment({"WEBSITE_SITE_NAME": "app", "WEBSITE_SKU": sku}, frozenset(), ())
    said = [finding for finding in _runtime(environment) if "FUNCTIONS_WORKER_RUNTIME" in str(finding)]
    assert bool(said) == demanded
