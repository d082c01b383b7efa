"""What azd would send starts under Microsoft's worker with the settings that infra/ gives it, and needs nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from doctor.infra import fixed_settings
from tests.packaging import ROOT, packed

if sys.version_info < (3, 13):
    pytest.skip(
        "azure-functions-runtime needs Python 3.13; 'make test-runtime PYTHON=python3.13' runs these tests there",
        allow_module_level=True,
    )

CLIENT = "00000000-0000-0000-0000-000000000001"
OF_THE_DEPLOYMENT = {
    "AzureWebJobsStorage__clientId": CLIENT,
    "AzureWebJobsStorage__accountName": "stexample",
    "AzureWebJobsStorage__blobServiceUri": "https://stexample.blob.core.windows.net/",
    "AzureWebJobsStorage__queueServiceUri": "https://stexample.queue.core.windows.net/",
    "AzureWebJobsStorage__tableServiceUri": "https://stexample.table.core.windows.net/",
    "AZURE_CLIENT_ID": CLIENT,
    "APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey=00000000-0000-0000-0000-000000000002",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": f"ClientId={CLIENT};Authorization=AAD",
    "AzureFunctionsJobHost__extensions__queues__batchSize": "6",
    "AzureFunctionsJobHost__extensions__queues__newBatchThreshold": "2",
}
OF_THE_PARAMETERS = {
    "AZURE_OPENAI_ENDPOINT": "https://example.openai.azure.com",
    "AZURE_OPENAI_DEPLOYMENT": "sora",
    "RETENTION_DAYS": "0",
}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packed(tmp_path_factory.mktemp("azd"))


@pytest.fixture(scope="module")
def started(package: Path) -> dict[str, Any]:
    fixed = {name: value or OF_THE_DEPLOYMENT[name] for name, value in fixed_settings().items()}
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(package),
        "WEBSITE_SITE_NAME": "func-example",
        "PYTHONDONTWRITEBYTECODE": "1",
        **fixed,
        **OF_THE_PARAMETERS,
    }
    return start(package, environment, "openapi.json", "studio")


def start(folder: Path, environment: dict[str, str], *paths: str) -> dict[str, Any]:
    ran = subprocess.run(
        [sys.executable, ROOT / "tests" / "azure_worker.py", *paths],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    answer: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return answer


def test_the_package_has_all_the_functions_of_the_app(started: dict[str, Any]) -> None:
    assert started["functions"] == start(ROOT, dict(os.environ))["functions"]


def test_what_needs_no_storage_is_answered(started: dict[str, Any]) -> None:
    for path, (status, length) in started["answers"].items():
        assert (path, status, length > 1000) == (path, 200, True)


def test_it_runs_from_the_package_and_from_nothing_else(started: dict[str, Any], package: Path) -> None:
    assert "function_app.py" in started["modules"]
    assert "video_jobs/settings/app.py" in started["modules"]
    assert {path.name for path in package.iterdir() if path.suffix} == {
        "function_app.py",
        "host.json",
        "requirements.txt",
    }


def test_the_worker_that_was_tried_is_the_one_that_is_installed(package: Path) -> None:
    wanted = (package / "requirements.txt").read_text(encoding="utf-8")
    assert (
        f"azure-functions-runtime=={version('azure-functions-runtime')} ; python_full_version >= '3.13'"
        in wanted
    )
