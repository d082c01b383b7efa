"""The twin of `storage/gates.py`."""

from __future__ import annotations

import threading

from video_jobs.domain.errors import Conflict
from video_jobs.domain.gate import Gate
from video_jobs.ports import StoredGate


class MemoryGates:
    """See `ports.Gates`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._writes = 0
        self._etags: dict[str, str] = {}
        self.gates: dict[str, Gate] = {}

    def get(self, backend: str) -> StoredGate:
        with self._lock:
            return StoredGate(self.gates.get(backend, Gate(backend)), self._etags.get(backend))

    def save(self, stored: StoredGate, gate: Gate) -> StoredGate:
        with self._lock:
            if self._etags.get(gate.backend) != stored.etag:
                raise Conflict(f"the gate of {gate.backend} was changed by somebody else")
            self._writes += 1
            self.gates[gate.backend] = gate
            self._etags[gate.backend] = str(self._writes)
            return StoredGate(gate, self._etags[gate.backend])

    def all(self) -> list[Gate]:
        with self._lock:
            return [self.gates[backend] for backend in sorted(self.gates)]
