"""The state of a backend, for somebody who is about to submit a job or whose job waits."""

from __future__ import annotations

from pydantic import with_config
from typing_extensions import TypedDict

from video_jobs.domain.gate import opens_at
from video_jobs.domain.gate_state import GateState, busy_words, state_of
from video_jobs.domain.job import Status
from video_jobs.lifecycle.admission import gate_to_show
from video_jobs.lifecycle.slot_holders import Holder, holders
from video_jobs.ports import LiveJob
from video_jobs.services import Services
from video_jobs.views.job_schema import Time
from video_jobs.views.job_view import time_text

_MOST_COUNTED = 1000  # jobs in line
_MOST_HOLDERS = 10  # each costs a read of its row
_END_OF_LINE = "~"  # a key after every live row's

_documented = with_config(use_attribute_docstrings=True)


@_documented
class HolderView(TypedDict):
    """A job of yours that the video API works on."""

    job_id: str
    status: Status | None
    unconfirmed: bool
    """Whether the paid call got no answer, so that the app is still finding out its outcome."""
    since: Time
    free_at: Time | None
    """When its slot is likely to be free."""


@_documented
class StateView(TypedDict):
    """A backend's current state."""

    state: GateState
    """`open`: a job is submitted at once. `busy`: it waits, and is submitted without your help. `on_hold`: it waits until
    somebody mends a key, a deployment or an account. `paused`: it waits until the operator resumes the backend."""
    reason: str | None
    """One sentence that says why jobs wait; null if `open`."""
    until: Time | None
    """When the next job is submitted, or tried, if known."""
    running: int
    """Jobs that hold a slot."""
    running_limit: int | None
    waiting: int
    """Jobs in line, counted up to 1000."""
    holders: list[HolderView]
    """Your jobs that hold slots, if all slots are taken; ten at most."""


def backend_state(services: Services, owner: str, name: str) -> StateView:
    """Costs two reads and, if all slots are taken, one more for each of the caller's jobs with a slot."""
    gate, limits, now = gate_to_show(services, name), services.backends.gate_limits(name), services.clock()
    state = state_of(gate, limits, now)
    # An owner must not see what the video API said about another owner's job.
    said = gate.reason_in_our_words() if services.is_multi_tenant else gate.reason()
    at = opens_at(gate, limits, now)
    is_full = limits.running is not None and len(gate.slots) >= limits.running
    taken_by = holders(services, gate, owner, _MOST_HOLDERS) if is_full else []
    end_of_line = LiveJob(name, _END_OF_LINE, "", "")
    return {
        "state": state,
        "reason": None if state is GateState.OPEN else said or busy_words(gate, limits),
        "until": time_text(at) if at is not None and at > now else None,
        "running": len(gate.slots),
        "running_limit": limits.running,
        "waiting": services.live_jobs.ahead_of(end_of_line, _MOST_COUNTED),
        "holders": [_holder(each) for each in taken_by],
    }


def _holder(holder: Holder) -> HolderView:
    return {
        "job_id": holder.slot.job_id,
        "status": holder.status,
        "unconfirmed": holder.is_unconfirmed,
        "since": time_text(holder.slot.taken_at) or "",
        "free_at": time_text(holder.free_at),
    }
