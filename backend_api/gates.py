"""The gates for an operator: list, pause, resume."""

from __future__ import annotations

from functools import partial

from pydantic import with_config
from typing_extensions import TypedDict

from video_jobs.domain import gate
from video_jobs.domain.errors import BackendNotFound
from video_jobs.domain.gate import Closure, ClosureReason, Gate
from video_jobs.domain.gate_state import GateState, state_of
from video_jobs.domain.job import Status
from video_jobs.lifecycle import admission
from video_jobs.lifecycle.slot_holders import Holder, holders
from video_jobs.ports import LiveJob
from video_jobs.services import Services
from video_jobs.views.job_schema import Time
from video_jobs.views.job_view import time_text

_MOST_COUNTED = 1000
_MOST_SLOTS = 20  # each costs a read of its row
_END_OF_LINE = "~"  # a key after every live row's


_documented = with_config(use_attribute_docstrings=True)


@_documented
class ClosureView(TypedDict):
    """Why a gate is closed."""

    why: ClosureReason
    reason: str
    until: Time | None
    """When one job is submitted to test the video API."""


@_documented
class SlotView(TypedDict):
    """A slot that is taken."""

    job_id: str
    owner: str
    status: Status | None
    """Null if the job can't be read."""
    since: Time
    free_at: Time | None
    """When it is likely to be free."""
    unconfirmed: bool
    """Whether the paid call got no answer, so that the app is still finding out its outcome."""


@_documented
class GateView(TypedDict):
    """A backend's gate."""

    name: str
    running: int
    """Jobs that the video API works on."""
    running_limit: int | None
    creates_per_minute: int | None
    waiting: int
    """Jobs in line, counted up to 1000."""
    paused_since: Time | None
    """The operator paused it: nothing new is submitted."""
    closed: ClosureView | None
    state: GateState
    """One word, as in `GET /options`."""
    slots: list[SlotView]
    """The slots that are taken, oldest first; twenty at most."""


@_documented
class GatesView(TypedDict):
    """All backends of the settings."""

    backends: list[GateView]


def list_backends(services: Services) -> list[GateView]:
    return [_view(services, admission.gate_to_show(services, name)) for name in services.backends.names()]


def pause_backend(services: Services, name: str) -> GateView:
    """Submit nothing new; submitted jobs are polled and fetched as usual. Raises BackendNotFound."""
    _refuse_unknown(services, name)
    paused = partial(gate.pause, now=services.clock())
    return _view(services, admission.call_next(services, name, paused))


def resume_backend(services: Services, name: str) -> GateView:
    """Open the gate, whatever closed it, and call the waiting jobs. Raises BackendNotFound."""
    _refuse_unknown(services, name)
    return _view(services, admission.call_next(services, name, gate.resume))


def _refuse_unknown(services: Services, name: str) -> None:
    if name not in services.backends.names():
        raise BackendNotFound(name)


def _view(services: Services, found: Gate) -> GateView:
    limits = services.backends.gate_limits(found.backend)
    last = LiveJob(found.backend, _END_OF_LINE, "", "")
    return {
        "name": found.backend,
        "running": len(found.slots),
        "running_limit": limits.running,
        "creates_per_minute": limits.creates_per_minute,
        "waiting": services.live_jobs.ahead_of(last, _MOST_COUNTED),
        "paused_since": time_text(found.paused_since),
        "closed": _closure(found.closure),
        "state": state_of(found, limits, services.clock()),
        "slots": [_slot(each) for each in holders(services, found, None, _MOST_SLOTS)],
    }


def _slot(holder: Holder) -> SlotView:
    return {
        "job_id": holder.slot.job_id,
        "owner": holder.slot.owner,
        "status": holder.status,
        "since": time_text(holder.slot.taken_at) or "",
        "free_at": time_text(holder.free_at),
        "unconfirmed": holder.is_unconfirmed,
    }


def _closure(closure: Closure | None) -> ClosureView | None:
    if closure is None:
        return None
    return {"why": closure.why, "reason": closure.reason, "until": time_text(closure.until)}
