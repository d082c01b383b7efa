"""Schemathesis against a running app: it reads the contract and looks for a request that breaks it.

python -m tests.contract.fuzzing [--max-examples N] [--seed N]
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from local.azurite_process import Azurite
from local.function_host.keys import AccessKeys
from local.simulator.server import Simulator
from tests.pipeline import API_KEY
from tests.whole_app import running_app

KEYS = AccessKeys(function="the-function-key", master="the-master-key")
SETTINGS = {"VIDEO_RUNNING_LIMIT": "0", "OPENAI_COMPAT_API_KEYS": "fuzzing:the-key-of-the-openai-api-itself"}
"""The keys of all apis are asked for, and stand in schemathesis.toml."""

_CONFIG = Path(__file__).parent / "schemathesis.toml"


def fuzz(url: str, *options: str, timeout: float | None = None) -> subprocess.CompletedProcess[str]:
    """One run against the app at this address; what it found stands in the output."""
    command = Path(sys.executable).parent / "schemathesis"
    with tempfile.TemporaryDirectory(prefix="reelkeep-fuzzing-") as folder:  # it leaves notes where it runs
        return subprocess.run(
            [
                command,
                "--config-file",
                _CONFIG,
                "run",
                f"{url}/api/openapi.json",
                "--max-redirects=0",
                *options,
            ],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzz the whole app by its contract.")
    parser.add_argument("--max-examples", type=int, default=200, help="of each operation (200)")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32), help="to repeat a run")
    asked = parser.parse_args()
    with (
        Azurite() as azurite,
        Simulator(api_key=API_KEY, speed=1000, running_limit=None) as simulator,
        running_app(azurite, simulator, KEYS, **SETTINGS) as host,
    ):
        run = fuzz(host.url, f"--max-examples={asked.max_examples}", f"--seed={asked.seed}")
    print(run.stdout)
    return run.returncode


if __name__ == "__main__":
    sys.exit(main())
