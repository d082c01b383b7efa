"""Ends child processes for certain, with all processes that they have started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn


def end(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Send SIGTERM to the process's whole group, and SIGKILL if it has not ended after `seconds`.

    The process must lead its own group (`start_new_session`). The signal goes to the group, because `node` may be a
    wrapper that started the real one.
    """
    with uninterrupted():
        _signal_group(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        _signal_group(process, signal.SIGKILL)  # to processes of it that still run
        process.wait()


def stop_on_signals() -> None:
    """Let SIGTERM and the end of the terminal work like Ctrl-C, so that every `with` block ends properly."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Raise a Ctrl-C that comes during the block only at its end, for work that must not be interrupted.

    Such work is ending processes that we have started, and the moment between the start of a process and the note of
    its number.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are raised in the main thread only
        return
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda number, frame: came.append(number))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
