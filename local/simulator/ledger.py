"""The simulator's calls, one by one, for tests that count them."""

import threading
from collections import deque
from dataclasses import asdict, dataclass

_KEPT = 20_000


@dataclass(frozen=True)
class Call:
    """One request, without headers and query, since those may contain secrets.

    n: int, counted from 1
    at: float, simulated unix seconds of its arrival
    status: int | None, None when the connection was closed without an answer
    fault: bool, whether a fault changed it
    """

    n: int
    at: float
    dialect: str | None
    operation: str
    method: str
    path: str
    status: int | None
    job_id: str | None
    fault: bool


class Ledger:
    """The latest calls. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: deque[Call] = deque(maxlen=_KEPT)
        self._count = 0

    def add(
        self,
        *,
        at: float,
        dialect: str | None,
        operation: str,
        method: str,
        path: str,
        status: int | None,
        job_id: str | None,
        fault: bool,
    ) -> None:
        """Write down one call."""
        with self._lock:
            self._count += 1
            self._calls.append(Call(self._count, at, dialect, operation, method, path, status, job_id, fault))

    def calls(self) -> list[dict[str, object]]:
        """The calls, oldest first, ready for JSON."""
        with self._lock:
            return [asdict(call) for call in self._calls]

    def clear(self) -> None:
        """Forget all calls and count from 1 again."""
        with self._lock:
            self._calls.clear()
            self._count = 0
