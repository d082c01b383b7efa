"""`make up`: the whole stack until Ctrl-C, against the simulated video API or a real one."""

from __future__ import annotations

import argparse
import os
import sys

import requests

from local.azurite_process import AzuriteError
from local.processes import stop_on_signals
from local.stack import ROOT, SIMULATED, WEBHOOK_SETTINGS, Stack, StackError
from video_jobs.settings.providers import PROVIDERS

PACE = 4.0  # a job of 40 s takes ten


def main() -> int:
    parser = argparse.ArgumentParser(prog="make up")
    parser.add_argument("--port", type=int, default=7071)
    parser.add_argument("--lease-seconds", type=int, help="how long a killed host hides its messages")
    parser.add_argument("--function-key", help="what the app then asks for, as in Azure (nothing)")
    parser.add_argument("--master-key", help="the same, for what is for the operator too")
    options = parser.parse_args()
    port = options.port
    stop_on_signals()
    naming = ("AZURE_OPENAI_ENDPOINT", "VIDEO_BACKENDS", *(provider.key_setting for provider in PROVIDERS))
    real = any(os.environ.get(name, "").strip() for name in naming)
    dialect = None if real else os.environ.get("VIDEO_DIALECT", "").strip() or "azure-sora"
    if dialect is not None and dialect not in SIMULATED:
        print(f"VIDEO_DIALECT is '{dialect}': it must be {' or '.join(SIMULATED)}.", file=sys.stderr)
        return 1
    try:
        print("==> starting everything", flush=True)
        # A fixed port for the simulated API too: jobs of an earlier run expect it at the same address.
        with Stack(
            dialect=dialect,
            port=port,
            simulator_port=port + 1,
            pace=PACE,
            folder=ROOT / ".reelkeep",
            lease=options.lease_seconds,
            function_key=options.function_key,
            master_key=options.master_key,
        ) as stack:
            _refuse_unhealthy(stack, options.function_key or options.master_key)
            _explain(stack, real=dialect is None, key=options.function_key or options.master_key)
            stack.wait()
    except (StackError, AzuriteError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\n==> stopped", flush=True)
    return 0


def _refuse_unhealthy(stack: Stack, key: str | None) -> None:
    """Raises StackError, whose message says what is wrong with the settings."""
    session = requests.Session()
    session.trust_env = False
    answer = session.get(f"{stack.api}/health", headers={"x-functions-key": key} if key else {}, timeout=60)
    if answer.status_code != 200:
        raise StackError("The app can't work like this:\n  " + "\n  ".join(answer.json()["reasons"]))


def _explain(stack: Stack, *, real: bool, key: str | None) -> None:
    assert stack.host is not None
    if real:
        print("\n    The backend is the one that your environment names: what you submit is billed.")
    # Only the setting's name is printed, not the value: terminal output is often kept.
    header = ' -H "x-functions-key: $KEY"' if key else ""
    simulator = (
        "" if stack.simulator is None else f"\n    The simulated video API is at {stack.simulator.url}."
    )
    print(
        f"""
==> ready: {stack.api}/studio
           {stack.api}/reference (the API), {stack.api}/studio/operations (for the operator)
{"    KEY is the key that you gave: KEY=…" if key else ""}
    submit    curl -s {stack.api}/jobs{header} -H 'Content-Type: application/json' \\
                   -d '{{"prompt": "A paper boat sails down a rainy street"}}'
    status    curl -s {stack.api}/jobs/JOB_ID{header}
    be told   -d '{{"prompt": "…", "webhook_url": "http://localhost:9000/hooks"}}', signed with
              {os.environ.get("WEBHOOK_SECRETS") or WEBHOOK_SETTINGS["WEBHOOK_SECRETS"]}
    download  curl -sL {stack.api}/jobs/JOB_ID/videos/0{header} -o video.mp4
{simulator}
    The app's log is {stack.host.log}. Ctrl-C stops everything.
""",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
