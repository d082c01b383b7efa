"""Child processes that are ended for certain, with all that they have started themselves."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn


def end(process: subprocess.Popen[bytes], seconds: float) -> None:
    """SIGTERM to the process's whole group, and SIGKILL when it has not ended after `seconds`.

    The process must lead a group of its own (`start_new_session`). The group, because what is called node may
    be a wrapper that started the real one.
    """
    _signal_group(process, signal.SIGTERM)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        pass
    finally:
        kill(process)
        process.wait()


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to the whole group, to what is left of it."""
    _signal_group(process, signal.SIGKILL)


def stop_on_signals() -> None:
    """Let SIGTERM, and the end of the terminal, end us as Ctrl-C does: through every `with`."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)


@contextlib.contextmanager
def no_interruption() -> Iterator[None]:
    """An impatient second Ctrl-C must not keep us from ending what we have started."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
