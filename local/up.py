"""`make up`: the whole stack until Ctrl-C, against the simulated video API or a real one."""

from __future__ import annotations

import argparse
import os
import sys

from local.azurite_process import AzuriteError
from local.stack import ROOT, Stack, StackError, stop_on_signals

SPEED = 4.0  # simulated seconds in a real one: a job of 40 s takes ten


def main() -> int:
    parser = argparse.ArgumentParser(prog="make up")
    parser.add_argument("--port", type=int, default=7071)
    port = parser.parse_args().port
    stop_on_signals()
    real = os.environ.get("AZURE_OPENAI_ENDPOINT", "").strip() or os.environ.get("VIDEO_BACKENDS", "").strip()
    dialect = None if real else os.environ.get("VIDEO_DIALECT", "").strip() or "azure-sora"
    try:
        print("==> starting everything", flush=True)
        with Stack(port=port, dialect=dialect, speed=SPEED, data_dir=ROOT / ".reelkeep" / "azurite") as stack:
            _explain(stack, real=dialect is None)
            stack.wait()
    except (StackError, AzuriteError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\n==> stopped", flush=True)
    return 0


def _explain(stack: Stack, *, real: bool) -> None:
    assert stack.host is not None
    if real:
        print("\n    The backend is the one that your environment names: what you submit is billed.")
    print(
        f"""
==> ready: {stack.api}/health

    submit    curl -s {stack.api}/jobs -H 'Content-Type: application/json' \\
                   -d '{{"prompt": "A paper boat sails down a rainy street"}}'
    status    curl -s {stack.api}/jobs/JOB_ID
    download  curl -sL {stack.api}/jobs/JOB_ID/videos/0 -o video.mp4

    Its log is {stack.host.log_path}. Ctrl-C stops everything.
""",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
