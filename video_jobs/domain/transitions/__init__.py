"""How a job moves on: pure functions from one Job to the next, or TransitionRefused.

Storage reloads and applies them again when somebody else was faster, so each decides from the job that
it is given and from nothing that was read before.
"""

from video_jobs.domain.job import LOST_JOB_GRACE
from video_jobs.domain.transitions.chain import alarmed, next_turn, poisoned, repaired, troubled
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
    is_missing_too_long,
    look_failed,
    looked,
    not_found,
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
    notice_again,
    notice_delayed,
    notice_delivered,
    notice_given_up,
    notice_poisoned,
    notice_refused,
    notice_sent,
    notice_unwanted,
)

__all__ = [
    "DOWNLOAD_OVERDUE",
    "LOST_JOB_GRACE",
    "MOST_OUTPUTS",
    "NO_OUTPUT_GRACE",
    "PROGRESS_EVERY",
    "adopted",
    "alarmed",
    "backend_job_gone",
    "begin_submit",
    "cancel_refused",
    "cancelled",
    "failed",
    "fetch_again",
    "is_missing_too_long",
    "look_failed",
    "looked",
    "next_turn",
    "not_found",
    "note_unknown_outcome",
    "nothing_to_adopt",
    "notice_again",
    "notice_delayed",
    "notice_delivered",
    "notice_given_up",
    "notice_poisoned",
    "notice_refused",
    "notice_sent",
    "notice_unwanted",
    "output_delayed",
    "output_lost",
    "output_progressed",
    "output_stored",
    "overdue_from",
    "poisoned",
    "put_back",
    "repaired",
    "request_cancel",
    "request_delete",
    "retried",
    "searched",
    "stands_in_line",
    "submission_failed",
    "submitted",
    "troubled",
    "waits",
]
