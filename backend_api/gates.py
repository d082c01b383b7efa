"""What an operator sees of the gates, and does to them."""

from __future__ import annotations

from functools import partial
from typing import Any

from video_jobs import admission, gate
from video_jobs.errors import BackendNotFound
from video_jobs.gate import Gate
from video_jobs.job_view import time_text
from video_jobs.ports import LiveJob
from video_jobs.services import Services

_MOST_COUNTED = 1000
_END_OF_LINE = "~"  # a key after every live row's


def list_backends(services: Services) -> list[dict[str, Any]]:
    return [_view(services, services.gates.get(name).gate) for name in services.backends.names()]


def pause_backend(services: Services, name: str) -> dict[str, Any]:
    """Nothing new is submitted; what was submitted is polled and fetched. Raises BackendNotFound."""
    _refuse_unknown(services, name)
    paused = partial(gate.pause, now=services.clock())
    return _view(services, admission.call_next(services, name, paused))


def resume_backend(services: Services, name: str) -> dict[str, Any]:
    """Open the gate, whatever closed it, and call whoever waits. Raises BackendNotFound."""
    _refuse_unknown(services, name)
    return _view(services, admission.call_next(services, name, gate.resume))


def _refuse_unknown(services: Services, name: str) -> None:
    if name not in services.backends.names():
        raise BackendNotFound(name)


def _view(services: Services, found: Gate) -> dict[str, Any]:
    limits = services.backends.gate_limits(found.backend)
    closure = found.closure
    last = LiveJob(found.backend, _END_OF_LINE, "", "")
    return {
        "name": found.backend,
        "running": len(found.slots),
        "running_limit": limits.running,
        "creates_per_minute": limits.creates_per_minute,
        "waiting": services.live_jobs.ahead_of(last, _MOST_COUNTED),
        "paused_since": time_text(found.paused_since),
        "closed": closure
        and {"why": closure.why.value, "reason": closure.reason, "until": time_text(closure.until)},
    }
