"""Decide which job goes ahead to a backend and which waits in line: applies the gate's rules to its row.

A waiting job is marked in its live row, so the line is in order of arrival, and reading it costs only as much as
there are live jobs. Each change of the gate also calls the jobs for which there is room then, in the same write,
and wakes them with a message. A waiting job has no message in the queue; the sweeper repairs what a crash leaves
half done.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import islice

from video_jobs.domain import gate as gates
from video_jobs.domain import transitions
from video_jobs.domain.errors import Conflict, JobNotFound, TransitionRefused, UnreadableRow
from video_jobs.domain.gate import Closure, ClosureReason, Gate, GateLimits
from video_jobs.domain.job import Job, Status
from video_jobs.domain.logs import log_event
from video_jobs.domain.queue_messages import PollMessage
from video_jobs.lifecycle.update import update
from video_jobs.ports import LiveJob, StoredGate, StoredJob
from video_jobs.services import Services

log = logging.getLogger("reelkeep.gate")

_MOST_TRIES = 100  # each lost race means that another process succeeded
_MOST_CALLED = 50  # at once
_MOST_READ = 10_000  # of the line
_AT_ONCE = timedelta()
_NEEDS_A_SLOT = frozenset({Status.SUBMITTING, Status.QUEUED, Status.RUNNING})

Change = Callable[[Gate], Gate]


def enter(services: Services, job: Job) -> Gate | None:
    """None if a waiting job may go ahead now. If not, the gate: the job is in line then and will be called."""
    if _begin(services, job) is None:
        return None
    services.live_jobs.add(LiveJob.of(job, waiting=True))
    backend = job.backend.name
    # Read the gate after the job is in line: every process that empties the line from now on sees the job.
    stored = services.gates.get(backend)
    limits, now = services.backends.gate_limits(backend), services.clock()
    if stored.gate.contended and gates.opens_at(stored.gate, limits, now) is None:
        return stored.gate  # every slot is taken: the job that gives one back calls the next
    call_next(services, backend, caller=job.id, stored=stored)
    return _begin(services, job)


def entered(services: Services, job: Job) -> None:
    """Take the job out of the line: it is stored as submitting."""
    services.live_jobs.add(LiveJob.of(job))


def leave(services: Services, job: Job) -> None:
    """Give the job's slot back and call the next in line. May be repeated."""
    call_next(services, job.backend.name, partial(gates.leave, job_id=job.id))


def leave_unless_running(services: Services, job: Job) -> None:
    """Give the slot back if the job, which moved on after it had entered, does not need it."""
    if job.status is Status.WAITING:
        # Another poll of the job may be about to use this slot. If there is none, the message sent here does.
        _send(services, job, _AT_ONCE)
    elif job.status not in _NEEDS_A_SLOT:
        leave(services, job)


def close(
    services: Services, job: Job, *, went: Job, why: ClosureReason, reason: str, retry_after: float | None
) -> None:
    """The backend accepted nothing: no job goes ahead for a while, and this job, if it waits, is in line again.

    `went` is the job as it was when it went ahead. If it has gone ahead once more since then, it keeps its slot.
    """
    now = services.clock()

    def closed(gate: Gate) -> Gate:
        slot = gate.slot(job.id)
        went_at = went.submission.submitting_since
        again = slot and slot.begun_at and went_at and slot.begun_at > went_at
        if job.status not in _NEEDS_A_SLOT and not again:
            gate = gates.leave(gate, job.id)
        # Even if no other job waits, this one may be in line now.
        return replace(gates.close(gate, now, why, reason, retry_after, job.id), contended=True)

    if job.status is Status.WAITING:
        services.live_jobs.add(LiveJob.of(job, waiting=True))
    gate = call_next(services, job.backend.name, closed)
    if gate.closure is not None:
        log_event(
            log,
            logging.WARNING,
            "gate.closed",
            backend=gate.backend,
            until=gate.closure.until,
            problem=reason,
        )


def reopen(services: Services, job: Job) -> None:
    """The backend accepted or refused this job by itself: if the gate was closed and this was the probe, open it."""
    backend = job.backend.name
    kept = services.kept_gates.of(backend)
    if kept is not None and kept.gate.slot(job.id) is not None and kept.gate.closure is None:
        return  # the gate was open when the job went ahead, or has opened since
    stored = services.gates.get(backend)
    if stored.gate.slot(job.id) in gates.probes(stored.gate):
        log_event(log, logging.INFO, "gate.opened", backend=backend)
        call_next(services, backend, partial(gates.taken, now=services.clock(), job_id=job.id), stored=stored)


def gate_to_show(services: Services, backend: str) -> Gate:
    """The gate. If its row can't be read, a closed gate that says so: one broken row must not hide the other backends."""
    try:
        return services.gates.get(backend).gate
    except UnreadableRow as error:
        log_event(log, logging.ERROR, "gate.unreadable", backend=backend, problem=error)
        return Gate(backend, closure=Closure(ClosureReason.MISCONFIGURED, str(error), services.clock()))


def why_closed(services: Services, gate: Gate, job: Job) -> str | None:
    """Why the gate is closed, in words; None if it is open.

    If there are several owners, the backend's answer to another job is not shown: it may be another owner's.
    """
    anothers = gate.closure is not None and gate.closure.job_id != job.id
    return gate.reason_in_our_words() if anothers and services.is_multi_tenant else gate.reason()


def call_next(
    services: Services,
    backend: str,
    change: Change = lambda gate: gate,
    *,
    caller: str | None = None,
    stored: StoredGate | None = None,
) -> Gate:
    """Change the gate, call the jobs for which there is room then, and wake them.

    Args:
        caller: a waiting job that is being polled right now: it needs no message when it is called.
        stored: the gate, if it was just read.
    """
    limits = services.backends.gate_limits(backend)
    called: list[StoredJob] = []
    rest: list[StoredJob] = []

    def with_next_called(before: Gate) -> Gate:
        nonlocal called, rest
        now = services.clock()
        gate = change(before)
        free = gates.room(gate, limits, now, most=_MOST_CALLED)
        # Two more than there is room for show whether jobs are left, and in which order. Each costs a read.
        line = _line(services, before, gate, now)
        in_line = list(islice(line, free + 2)) if gate.contended or caller else []
        if (last := gates.goes_last(gate)) is not None:
            in_line.sort(key=lambda waiting: waiting.job.id == last)
        called, rest = in_line[:free], in_line[free:]
        for waiting in called:
            gate = _called(gate, limits, now, waiting.job)
        return replace(gate, contended=bool(rest))

    gate, is_changed = _change(services, backend, with_next_called, stored)
    for waiting in called:
        if waiting.job.id != caller:
            _wake(services, waiting, _AT_ONCE)
    now = services.clock()
    opens_at = gates.opens_at(gate, limits, now) if rest else None
    if opens_at is not None:
        delay = max(opens_at - now, _AT_ONCE)
        if rest[0].job.id == caller:
            _send(services, rest[0].job, delay)  # with the turn that its poll is about to save
        elif is_changed:
            _wake(services, rest[0], delay)
    return gate


def _change(
    services: Services, backend: str, change: Callable[[Gate], Gate | None], stored: StoredGate | None = None
) -> tuple[Gate, bool]:
    """The gate, and whether it was changed. If `change` gives None, the gate is left as it is.

    The gate that this process wrote last is tried first: if nobody has changed it since, the write succeeds without
    a read.
    """
    kept = services.kept_gates.take(backend) if stored is None else None
    stored = stored or kept
    for _ in range(_MOST_TRIES):
        stored = stored or services.gates.get(backend)
        gate = change(stored.gate)
        if gate is not None and gate != stored.gate:
            try:
                services.kept_gates.keep(backend, services.gates.save(stored, gate))
                return gate, True
            except Conflict:
                services.kept_gates.refused(backend)
        elif stored is not kept:
            return stored.gate, False
        stored = None
    raise Conflict(f"The gate to '{backend}' was changed by somebody else {_MOST_TRIES} times in a row")


def _begin(services: Services, job: Job) -> Gate | None:
    """None if the job has its slot; else the gate, which does not let it in."""
    limits, let_in = services.backends.gate_limits(job.backend.name), False

    def begun(gate: Gate) -> Gate | None:
        nonlocal let_in
        let_in = _is_open_to_all(gate, limits)
        if let_in or (gate.contended and gate.slot(job.id) is None):
            return None
        after = gates.begin(gate, limits, services.clock(), job)
        let_in = after is not None
        return after

    gate, _ = _change(services, job.backend.name, begun)
    return None if let_in else gate


def _is_open_to_all(gate: Gate, limits: GateLimits) -> bool:
    return limits.none and gate.closure is None and gate.paused_since is None


def _called(gate: Gate, limits: GateLimits, now: datetime, job: Job) -> Gate:
    return gate if _is_open_to_all(gate, limits) else gates.call(gate, now, job.id, job.owner)


def _line(services: Services, before: Gate, gate: Gate, now: datetime) -> Iterator[StoredJob]:
    """The jobs that wait and have no slot, in order of arrival; their own rows say whether they wait.

    A job that was called, did not come, and loses its slot by this change leaves the line until its own next poll:
    if it were called again at once, the others would never get the slot.
    """
    absent = {slot.job_id for slot in gates.unclaimed(before, now)}
    for live in _standing(services, gate.backend, _MOST_CALLED + len(gate.slots) + len(absent) + 1):
        if gate.slot(live.job_id) is not None:
            continue
        try:
            stored = services.jobs.get(live.owner, live.job_id)
        except JobNotFound:
            continue  # it is being accepted right now, or a crash left it to the sweeper
        except UnreadableRow as error:
            log_event(
                log,
                logging.ERROR,
                "gate.job_unreadable",
                job_id=live.job_id,
                problem=error,
            )
            continue
        if stored.job.status is Status.WAITING and live.job_id not in absent:
            yield stored
        else:
            services.live_jobs.add(live._replace(waiting=False))


def _standing(services: Services, backend: str, most: int) -> Iterator[LiveJob]:
    """The first `most` of the line, and more only if those are not enough: a newer version's jobs may be skipped."""
    last = ""
    while True:
        found = services.live_jobs.line(backend, most)
        yield from (live for live in found if live.key > last)
        if len(found) < most or most > _MOST_READ:
            return
        last, most = found[-1].key, 4 * most


def _wake(services: Services, waiting: StoredJob, delay: timedelta) -> None:
    """Continue the job's chain sooner: its present message may come only minutes later.

    As with every turn, the message is sent first and the row is saved then: a poll that runs right now can't save a
    next turn of its own, so it can't move the chain past this message.
    """
    turn, now = _send(services, waiting.job, delay), services.clock()
    woken = partial(transitions.next_turn, now=now, turn=turn, due_at=now + delay)
    with suppress(TransitionRefused, JobNotFound):  # the job has moved on
        update(services.jobs, waiting, woken)


def _send(services: Services, job: Job, delay: timedelta) -> int:
    turn = job.chain.turn + 1
    services.messages.send_poll(PollMessage(owner=job.owner, job_id=job.id, turn=turn), delay)
    return turn
