"""How a job moves on: pure functions from one Job to the next, or TransitionRefused.

After a conflict, storage reloads the job and applies the function again. So each function decides only from the job
that it is given, and from nothing that was read before.
"""

from video_jobs.domain.job import LOST_JOB_GRACE
from video_jobs.domain.transitions.chain import alarmed, attempt_failed, next_turn, poisoned, repaired
from video_jobs.domain.transitions.client_requests import (
    backend_job_gone,
    cancel_refused,
    cancelled,
    request_cancel,
    request_delete,
    retried,
)
from video_jobs.domain.transitions.download import (
    DOWNLOAD_OVERDUE,
    MOST_OUTPUTS,
    PROGRESS_EVERY,
    fetch_again,
    output_delayed,
    output_lost,
    output_progressed,
    output_stored,
    overdue_from,
)
from video_jobs.domain.transitions.generation import (
    NO_OUTPUT_GRACE,
    not_found,
    poll_failed,
    polled,
)
from video_jobs.domain.transitions.submission import (
    adopted,
    begin_submit,
    failed,
    note_unknown_outcome,
    nothing_to_adopt,
    put_back,
    searched,
    stands_in_line,
    submission_failed,
    submitted,
    waits,
)
from video_jobs.domain.transitions.webhook import (
    delivery_delayed,
    delivery_given_up,
    delivery_poisoned,
    delivery_refused,
    delivery_requested,
    delivery_sent,
    delivery_succeeded,
    delivery_unwanted,
)

__all__ = [
    "DOWNLOAD_OVERDUE",
    "LOST_JOB_GRACE",
    "MOST_OUTPUTS",
    "NO_OUTPUT_GRACE",
    "PROGRESS_EVERY",
    "adopted",
    "alarmed",
    "attempt_failed",
    "backend_job_gone",
    "begin_submit",
    "cancel_refused",
    "cancelled",
    "delivery_delayed",
    "delivery_given_up",
    "delivery_poisoned",
    "delivery_refused",
    "delivery_requested",
    "delivery_sent",
    "delivery_succeeded",
    "delivery_unwanted",
    "failed",
    "fetch_again",
    "next_turn",
    "not_found",
    "note_unknown_outcome",
    "nothing_to_adopt",
    "output_delayed",
    "output_lost",
    "output_progressed",
    "output_stored",
    "overdue_from",
    "poisoned",
    "poll_failed",
    "polled",
    "put_back",
    "repaired",
    "request_cancel",
    "request_delete",
    "retried",
    "searched",
    "stands_in_line",
    "submission_failed",
    "submitted",
    "waits",
]
