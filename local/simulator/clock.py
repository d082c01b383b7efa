"""Simulated time: starts at the real time, runs at its own speed, and can be moved ahead."""

import threading
import time


class Clock:
    """Thread-safe. `speed` is simulated seconds in a real one."""

    def __init__(self, speed: float = 1.0) -> None:
        self._lock = threading.Lock()
        self.restart(speed)

    def now(self) -> float:
        """Unix seconds of simulated time."""
        with self._lock:
            return self._now()

    def advance(self, seconds: float) -> None:
        """Jump `seconds` ahead, 0 or more. Time never runs backwards, since clients have already seen later states."""
        if seconds < 0:
            raise ValueError("the clock only goes forward")
        with self._lock:
            self._base = self._now() + seconds
            self._started = time.monotonic()

    def set_speed(self, speed: float) -> None:
        """Run at `speed` from this moment on."""
        with self._lock:
            self._base = self._now()
            self._started = time.monotonic()
            self._speed = speed

    def restart(self, speed: float) -> None:
        """Back to the real time."""
        with self._lock:
            self._base = time.time()
            self._started = time.monotonic()
            self._speed = speed

    def _now(self) -> float:
        return self._base + (time.monotonic() - self._started) * self._speed
