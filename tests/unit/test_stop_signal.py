"""A signal stops a process whatever its main thread is doing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MANY = """
import signal, sys
from local.stop_signal import StopSignal
for number in range(3_000):
    stop = StopSignal()
    signal.signal(signal.SIGALRM, lambda *_: stop.ask())
    signal.setitimer(signal.ITIMER_REAL, 0.000_001 * (1 + number % 200))
    stop.wait()
print("stopped each time")
"""


@pytest.mark.exhaustive
def test_a_signal_is_never_lost_in_the_step_in_which_it_comes() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", MANY], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert ended.stdout == "stopped each time\n", ended.stderr
