"""Child processes that are ended for certain, with all that they have started themselves."""

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
    """SIGTERM to the process's whole group, and SIGKILL when it has not ended after `seconds`.

    The process must lead a group of its own (`start_new_session`). The group, because what is called node may
    be a wrapper that started the real one.
    """
    with uninterrupted():
        _signal_group(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        _signal_group(process, signal.SIGKILL)  # to what is left of it
        process.wait()


def stop_on_signals() -> None:
    """Let SIGTERM, and the end of the terminal, end us as Ctrl-C does: through every `with`."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """A Ctrl-C that comes meanwhile is raised at the end: for what must not be left half done.

    That is the ending of what we have started, and the moment between the start of a process and the noting
    that there is one.
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
