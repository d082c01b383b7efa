"""The log line `sweep.minute`: queues, live and waiting jobs, closed gates. Alerts and the workbook read it.

It counts what the sweep reads anyway. Only the queues cost calls: one each, and one more for a queue with messages.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from video_jobs.domain.errors import ReelkeepError
from video_jobs.domain.gate import ClosureReason, Gate
from video_jobs.domain.job import Job, Status
from video_jobs.domain.logs import log_event
from video_jobs.domain.queue_messages import FETCH_QUEUE, NOTIFY_QUEUE, POLL_QUEUE
from video_jobs.services import Services

log = logging.getLogger("reelkeep.sweep")

EVENT = "sweep.minute"
MOST_COUNTED = 1000
"""Jobs in line before one gate that are counted: one page of the table, one call."""

_QUEUES = {"poll": POLL_QUEUE, "fetch": FETCH_QUEUE, "notify": NOTIFY_QUEUE}
_LONGEST_CALL = timedelta(minutes=5)
"""A paid call whose outcome takes longer counts as `in_doubt`."""
_FOR_THE_OPERATOR = (ClosureReason.MISCONFIGURED, ClosureReason.ACCOUNT)


@dataclass
class Minute:
    """The counts of one sweep, filled in while it runs."""

    live: int = 0
    waiting: int = 0
    in_doubt: int = 0
    closed_gates: list[str] = field(default_factory=list)
    gates_to_mend: int = (
        0  #: gates that only the operator can open: a key, a deployment or an account is wrong
    )

    def saw_job(self, job: Job, now: datetime) -> None:
        calling_since = job.submission.submitting_since if job.status is Status.SUBMITTING else None
        unknown = calling_since is not None and (
            job.submission.outcome_lost_at is not None or now - calling_since >= _LONGEST_CALL
        )
        self.in_doubt += unknown or (not job.is_terminal and job.is_in_doubt(now))

    def saw_gate(self, gate: Gate, waiting: int) -> None:
        self.waiting += waiting
        if gate.paused_since is not None:
            self.closed_gates.append(f"{gate.backend}: paused")
        elif gate.closure is not None:
            self.closed_gates.append(f"{gate.backend}: {gate.closure.why}")
            self.gates_to_mend += gate.closure.why in _FOR_THE_OPERATOR


def log_minute(services: Services, minute: Minute, seconds: float, *, complete: bool) -> None:
    """Log the line. `complete` is false if one sweep could not read all live jobs: `live` and `in_doubt` then count those read."""
    fields: dict[str, float] = {}
    for name, queue in _QUEUES.items():
        try:
            state = services.messages.state(queue)
        except ReelkeepError as error:
            log_event(log, logging.ERROR, "sweep.queue_unreadable", queue=queue, problem=error)
            continue
        fields[f"{name}_depth"] = state.depth
        fields[f"{name}_oldest_seconds"] = round(state.oldest.total_seconds(), 1)
    ages = [value for name, value in fields.items() if name.endswith("_oldest_seconds")]
    log_event(
        log,
        logging.INFO,
        EVENT,
        **fields,
        oldest_seconds=max(ages, default=0.0),
        live=minute.live,
        waiting=minute.waiting,
        in_doubt=minute.in_doubt,
        closed_gates=minute.closed_gates,
        gates_to_mend=minute.gates_to_mend,
        seconds=round(seconds, 1),
        complete=complete,
    )
