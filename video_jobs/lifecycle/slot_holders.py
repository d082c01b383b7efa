"""List the jobs that hold a gate's slots, and until when: one read of a row for each, up to a limit."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from video_jobs.domain.errors import JobNotFound, UnreadableRow
from video_jobs.domain.gate import Gate, Slot
from video_jobs.domain.job import Job, Status
from video_jobs.lifecycle.paid_call import outcome_known_after
from video_jobs.services import Services


class Holder(NamedTuple):
    """One slot. `status` is None if its job can't be read."""

    slot: Slot
    status: Status | None
    free_at: datetime | None  #: when the job is likely to give it back; None if unknown
    is_unconfirmed: bool  #: the outcome of the paid call is unknown so far


def holders(services: Services, gate: Gate, owner: str | None, most: int) -> list[Holder]:
    """The first `most` slots of one owner, or of all; the one that is held longest comes first."""
    slots = [slot for slot in gate.slots if owner is None or slot.owner == owner]
    return [_holder(services, slot) for slot in sorted(slots, key=lambda slot: slot.taken_at)[:most]]


def _holder(services: Services, slot: Slot) -> Holder:
    job: Job | None = None
    with suppress(JobNotFound, UnreadableRow):  # gone, or a newer version's
        job = services.jobs.get(slot.owner, slot.job_id).job
    if job is None:
        return Holder(slot, None, None, False)
    if job.status is not Status.SUBMITTING:
        return Holder(slot, job.status, job.expected_at, False)
    known_at = (job.submission.submitting_since or slot.taken_at) + outcome_known_after(services)
    return Holder(slot, job.status, known_at, job.submission.outcome_lost_at is not None)
