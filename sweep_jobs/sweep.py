"""One sweep: over the jobs that live and the gates, never over what has ended.

What it finds it hands to the code that would have done it: a message for the chain, the end of an ended job.
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
from video_jobs.domain.errors import Conflict, JobNotFound, ReelkeepError, TransitionRefused
from video_jobs.domain.gate import Gate, Slot
from video_jobs.domain.job import Job, Status
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
"""A live row is written before its job, by a request that ends within minutes."""


_MOST_OF_AN_OWNER = 20  # whose retention is applied before another owner's turn

_UNHEARD = timedelta(seconds=50)
"""A job that was called comes within seconds; the message that called it may be hidden with a host that died."""

_NEAR_EXPIRY = timedelta(hours=2)
_GENERATED = (Status.FETCHING, Status.PENDING_DOWNLOAD)
_HOLDS_A_SLOT = (Status.SUBMITTING, Status.QUEUED, Status.RUNNING)


def sweep_jobs(services: Services) -> None:
    """What fails for one job is logged and does not keep the others from being looked at."""
    began, minute = time.monotonic(), Minute()
    try:
        sweep_poison(services)
    except ReelkeepError as error:
        log.error("The poison queues could not be read: %s", error)
    for found in services.gates.all():
        try:
            minute.saw_gate(found, _sweep_gate(services, found))
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are swept
            log.error("The gate to '%s' could not be swept: %s", found.backend, _said(error))
    services.sweep.stopped_at = _sweep_live_jobs(services, minute)
    log_minute(services, minute, time.monotonic() - began, complete=services.sweep.stopped_at is None)


def _sweep_live_jobs(services: Services, minute: Minute) -> LiveJob | None:
    """Gives where it stopped, when its time was over."""
    began, overload = time.monotonic(), _Overload(services)
    for live in services.live_jobs.all(services.sweep.stopped_at):
        minute.live += 1
        try:
            _sweep_job(services, live, overload, minute)
        except TransitionRefused as refused:
            log.info("%s moved on while it was swept: %s", live.job_id, refused)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are swept
            log.error("%s could not be swept: %s", live.job_id, _said(error))
        if time.monotonic() - began >= services.timings.longest_sweep:
            log.warning(
                "The sweep goes on behind %s the next time: there are more jobs than it can read", live.job_id
            )
            return live
    return None


def _said(error: Exception) -> str:
    """Its first line: the rest may repeat what a row holds."""
    said = str(error).partition("\n")[0]
    return said if isinstance(error, ReelkeepError | ValueError) else f"{type(error).__name__}: {said}"


def apply_retention(services: Services, seconds: float) -> int:
    """End jobs that have been kept long enough, for so many seconds at most; gives how many. Their videos go with them.

    A few of each owner by turns, so that one with very many keeps nobody's waiting.
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
                log.info("%s has been kept for long enough", stored.job.id)
            except Exception as error:  # noqa: BLE001 - whatever it is, the others are ended
                what = "has been kept for long enough and could not be ended"
                log.error("%s %s: %s", stored.job.id, what, _said(error))
            if time.monotonic() - began >= seconds:
                break
    _forget_keys(services, services.clock() - services.retention, began + seconds)
    return len(ended)


def _forget_keys(services: Services, moment: datetime, until: float) -> None:
    """Idempotency keys outlive their job for as long as it would have been kept."""
    try:
        for entry in services.jobs.entries_before(moment):
            if time.monotonic() >= until:
                return
            with contextlib.suppress(Conflict):
                if not _is_there(services, entry):
                    services.jobs.delete_entry(entry)
    except ReelkeepError as error:
        log.error("Old idempotency keys could not be deleted: %s", error)


def _is_there(services: Services, entry: IdempotencyEntry) -> bool:
    try:
        services.jobs.get(entry.owner, entry.job_id)
    except JobNotFound:
        return False
    except ValueError:  # what can't be read is there
        pass
    return True


class _Overload:
    """Whether messages wait for a host that can't take them: then what is late is not broken. Asked for once a sweep, and
    only where something is late."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._known: dict[str, bool] = {}

    def of(self, queue: str) -> bool:
        if queue not in self._known:
            self._known[queue] = self._services.messages.has_backlog(queue)
            if self._known[queue]:
                log.warning("Messages of %s wait to be taken: nothing is repaired meanwhile", queue)
        return self._known[queue]


def _sweep_job(services: Services, live: LiveJob, overload: _Overload, minute: Minute) -> None:
    now = services.clock()
    try:
        stored = services.jobs.get(live.owner, live.job_id)
    except JobNotFound:
        if now - live.arrived_at >= _ORPHANED_AFTER:
            log.warning("%s is a live row without a job; removed", live.job_id)
            services.blobs.delete_input(
                live.owner, live.job_id
            )  # never a video: its job's row may be lost by mistake
            services.live_jobs.remove(live)
        return
    job = stored.job
    minute.saw_job(job, now)
    if job.is_over:
        finish(services, job)
        return
    if (alarm := _alarm(job, now)) is not None:
        stored = update(services.jobs, stored, partial(transitions.alarmed, now=now, alarm=alarm))
    if is_broken(job, now) and (is_long_broken(job, now) or not overload.of(POLL_QUEUE)):
        repair(services, stored)


def _alarm(job: Job, now: datetime) -> str | None:
    """In words, once, when a generated video is not here and its time runs out."""
    left = job.time_left(now)
    if job.alarm is not None or left is None or job.status not in _GENERATED or job.deleted_at is not None:
        return None
    kept_for = (job.expires_at or now) - (job.submitted_at or job.created_at)
    if left > min(_NEAR_EXPIRY, kept_for / 4):
        return None
    open_outputs = ", ".join(str(output.index) for output in job.outputs if not output.is_settled)
    return (
        f"Video {open_outputs} is generated and not stored yet, and the video API deletes it at "
        f"{job.expires_at:%Y-%m-%d %H:%M:%S} UTC. Why: {job.reason or 'nothing is known'}"
    )


def _sweep_gate(services: Services, found: Gate) -> int:
    """Take back the slots that are needed no more, believe a probe that was taken, call whom nobody called.

    Gives how many stand in line.
    """
    now = services.clock()
    statuses = _statuses(services, found.slots)
    leaked = {slot for slot in found.slots if _is_leaked(slot, statuses, now)}
    probes = gate.probes(found)
    taken = any(statuses.get(slot.job_id) in (Status.QUEUED, Status.RUNNING) for slot in probes)

    def mended(current: Gate) -> Gate:
        for slot in leaked:
            if current.slot(slot.job_id) == slot:  # nobody has come for it, or begun in it anew
                current = gate.leave(current, slot.job_id)
        return gate.reopen(current, now) if taken and current.closure == found.closure else current

    for slot in leaked:
        log.warning("%s has a slot at '%s' that it needs no more; taken back", slot.job_id, found.backend)
    for slot in found.called:
        if statuses.get(slot.job_id) is Status.WAITING and _UNHEARD <= now - slot.taken_at < gate.UNCLAIMED:
            log.warning("%s was called at '%s' and has not come: called again", slot.job_id, found.backend)
            poll_now(services, services.jobs.get(slot.owner, slot.job_id).job)
    # A crash may have kept the gate from knowing that somebody stands in line.
    waiting = len(services.live_jobs.line(found.backend, MOST_COUNTED if found.contended else 1))
    in_line = found.contended or waiting > 0
    if leaked or taken or in_line:
        admission.call_next(
            services, found.backend, lambda current: replace(mended(current), contended=in_line)
        )
    return waiting


def _is_leaked(slot: Slot, statuses: dict[str, Status | None], now: datetime) -> bool:
    """A job that waits has a slot only for the moment before it goes ahead."""
    if slot.job_id not in statuses:
        return False
    status = statuses[slot.job_id]
    if status is Status.WAITING:
        return now - (slot.begun_at or slot.taken_at) >= gate.UNCLAIMED
    return status not in _HOLDS_A_SLOT


def _statuses(services: Services, slots: tuple[Slot, ...]) -> dict[str, Status | None]:
    """By job, None for one that is not there. One that can't be read is left out: it may need its slot."""
    statuses: dict[str, Status | None] = {}
    for slot in slots:
        try:
            statuses[slot.job_id] = services.jobs.get(slot.owner, slot.job_id).job.status
        except JobNotFound:
            statuses[slot.job_id] = None
        except ValueError as error:
            log.error("%s can't be read, and keeps its slot: %s", slot.job_id, str(error).partition("\n")[0])
    return statuses
