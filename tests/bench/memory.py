"""How much memory one transfer takes, whatever the video's length.

Measured in a process of its own, above what it holds when all is imported and warm.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.bench.report import say, table, verdict
from tests.bench.stack import running_stack

GOAL = 40.0  # MB
SIZES = {"20 MB": 20_000_000, "100 MB": 100_000_000, "1 GB": 1_000_000_000}
_WARM_UP = 100_000  # bytes

_STATUS = Path("/proc/self/status")


def run() -> None:
    if not _STATUS.exists():
        say("Memory: left out, since this system has no /proc to read it from")
        return
    say("Memory: one transfer in a fresh process, after a tiny one to warm up")
    rows, peaks = [], []
    with running_stack() as stack:
        warm_up = stack.api.make_video(_WARM_UP)
        for name, size in SIZES.items():
            video_id = stack.api.make_video(size)
            say(f"  {name} ...")
            done = subprocess.run(
                [sys.executable, "-m", "tests.bench.memory", warm_up, video_id],
                env={**os.environ, **stack.environment},
                check=True,
                capture_output=True,
                text=True,
            )
            idle, peak = map(float, done.stdout.split())
            peaks.append(peak - idle)
            rows.append([name, f"{idle:.1f} MB", f"{peak:.1f} MB", f"{peak - idle:.1f} MB"])
    table("Memory of one transfer (resident, peak)", ["", "idle", "peak", "above idle"], rows)
    say(f"  most above idle, MB: {verdict(max(peaks), f'≤ {GOAL:.0f}', max(peaks) <= GOAL)}")
    say(f"  most / least of the sizes: {max(peaks) / min(peaks):.2f}")


def measure(warm_up: str, video_id: str) -> tuple[float, float]:
    """The process's memory in MB, idle and at its peak."""
    import function_app  # noqa: F401 (the whole app is in memory when a function runs)
    from tests.bench.transfer import transfer
    from video_jobs.settings.app import Settings
    from video_jobs.wiring import build

    services = build(Settings.from_environment(os.environ))
    transfer(services, warm_up)
    # 5 sets the peak back to what is in use now: proc_pid_clear_refs(5).
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    idle = megabytes("VmRSS")
    transfer(services, video_id)
    return idle, megabytes("VmHWM")


def megabytes(field: str) -> float:
    lines = _STATUS.read_text(encoding="ascii").splitlines()
    line = next(line for line in lines if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024 / 1e6


if __name__ == "__main__":
    print(*measure(*sys.argv[1:]))
