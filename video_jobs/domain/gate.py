"""The gate before a backend: which jobs may submit, and which wait. Pure; `admission.py` has the effects.

A job takes a slot before the paid call and gives it back when a poll sees that the backend job has ended, so a slow
download has no slot. A closed gate lets no job in until its time is over; then one job goes ahead as the probe, and the
backend's answer to it opens the gate or closes it again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from video_jobs.domain.job import Job

WINDOW = timedelta(seconds=61)
"""A minute of creates, and a second for a call that takes longer than the one before it."""

UNCLAIMED = timedelta(minutes=5)
"""After this time, a slot goes to the next job if the job that was called did not use it."""

_LONGEST_CLOSURE = 120.0  # seconds, unless the backend asks for more
_PATIENT_TIMES = 5  # how often a backend may answer "busy" before another job is the probe
_LONGEST_HINT = 3600.0  # seconds; a backend that says "in a week" is not believed


class ClosureReason(StrEnum):
    """Why a gate is closed."""

    #: The backend accepts nothing right now, or can't be reached.
    BUSY = "busy"
    #: No answer shows the outcome of the last paid call.
    UNKNOWN_OUTCOME = "unknown_outcome"
    #: The backend refuses the app's key, or does not know the deployment.
    MISCONFIGURED = "misconfigured"
    #: The account behind the key has no money or quota left.
    ACCOUNT = "account"


# Seconds of the first closure, and the factor for each further one in a row. After an unknown outcome the pause is short:
# a backend that loses one answer rarely loses them all, and a lost answer costs nothing extra.
_CLOSURES = {
    ClosureReason.BUSY: (10.0, 2.0),
    ClosureReason.UNKNOWN_OUTCOME: (2.0, 1.4),
    ClosureReason.MISCONFIGURED: (_LONGEST_CLOSURE, 1.0),
    ClosureReason.ACCOUNT: (_LONGEST_CLOSURE, 1.0),
}
_WHY_IN_OUR_WORDS = {
    ClosureReason.BUSY: "The video API takes no job right now. Jobs wait, and are submitted without your help.",
    ClosureReason.UNKNOWN_OUTCOME: "The video API did not answer the last paid call. Jobs wait, and are submitted without your help.",
    ClosureReason.MISCONFIGURED: "The video API does not let the app in. Jobs wait until the operator has mended that.",
    ClosureReason.ACCOUNT: "The app's account at the video API has no money or quota left. Jobs wait until somebody has paid.",
}


class GateLimits(NamedTuple):
    """None means: no limit."""

    running: int | None = None
    creates_per_minute: int | None = None

    @property
    def none(self) -> bool:
        return self.running is None and self.creates_per_minute is None


@dataclass(frozen=True)
class Slot:
    """One job's right to be at the backend."""

    job_id: str
    owner: str
    taken_at: datetime
    begun_at: datetime | None = None  #: when the job went ahead; None if it was called and has not polled yet


@dataclass(frozen=True)
class Closure:
    why: ClosureReason
    reason: str  #: in words, for the client
    until: datetime
    times: int = 1  #: in a row
    job_id: str | None = None  #: of the latest fault; another job is the probe before this one is again


@dataclass(frozen=True)
class Gate:
    """The gate of one backend; kept in one row, guarded by its ETag."""

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
        """The slots of the jobs that were called and have not gone ahead yet."""
        return tuple(slot for slot in self.slots if slot.begun_at is None)

    def reason(self) -> str | None:
        """Why no job is let in, in words; None if the gate is open."""
        if self.paused_since is not None:
            return "The operator has paused this video API. Jobs wait, and nothing is lost."
        return self.closure.reason if self.closure is not None else None

    def reason_in_our_words(self) -> str | None:
        """The same without the backend's own words, which may repeat a part of another job's request."""
        if self.paused_since is not None or self.closure is None:
            return self.reason()
        return _WHY_IN_OUR_WORDS[self.closure.why]


def opens_at(gate: Gate, limits: GateLimits, now: datetime) -> datetime | None:
    """When one more job may be let in: now, later, or (None) after a slot is given back or an operator acts."""
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
        # A job that was called counts as if it went ahead now.
        stamps = sorted([*_recent(gate, now), *(now for _ in gate.called)])
        if len(stamps) >= limits.creates_per_minute:
            at = max(at, stamps[-limits.creates_per_minute] + WINDOW)
    return at


def probes(gate: Gate) -> tuple[Slot, ...]:
    """The jobs that went ahead or were called after the closure's time was over: their results open the gate or
    close it again."""
    if gate.closure is None:
        return ()
    until = gate.closure.until
    return tuple(slot for slot in gate.slots if (slot.begun_at or slot.taken_at) >= until)


def goes_last(gate: Gate) -> str | None:
    """The job that closed the gate, if it alone may be the cause: other jobs go ahead first and show it."""
    closure = gate.closure
    passing = closure is not None and closure.why in (ClosureReason.BUSY, ClosureReason.UNKNOWN_OUTCOME)
    if closure is None or (passing and closure.times < _PATIENT_TIMES):
        return None
    return closure.job_id


def room(gate: Gate, limits: GateLimits, now: datetime, most: int) -> int:
    """How many more jobs may be let in right now, up to `most`."""
    found = 0
    while found < most:
        at = opens_at(gate, limits, now)
        if at is None or at > now:
            break
        gate = replace(gate, slots=(*gate.slots, Slot(f"{found}", "", now)))
        found += 1
    return found


def call(gate: Gate, now: datetime, job_id: str, owner: str) -> Gate:
    """Give the next job in line a slot, which it uses at its next poll."""
    return replace(gate, slots=(*gate.slots, Slot(job_id, owner, now)))


def begin(gate: Gate, limits: GateLimits, now: datetime, job: Job) -> Gate | None:
    """Let the job go ahead, in its own slot or a free one; None if it can't."""
    own = gate.slot(job.id)
    others = replace(gate, slots=tuple(slot for slot in gate.slots if slot.job_id != job.id))
    at = opens_at(others, limits, now)
    if at is None or at > now:
        return None
    slot = Slot(job.id, job.owner, own.taken_at if own else now, now)
    creates = (*_recent(gate, now), now) if limits.creates_per_minute is not None else ()
    return replace(others, slots=(*others.slots, slot), creates=creates)


def leave(gate: Gate, job_id: str) -> Gate:
    """Free the job's slot; no error if it has none."""
    return replace(gate, slots=tuple(slot for slot in gate.slots if slot.job_id != job_id))


def close(
    gate: Gate,
    now: datetime,
    why: ClosureReason,
    reason: str,
    retry_after: float | None,
    job_id: str | None = None,
) -> Gate:
    """Close the gate for a time that grows with each closure, and at least for as long as the backend asks. Jobs that were
    called wait again."""
    times = 1
    if gate.closure is not None:
        # An answer to a call from before the closure does not count as one more failure.
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
    """The backend has accepted or refused this job by itself: if it was a probe, open the gate. A call from before the
    closure proves nothing."""
    return reopen(gate, now) if gate.slot(job_id) in probes(gate) else gate


def pause(gate: Gate, now: datetime) -> Gate:
    slots = tuple(slot for slot in gate.slots if slot.begun_at is not None)
    return gate if gate.paused_since else replace(gate, slots=slots, paused_since=now)


def resume(gate: Gate) -> Gate:
    """The operator resumes the backend. This ends a closure too: the operator may have mended the key."""
    return replace(gate, paused_since=None, closure=None)


def unclaimed(gate: Gate, now: datetime) -> tuple[Slot, ...]:
    return tuple(slot for slot in gate.called if now - slot.taken_at >= UNCLAIMED)


def _recent(gate: Gate, now: datetime) -> tuple[datetime, ...]:
    return tuple(at for at in gate.creates if now - at < WINDOW)
