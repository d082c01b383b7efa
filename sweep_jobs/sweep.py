"""One sweep over the live jobs and the gates. Jobs that have ended are not read.

The sweeper does no job's work itself: it sends the missing message, or calls the code that ends a job.
"""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from sweep_jobs.minute import MOST_COUNTED, Minute, log_minute
from sweep_jobs.poison import sweep_poison
from video_jobs.domain import gate, transitions
from video_jobs.domain.errors import (
    Conflict,
    JobNotFound,
    ReelkeepError,
    StorageUnavailable,
    TransitionRefused,
    UnreadableRow,
)
from video_jobs.domain.gate import Gate, Slot
from video_jobs.domain.job import Job, Status
from video_jobs.domain.logs import in_brief, log_event
from video_jobs.domain.queue_messages import POLL_QUEUE
from video_jobs.lifecycle import admission
from video_jobs.lifecycle.finalize import finish
from video_jobs.lifecycle.poll_chain import poll_now
from video_jobs.lifecycle.repair import is_broken, is_long_broken, mark_deleted, repair
from video_jobs.lifecycle.update import update
from video_jobs.ports import IdempotencyEntry, LiveJob
from video_jobs.services import Services

log = logging.getLogger("reelkeep.sweep")

_ORPHANED_AFTER = timedelta(minutes=15)
"""A live row is written before its job's row. After this time, the request that should write the job has failed."""


_MOST_OF_AN_OWNER = 20  # jobs of one owner that are deleted before another owner's turn

_UNHEARD = timedelta(seconds=50)
"""A job that was called starts within seconds. After this time, its message may be hidden by a host that died."""

_NEAR_EXPIRY = timedelta(hours=2)
_GENERATED = (Status.FETCHING, Status.PENDING_DOWNLOAD)
_HOLDS_A_SLOT = (Status.SUBMITTING, Status.QUEUED, Status.RUNNING)


def sweep_jobs(services: Services) -> None:
    """Sweep everything once. An error with one job is logged; the sweep goes on with the others."""
    began, minute = time.monotonic(), Minute()
    try:
        sweep_poison(services)
    except ReelkeepError as error:
        log_event(log, logging.ERROR, "sweep.poison_unreadable", problem=error)
    for found in _gates(services):
        try:
            minute.saw_gate(found, _sweep_gate(services, found))
        except Exception as error:  # noqa: BLE001 - whatever the error is, the others are swept
            log_event(log, logging.ERROR, "sweep.gate_failed", backend=found.backend, problem=in_brief(error))
    services.sweep.stopped_at = _sweep_live_jobs(services, minute)
    log_minute(services, minute, time.monotonic() - began, complete=services.sweep.stopped_at is None)


def _gates(services: Services) -> list[Gate]:
    """The gates that can be read, and an empty one for each backend of the settings without a row: its row may have been
    deleted while jobs stand in line. Saving that one fails if there is a row after all."""
    try:
        there = services.gates.all()
    except StorageUnavailable as error:
        # Their table is throttled, or was deleted. The jobs are swept all the same.
        log_event(log, logging.ERROR, "sweep.gates_unreadable", problem=error)
        return []
    known = {each.backend for each in there}
    return [*there, *(Gate(name) for name in services.backends.names() if name not in known)]


def _sweep_live_jobs(services: Services, minute: Minute) -> LiveJob | None:
    """Gives the live row at which it stopped because its time was over; None if it read all."""
    began, polls = time.monotonic(), _PollQueue(services)
    for live in services.live_jobs.all(services.sweep.stopped_at):
        minute.live += 1
        try:
            _sweep_job(services, live, polls, minute)
        except TransitionRefused as refused:
            log_event(log, logging.INFO, "sweep.job_changed", job_id=live.job_id, problem=refused)
        except Exception as error:  # noqa: BLE001 - whatever the error is, the others are swept
            log_event(log, logging.ERROR, "sweep.job_failed", job_id=live.job_id, problem=in_brief(error))
        if time.monotonic() - began >= services.timings.longest_sweep:
            log_event(log, logging.WARNING, "sweep.cut_short", last_job_id=live.job_id)
            return live
    return None


def apply_retention(services: Services, seconds: float) -> int:
    """Delete jobs and videos that are older than the retention. Works for at most `seconds`; gives how many jobs.

    It takes a few jobs of each owner in turn, so that an owner with very many does not delay the others.
    """
    if services.retention is None:
        return 0
    began, ended = time.monotonic(), set[str]()
    while time.monotonic() - began < seconds:
        found = services.jobs.ended_before(services.clock() - services.retention, _MOST_OF_AN_OWNER)
        new = [stored for stored in found if stored.job.id not in ended]
        if not new:
            break
        for stored in new:
            ended.add(stored.job.id)
            try:
                mark_deleted(services, stored)
                log_event(log, logging.INFO, "sweep.job_expired", job_id=stored.job.id)
            except Exception as error:  # noqa: BLE001 - whatever the error is, the others are ended
                log_event(
                    log,
                    logging.ERROR,
                    "sweep.retention_failed",
                    job_id=stored.job.id,
                    problem=in_brief(error),
                )
            if time.monotonic() - began >= seconds:
                break
    _forget_keys(services, services.clock() - services.retention, began + seconds)
    return len(ended)


def _forget_keys(services: Services, moment: datetime, until: float) -> None:
    """Delete idempotency keys whose job is gone and whose retention is over. Before that, a repeat must still find the key."""
    try:
        for entry in services.jobs.entries_before(moment):
            if time.monotonic() >= until:
                return
            with contextlib.suppress(Conflict):
                if not _is_there(services, entry):
                    services.jobs.delete_entry(entry)
    except ReelkeepError as error:
        log_event(log, logging.ERROR, "sweep.keys_not_deleted", problem=error)


def _is_there(services: Services, entry: IdempotencyEntry) -> bool:
    try:
        services.jobs.get(entry.owner, entry.job_id)
    except JobNotFound:
        return False
    except UnreadableRow:  # it exists
        pass
    return True


class _PollQueue:
    """What one sweep knows about the queue of polls. The queue is asked once, and only if a job is late."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._has_backlog: bool | None = None
        self._is_away = False

    def takes_repair(self, job: Job, now: datetime) -> bool:
        """Whether the late job is broken, and a message in place of its late one can be sent. Behind a backlog, a job is slow. While
        the queue is away, a repair would not help, and would only make the next one come later."""
        if self._has_backlog is None and not self._is_away:
            try:
                self._has_backlog = self._services.messages.has_backlog(POLL_QUEUE)
            except StorageUnavailable as error:
                self._is_away = True
                log_event(log, logging.ERROR, "sweep.queue_unreadable", queue=POLL_QUEUE, problem=error)
            if self._has_backlog:
                log_event(log, logging.WARNING, "sweep.backlog", queue=POLL_QUEUE)
        return not self._is_away and (not self._has_backlog or is_long_broken(job, now))


def _sweep_job(services: Services, live: LiveJob, polls: _PollQueue, minute: Minute) -> None:
    now = services.clock()
    try:
        stored = services.jobs.get(live.owner, live.job_id)
    except JobNotFound:
        if now - live.arrived_at >= _ORPHANED_AFTER:
            log_event(log, logging.WARNING, "sweep.live_row_removed", job_id=live.job_id)
            # The videos are kept: somebody may have deleted the job's row by mistake.
            services.blobs.delete_input(live.owner, live.job_id)
            services.live_jobs.remove(live)
        return
    job = stored.job
    minute.saw_job(job, now)
    if job.is_over:
        finish(services, job)
        return
    if (alarm := _alarm(job, now)) is not None:
        stored = update(services.jobs, stored, partial(transitions.alarmed, now=now, alarm=alarm))
    if is_broken(job, now) and polls.takes_repair(job, now):
        repair(services, stored)


def _alarm(job: Job, now: datetime) -> str | None:
    """The alarm's words, once, if a generated video is not stored and the video API will soon delete it."""
    left = job.time_left(now)
    if job.alarm is not None or left is None or job.status not in _GENERATED or job.deleted_at is not None:
        return None
    kept_for = (job.expires_at or now) - (job.submission.submitted_at or job.created_at)
    if left > min(_NEAR_EXPIRY, kept_for / 4):
        return None
    open_outputs = ", ".join(str(output.index) for output in job.outputs if not output.is_settled)
    return (
        f"Video {open_outputs} is generated and not stored yet, and the video API deletes it at "
        f"{job.expires_at:%Y-%m-%d %H:%M:%S} UTC. Why: {job.reason or 'unknown'}"
    )


def _sweep_gate(services: Services, found: Gate) -> int:
    """Free slots that are no longer needed, open the gate if the video API took the probe, call jobs that nobody called.

    Gives how many jobs are in line.
    """
    now = services.clock()
    statuses = _statuses(services, found.slots)
    leaked = {slot for slot in found.slots if _is_leaked(slot, statuses, now)}
    probes = gate.probes(found)
    taken = any(statuses.get(slot.job_id) in (Status.QUEUED, Status.RUNNING) for slot in probes)

    def mended(current: Gate) -> Gate:
        for slot in leaked:
            if current.slot(slot.job_id) == slot:  # unchanged since it was read: nobody has started in it
                current = gate.leave(current, slot.job_id)
        return gate.reopen(current, now) if taken and current.closure == found.closure else current

    for slot in leaked:
        log_event(log, logging.WARNING, "sweep.slot_taken_back", job_id=slot.job_id, backend=found.backend)
    for slot in found.called:
        if statuses.get(slot.job_id) is Status.WAITING and _UNHEARD <= now - slot.taken_at < gate.UNCLAIMED:
            log_event(
                log, logging.WARNING, "sweep.job_called_again", job_id=slot.job_id, backend=found.backend
            )
            poll_now(services, services.jobs.get(slot.owner, slot.job_id).job)
    # After a crash, the gate may not know that a job is in line.
    waiting = len(services.live_jobs.line(found.backend, MOST_COUNTED if found.contended else 1))
    in_line = found.contended or waiting > 0
    if leaked or taken or in_line:
        admission.call_next(
            services, found.backend, lambda current: replace(mended(current), contended=in_line)
        )
    return waiting


def _is_leaked(slot: Slot, statuses: dict[str, Status | None], now: datetime) -> bool:
    """Whether a slot's job does not need it. A waiting job holds a slot only for the moment before it is submitted."""
    if slot.job_id not in statuses:
        return False
    status = statuses[slot.job_id]
    if status is Status.WAITING:
        return now - (slot.begun_at or slot.taken_at) >= gate.UNCLAIMED
    return status not in _HOLDS_A_SLOT


def _statuses(services: Services, slots: tuple[Slot, ...]) -> dict[str, Status | None]:
    """The status of each job by id, None if the job does not exist. An unreadable job is left out: it may need its slot."""
    statuses: dict[str, Status | None] = {}
    for slot in slots:
        try:
            statuses[slot.job_id] = services.jobs.get(slot.owner, slot.job_id).job.status
        except JobNotFound:
            statuses[slot.job_id] = None
        except UnreadableRow as error:
            log_event(
                log,
                logging.ERROR,
                "sweep.slot_kept",
                job_id=slot.job_id,
                problem=error,
            )
    return statuses
