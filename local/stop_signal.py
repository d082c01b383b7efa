"""A wish to stop that a signal's handler may state at any moment."""

from __future__ import annotations

from queue import Empty, SimpleQueue

_STEP = 1.0  # seconds


class StopSignal:
    """Waits until somebody asks to stop.

    A `threading.Event` is not fit for that: Python runs the handler in the main thread, between two steps of `wait`, and
    `set` then waits for ever for the lock that `wait` holds. `SimpleQueue.put` is made for handlers.
    """

    def __init__(self) -> None:
        self._asked: SimpleQueue[None] = SimpleQueue()

    def ask(self) -> None:
        self._asked.put(None)

    @property
    def is_asked(self) -> bool:
        return not self._asked.empty()

    def wait(self) -> None:
        """Return once somebody has asked. To be called once."""
        while True:
            # In short steps: the handler of a signal that comes just before a step begins runs only after it.
            try:
                return self._asked.get(timeout=_STEP)
            except Empty:
                continue
