"""A job's progress: on a terminal one line that is overwritten, elsewhere a line for each change."""

from __future__ import annotations

import shutil
import sys
import time
from typing import Self

_BAR = 24
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class ProgressLine:
    def __init__(self) -> None:
        self._started = time.monotonic()
        self._path: list[str] = []
        self._live = sys.stdout.isatty()
        self._drawn = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._live and self._path:
            print(flush=True)

    def show(self, status: str, percent: int | None) -> None:
        """`percent` is None if the video API tells none."""
        changed = not self._path or self._path[-1] != status
        if changed:
            self._path.append(status)
        seconds = time.monotonic() - self._started
        if self._live:
            self._drawn += 1
            line = f"    {self._bar(status, percent)} {seconds:5.1f} s  "
            # A wrapped line could not be overwritten.
            room = shutil.get_terminal_size().columns - len(line) - 1
            way = " → ".join(self._path)
            shown = way if len(way) <= room else f"… → {status}"
            print(f"\r\x1b[K{line}{shown}", end="", flush=True)
        elif changed:
            print(f"    {seconds:5.1f} s  {status}", flush=True)

    def _bar(self, status: str, percent: int | None) -> str:
        if percent is None:
            return f"{_SPINNER[self._drawn % len(_SPINNER)]} {'·' * _BAR}     "
        filled = _BAR * percent // 100
        sign = "✓" if status == "succeeded" else _SPINNER[self._drawn % len(_SPINNER)]
        return f"{sign} {'█' * filled}{'·' * (_BAR - filled)} {percent:3d}%"
