"""One sweep: over the jobs that live and the gates, never over what has ended.

What it finds it hands to the code that would have done it: a message for the chain, the end of an ended job.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from functools import partial

from sweep_jobs.poison import sweep_poison
from video_jobs import admission, gate, transitions
from video_jobs.errors import JobNotFound, ReelkeepError, TransitionRefused
from video_jobs.finish import finish
from video_jobs.gate import Gate, Slot
from video_jobs.job import Job, Status
from video_jobs.ports import LiveJob
from video_jobs.repair import bury, is_broken, repair
from video_jobs.services import Services
from video_jobs.update import update

log = logging.getLogger("reelkeep.sweep")

_ORPHANED_AFTER = timedelta(minutes=15)
"""A live row is written before its job, by a request that ends within minutes."""

_NEAR_EXPIRY = timedelta(hours=2)
_GENERATED = (Status.FETCHING, Status.PENDING_DOWNLOAD)
_HOLDS_A_SLOT = (Status.SUBMITTING, Status.QUEUED, Status.RUNNING)


def sweep_jobs(services: Services) -> None:
    """What fails for one job is logged and does not keep the others from being looked at."""
    try:
        sweep_poison(services)
    except ReelkeepError as error:
        log.error("The poison queues could not be read: %s", error)
    for found in services.gates.all():
        try:
            _sweep_gate(services, found)
        except (ReelkeepError, ValueError) as error:
            log.error("The gate to '%s' could not be swept: %s", found.backend, error)
    for live in services.live_jobs.all():
        try:
            _sweep_job(services, live)
        except TransitionRefused as refused:
            log.info("%s moved on while it was swept: %s", live.job_id, refused)
        except (ReelkeepError, ValueError) as error:
            log.error("%s could not be swept: %s", live.job_id, str(error).partition("\n")[0])


def apply_retention(services: Services, most: int) -> int:
    """End up to so many jobs that have been kept long enough; gives how many. Their videos go with them."""
    if services.retention is None:
        return 0
    ended = services.jobs.ended_before(services.clock() - services.retention, most)
    for stored in ended:
        try:
            bury(services, stored)
            log.info("%s has been kept for long enough", stored.job.id)
        except ReelkeepError as error:
            log.error("%s has been kept for long enough and could not be ended: %s", stored.job.id, error)
    return len(ended)


def _sweep_job(services: Services, live: LiveJob) -> None:
    now = services.clock()
    try:
        stored = services.jobs.get(live.owner, live.job_id)
    except JobNotFound:
        if now - live.arrived_at >= _ORPHANED_AFTER:
            log.warning("%s is a live row without a job; removed", live.job_id)
            services.blobs.delete_job(live.owner, live.job_id)
            services.live_jobs.remove(live)
        return
    job = stored.job
    if job.is_over:
        finish(services, job)
        return
    if (alarm := _alarm(job, now)) is not None:
        stored = update(services.jobs, stored, partial(transitions.alarmed, now=now, alarm=alarm))
    if is_broken(job, now):
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


def _sweep_gate(services: Services, found: Gate) -> None:
    """Take back the slots that are needed no more, believe a probe that was taken, call whom nobody called."""
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
    if leaked or taken or found.contended:
        admission.call_next(services, found.backend, mended)


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
