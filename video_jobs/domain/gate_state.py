"""The state of a gate, in one word and one sentence, for people. Pure."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from video_jobs.domain.gate import ClosureReason, Gate, GateLimits, opens_at

_LONG = 5  # refusals in a row, about some minutes; from then on the state is worse than "busy"


class GateState(StrEnum):
    """What happens to a job that is submitted now."""

    #: It goes ahead at once.
    OPEN = "open"
    #: It waits, then goes ahead by itself.
    BUSY = "busy"
    #: The video API lets no job in: jobs wait until the operator has mended that.
    ON_HOLD = "on_hold"
    #: The operator has paused the backend.
    PAUSED = "paused"


def state_of(gate: Gate, limits: GateLimits, now: datetime) -> GateState:
    if gate.paused_since is not None:
        return GateState.PAUSED
    if gate.closure is not None:
        mended_by_hand = gate.closure.why in (ClosureReason.MISCONFIGURED, ClosureReason.ACCOUNT)
        return GateState.ON_HOLD if mended_by_hand or gate.closure.times >= _LONG else GateState.BUSY
    at = opens_at(gate, limits, now)
    return GateState.OPEN if at is not None and at <= now and not gate.contended else GateState.BUSY


def busy_words(gate: Gate, limits: GateLimits) -> str:
    """Why a job waits before a gate that nothing has closed."""
    if limits.running is not None and len(gate.slots) >= limits.running:
        slots = "The one slot" if limits.running == 1 else f"All {limits.running} slots"
        return f"{slots} at the video API {'is' if limits.running == 1 else 'are'} taken. Jobs wait for their turn."
    return "Other jobs wait for this video API. Jobs are submitted in the order in which they came."
