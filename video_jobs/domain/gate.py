"""The gate before a backend: who may submit, and who has to wait. Pure; `admission.py` has the effects.

A slot is taken before the paid call and given back when the backend's job is seen to have ended, so that a
slow download holds none. A closed gate lets nobody in until its time is over; then one goes ahead as a probe,
and what the backend tells it opens the gate or closes it again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from video_jobs.domain.job import Job

WINDOW = timedelta(seconds=61)
"""A minute of creates, and a second for a call that takes longer than the one before it."""

UNCLAIMED = timedelta(minutes=5)
"""A slot whose job was called and did not come for it goes to the next one."""

_LONGEST_CLOSURE = 120.0  # seconds, but for a backend that asks for more
_PATIENT_TIMES = 5  # that a backend may say "busy" before another job is the probe
_LONGEST_HINT = 3600.0  # seconds; a backend that says "in a week" is not believed


class ClosureReason(StrEnum):
    """Why a gate is closed."""

    #: The backend takes nothing right now, or can't be reached.
    BUSY = "busy"
    #: The last paid call got no answer that tells what became of it.
    UNKNOWN_OUTCOME = "unknown_outcome"
    #: It does not take our key, or does not know the deployment.
    MISCONFIGURED = "misconfigured"
    #: The account behind the key has no money or quota left.
    ACCOUNT = "account"


# Seconds of the first closure, and what each one in a row is multiplied by. After an unknown outcome some others go on
# soon: a backend that loses one answer rarely loses them all, and each that it does lose costs nobody anything.
_CLOSURES = {
    ClosureReason.BUSY: (10.0, 2.0),
    ClosureReason.UNKNOWN_OUTCOME: (2.0, 1.4),
    ClosureReason.MISCONFIGURED: (_LONGEST_CLOSURE, 1.0),
    ClosureReason.ACCOUNT: (_LONGEST_CLOSURE, 1.0),
}
_WHY_IN_OUR_WORDS = {
    ClosureReason.BUSY: "The video API takes nothing right now. Jobs wait and go ahead by themselves.",
    ClosureReason.UNKNOWN_OUTCOME: "The video API did not answer the job before this one. Jobs wait and go ahead by themselves.",
    ClosureReason.MISCONFIGURED: "The video API does not let the app in. Jobs wait until the operator has mended that.",
    ClosureReason.ACCOUNT: "The app's account at the video API has no money or quota left. Jobs wait until somebody has paid.",
}


@dataclass(frozen=True)
class GateLimits:
    """None means: as many as one likes."""

    running: int | None = None
    creates_per_minute: int | None = None

    @property
    def none(self) -> bool:
        return self.running is None and self.creates_per_minute is None


@dataclass(frozen=True)
class Slot:
    """Who may have a job at the backend."""

    job_id: str
    owner: str
    taken_at: datetime
    begun_at: datetime | None = None  #: when it went ahead; None while it is called and has not come


@dataclass(frozen=True)
class Closure:
    why: ClosureReason
    reason: str  #: in words, for the client
    until: datetime
    times: int = 1  #: in a row
    job_id: str | None = None  #: who met it last: others go ahead as probes before it does again


@dataclass(frozen=True)
class Gate:
    """One for each backend; kept in one row, guarded by its ETag."""

    backend: str
    slots: tuple[Slot, ...] = ()
    creates: tuple[datetime, ...] = ()  #: of the last minute
    closure: Closure | None = None
    opened_at: datetime | None = None  #: when a probe was taken last
    paused_since: datetime | None = None  #: by the operator
    contended: bool = False  #: others wait in line

    def slot(self, job_id: str) -> Slot | None:
        return next((slot for slot in self.slots if slot.job_id == job_id), None)

    @property
    def called(self) -> tuple[Slot, ...]:
        """Those that may go ahead and have not come yet."""
        return tuple(slot for slot in self.slots if slot.begun_at is None)

    def reason(self) -> str | None:
        """Why nobody is let in, in words; None where the gate is open."""
        if self.paused_since is not None:
            return "The operator has paused this video API. Jobs wait, and nothing is lost."
        return self.closure.reason if self.closure is not None else None

    def reason_in_our_words(self) -> str | None:
        """The same without the backend's own, which may repeat something of the job that met them."""
        if self.paused_since is not None or self.closure is None:
            return self.reason()
        return _WHY_IN_OUR_WORDS[self.closure.why]


def opens_at(gate: Gate, limits: GateLimits, now: datetime) -> datetime | None:
    """When one more may be let in: now, later, or (None) when a slot is given back or an operator acts."""
    if gate.paused_since is not None:
        return None
    if limits.running is not None and len(gate.slots) >= limits.running:
        return None
    at = now
    if gate.closure is not None:
        if gate.closure.until > now:
            at = gate.closure.until
        elif probes(gate):
            return None
    if limits.creates_per_minute is not None:
        # Who was called counts as if it went ahead now.
        stamps = sorted([*_recent(gate, now), *(now for _ in gate.called)])
        if len(stamps) >= limits.creates_per_minute:
            at = max(at, stamps[-limits.creates_per_minute] + WINDOW)
    return at


def probes(gate: Gate) -> tuple[Slot, ...]:
    """Those that went ahead, or were called, after the time of the closure was over: what becomes of them
    opens the gate or closes it again."""
    if gate.closure is None:
        return ()
    until = gate.closure.until
    return tuple(slot for slot in gate.slots if (slot.begun_at or slot.taken_at) >= until)


def goes_last(gate: Gate) -> str | None:
    """The job that closed the gate, where that may be about this one job: others show whether it is."""
    closure = gate.closure
    passing = closure is not None and closure.why in (ClosureReason.BUSY, ClosureReason.UNKNOWN_OUTCOME)
    if closure is None or (passing and closure.times < _PATIENT_TIMES):
        return None
    return closure.job_id


def room(gate: Gate, limits: GateLimits, now: datetime, most: int) -> int:
    """How many more may be let in right now, up to `most`."""
    found = 0
    while found < most:
        at = opens_at(gate, limits, now)
        if at is None or at > now:
            break
        gate = replace(gate, slots=(*gate.slots, Slot(f"{found}", "", now)))
        found += 1
    return found


def call(gate: Gate, now: datetime, job_id: str, owner: str) -> Gate:
    """Give the next in line a slot, for it to come and use."""
    return replace(gate, slots=(*gate.slots, Slot(job_id, owner, now)))


def begin(gate: Gate, limits: GateLimits, now: datetime, job: Job) -> Gate | None:
    """The job goes ahead, in the slot that it has or in a free one; None where it can't."""
    own = gate.slot(job.id)
    others = replace(gate, slots=tuple(slot for slot in gate.slots if slot.job_id != job.id))
    at = opens_at(others, limits, now)
    if at is None or at > now:
        return None
    slot = Slot(job.id, job.owner, own.taken_at if own else now, now)
    creates = (*_recent(gate, now), now) if limits.creates_per_minute is not None else ()
    return replace(others, slots=(*others.slots, slot), creates=creates)


def leave(gate: Gate, job_id: str) -> Gate:
    """The job needs its slot no more; no error where it has none."""
    return replace(gate, slots=tuple(slot for slot in gate.slots if slot.job_id != job_id))


def close(
    gate: Gate,
    now: datetime,
    why: ClosureReason,
    reason: str,
    retry_after: float | None,
    job_id: str | None = None,
) -> Gate:
    """Let nobody in for a while that grows each time, and for no less than the backend asks for. Who was called waits
    again."""
    times = 1
    if gate.closure is not None:
        # Answers that were under way when it was closed are no further failure.
        times = gate.closure.times + (now >= gate.closure.until)
    first, growth = _CLOSURES[why]
    backed_off = min(first * growth ** min(times - 1, 20), _LONGEST_CLOSURE)
    until = now + timedelta(seconds=max(backed_off, min(retry_after or 0.0, _LONGEST_HINT)))
    if gate.closure is not None:
        until = max(until, gate.closure.until)
    slots = tuple(slot for slot in gate.slots if slot.begun_at is not None)
    return replace(gate, slots=slots, closure=Closure(why, reason, until, times, job_id))


def reopen(gate: Gate, now: datetime) -> Gate:
    """Nothing is wrong any more."""
    return gate if gate.closure is None else replace(gate, closure=None, opened_at=now)


def taken(gate: Gate, now: datetime, job_id: str) -> Gate:
    """The backend has taken, or judged, this job: if it was a probe, the gate is open again. What was under way
    when the gate was closed proves nothing."""
    return reopen(gate, now) if gate.slot(job_id) in probes(gate) else gate


def pause(gate: Gate, now: datetime) -> Gate:
    slots = tuple(slot for slot in gate.slots if slot.begun_at is not None)
    return gate if gate.paused_since else replace(gate, slots=slots, paused_since=now)


def resume(gate: Gate) -> Gate:
    """What the operator says ends a closure too: they may have mended the key."""
    return replace(gate, paused_since=None, closure=None)


def unclaimed(gate: Gate, now: datetime) -> tuple[Slot, ...]:
    return tuple(slot for slot in gate.called if now - slot.taken_at >= UNCLAIMED)


def _recent(gate: Gate, now: datetime) -> tuple[datetime, ...]:
    return tuple(at for at in gate.creates if now - at < WINDOW)
